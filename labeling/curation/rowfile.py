"""The file of a dataset version: rows in Parquet, written and read in groups so that memory stays flat."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labeling.curation.rows import Row, canonical

FILE_NAME = "rows.parquet"
GROUP = 1000
BLOCK = 1 << 20


def schema(kind: str) -> Any:
    """The columns of a kind: its split, what a trainer reads, what is known of it, its item and prompt."""
    import pyarrow as pa

    prompt = ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])))
    votes = pa.struct([(name, pa.int32()) for name in ("chosen", "rejected", "tie", "both_bad")])
    chunks = pa.list_(pa.string())
    pair = [prompt, ("chosen", pa.string()), ("rejected", pa.string())]
    sure = ("confidence", pa.float64())
    known = [("soft_label", pa.float64()), sure, ("votes", votes)]
    of_kind: dict[str, list[tuple[str, Any]]] = {
        "preference": [*pair, *known],
        "reward": [*pair, *known, ("margin", pa.float64())],
        "sft": [prompt, ("completion", pa.string()), ("origin", pa.string()), sure],
        "text": [("text", pa.string()), ("origin", pa.string()), sure],
        "unpaired": [prompt, ("completion", pa.string()), ("label", pa.bool_()), sure],
        "prompts": [prompt],
        "retriever": [("query", pa.string()), ("positives", chunks), ("negatives", chunks), sure],
    }
    ends = [("item", pa.string()), ("prompt_hash", pa.string())]
    return pa.schema([("split", pa.string()), *of_kind[kind], *ends])


class RowWriter:
    """Append rows of a kind to a new Parquet file; use as a context manager. One thread of its own packs and writes a
    group while the next one is made; a full disk is told of at the next group, or at the end."""

    def __init__(self, path: Path, kind: str) -> None:
        import pyarrow.parquet as pq

        self._schema = schema(kind)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Row] = []
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._flush()
            self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            table = pa.Table.from_pylist(self._rows, schema=self._schema)
            self._wait()
            self._written = self._thread.submit(self._writer.write_table, table)
            self._rows = []

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()


def read(path: Path, *, split: str | None = None, start: int = 0) -> Iterator[Row]:
    """Yield the rows of a version's folder in their frozen order from row `start` on, of one split or of all."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path / FILE_NAME) as file:
        first = 0
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            if last > start:
                for number, row in enumerate(
                    file.read_row_group(group, use_threads=False).to_pylist(), start=first
                ):
                    if number >= start and (split is None or row["split"] == split):
                        yield row
            first = last


def splits(path: Path) -> list[str]:
    """The split of every row of a version's folder, in their frozen order."""
    import pyarrow.parquet as pq

    found: list[str] = pq.read_table(path / FILE_NAME, columns=["split"], use_threads=False)[
        "split"
    ].to_pylist()
    return found


def content_hash(path: Path, *, split: str | None = None) -> str:
    """SHA-256 over the rows as canonical JSON lines, of one split or of all: then the version's hash must equal it."""
    digest = hashlib.sha256()
    for row in read(path, split=split):
        digest.update(canonical(row))
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 over a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
