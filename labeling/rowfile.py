"""The file of a dataset version: rows in Parquet, written and read in groups so that memory stays flat."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FILE_NAME = "rows.parquet"
GROUP = 1000


def _schema() -> Any:
    import pyarrow as pa

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    votes = pa.struct([(name, pa.int32()) for name in ("chosen", "rejected", "tie", "both_bad")])
    texts = [(name, pa.string()) for name in ("chosen", "rejected", "item", "prompt_hash")]
    return pa.schema([("split", pa.string()), ("prompt", pa.list_(message)), *texts, ("votes", votes)])


class RowWriter:
    """Append rows to a new Parquet file; use as a context manager."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._schema = _schema()
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def read(path: Path, *, split: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a version's folder in their frozen order, of one split or of all."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path / FILE_NAME) as file:
        for batch in file.iter_batches(batch_size=GROUP):
            for row in batch.to_pylist():
                if split is None or row["split"] == split:
                    yield row


def content_hash(path: Path) -> str:
    """SHA-256 over the rows as canonical JSON lines: what the version's hash must equal."""
    digest = hashlib.sha256()
    for row in read(path):
        text = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()
