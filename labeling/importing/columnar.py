"""Parquet and Arrow files → rows, a few hundred at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labeling.errors import ImportRefused, RowRefused
from labeling.importing.jsonrows import Row, sized

BATCH = 256


def parquet(path: Path, name: str) -> Iterator[Row]:
    """The rows of a Parquet file. Raises ImportRefused where it cannot be read from its beginning."""
    yield from _rows(_groups(path), f"{name} is a Parquet file")


def arrow(path: Path, name: str) -> Iterator[Row]:
    """The rows of an Arrow file, as `datasets` saves them (a stream) or with a footer. Raises ImportRefused."""
    yield from _rows(_batches(path), f"{name} is an Arrow file")


def _groups(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH)


def _batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        footed = source.read(6) == b"ARROW1"
        source.seek(0)
        if footed:
            file = pa.ipc.open_file(source)
            yield from _slices(file.get_batch(index) for index in range(file.num_record_batches))
        else:
            yield from _slices(pa.ipc.open_stream(source))


def _slices(batches: Any) -> Iterator[Any]:
    """Record batches may be of any length; no more than a few hundred rows at a time become objects.

    Arrow's buffers are used as they lie in the file: unchecked, a forged offset would read beyond them.
    """
    for batch in batches:
        batch.validate(full=True)
        for start in range(0, batch.num_rows, BATCH):
            yield batch.slice(start, BATCH)


def _rows(batches: Iterator[Any], what: str) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError, ValueError) as error:
            if not number:
                raise ImportRefused(
                    f"{what} that cannot be read ({_short(error)}); write it again."
                ) from error
            yield (
                number + 1,
                RowRefused(f"the file is damaged from here on ({_short(error)}); what came before was read"),
            )
            return
        if batch is None:
            return
        for row in _objects(batch):
            number += 1
            yield number, row if isinstance(row, RowRefused) else sized(row)


def _objects(batch: Any) -> Iterator[Any]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield RowRefused("a text of the row is not valid UTF-8; write the file again")


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200].rstrip(".") if str(error) else type(error).__name__
