"""The bare script that a freeze is compared with: pandas and pyarrow, straight from the database to a Parquet file.

    python benchmarks/peers/bare_freeze.py DATABASE OUT

The same filter (majority, no empty or equal texts, split by the prompt's hash) and the same columns, in the same order.
No lineage, no check, no hash, no manifest.
"""

import hashlib
import json
import sqlite3
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

QUERY = """
SELECT j.item_id, j.label, i.content_hash, i.prompt_hash, i.messages, a.text AS first, b.text AS second
FROM labeling_judgment j
JOIN labeling_item i ON i.id = j.item_id
JOIN labeling_response a ON a.item_id = i.id AND a.position = 0
JOIN labeling_response b ON b.item_id = i.id AND b.position = 1
WHERE j.purpose = 'work' AND j.kind = 'pairwise'
"""


def split_of(prompt_hash: str) -> str:
    place = int(hashlib.sha256(f"0:{prompt_hash}".encode()).hexdigest()[:13], 16) / 16**13
    return "test" if place < 0.2 else "train"


def main(database: str, out: str) -> None:
    votes = pd.read_sql(QUERY, sqlite3.connect(database))
    counts = votes.groupby("item_id")["label"].value_counts().unstack(fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    winner, share = shares.idxmax(axis=1), shares.max(axis=1)
    rows = votes.drop_duplicates("item_id").set_index("item_id")
    rows["winner"], rows["confidence"] = winner, share
    rows = rows[(rows["confidence"] > 0.5) & rows["winner"].isin(["0", "1"])]
    first = rows["winner"] == "0"
    rows["chosen"] = rows["first"].where(first, rows["second"])
    rows["rejected"] = rows["second"].where(first, rows["first"])
    rows = rows[
        (rows["chosen"] != rows["rejected"])
        & rows["chosen"].str.strip().ne("")
        & rows["rejected"].str.strip().ne("")
    ]
    rows = rows.drop_duplicates(["prompt_hash", "chosen", "rejected"])
    rows["split"] = rows["prompt_hash"].map(split_of)
    rows["prompt"] = rows["messages"].map(json.loads)
    rows = rows.sort_values(["prompt_hash", "content_hash"])
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema(
        [
            *(("split", pa.string()), ("prompt", pa.list_(message)), ("chosen", pa.string())),
            *(("rejected", pa.string()), ("confidence", pa.float64()), ("content_hash", pa.string())),
            ("prompt_hash", pa.string()),
        ]
    )
    table = pa.Table.from_pandas(rows[schema.names], schema=schema, preserve_index=False)
    pq.write_table(table, out, compression="zstd", row_group_size=1000)
    print(len(table))


if __name__ == "__main__":
    main(*sys.argv[1:])
