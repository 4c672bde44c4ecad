"""A dataset version → files that a trainer loads unchanged."""

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labeling import rowfile
from labeling.errors import Refused
from labeling.models import DatasetVersion

Message = dict[str, str]
FORMATS = ("jsonl", "parquet", "datasets")
TrainerRow = dict[str, list[Message]]


def preference_row(row: dict[str, Any]) -> TrainerRow:
    """Columns of TRL's preference trainers: prompt, chosen, rejected, each a list of messages."""
    return {
        "prompt": row["prompt"],
        "chosen": [{"role": "assistant", "content": row["chosen"]}],
        "rejected": [{"role": "assistant", "content": row["rejected"]}],
    }


def sft_row(row: dict[str, Any]) -> TrainerRow:
    """Columns of TRL's SFTTrainer: prompt, and the chosen response as completion."""
    return {"prompt": row["prompt"], "completion": [{"role": "assistant", "content": row["chosen"]}]}


SHAPES: dict[str, Callable[[dict[str, Any]], TrainerRow]] = {"preference": preference_row, "sft": sft_row}


def trainer_rows(version: DatasetVersion, *, split: str, shape: str = "preference") -> Iterator[TrainerRow]:
    """The rows of a split in the columns of a trainer, streamed.

    A response that was chosen over several others is one demonstration, so equal rows of the shape sft come once.
    """
    convert = SHAPES[shape]
    rows = (convert(row) for row in rowfile.read(version.path, split=split))
    return _unique(rows) if shape == "sft" else rows


def _unique(rows: Iterator[TrainerRow]) -> Iterator[TrainerRow]:
    seen: set[bytes] = set()
    for row in rows:
        key = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest()
        if key not in seen:
            seen.add(key)
            yield row


def jsonl(version: DatasetVersion, *, split: str, shape: str = "preference") -> Iterator[bytes]:
    """The rows of a split as JSON lines, streamed."""
    for row in trainer_rows(version, split=split, shape=shape):
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def verify(version: DatasetVersion) -> None:
    """Refuse to hand out rows that are not those that were frozen."""
    try:
        found = rowfile.content_hash(version.path)
    except (OSError, ValueError) as error:  # pyarrow says ValueError of a damaged file
        raise Refused(
            f"The rows of {version} cannot be read: {error}; restore them from a backup."
        ) from error
    if found != version.content_hash:
        raise Refused(
            f"The rows of {version} have the hash {found[:12]}…, but {version.content_hash[:12]}… was frozen; "
            "somebody changed the file. Restore it from a backup."
        )


def export(
    version: DatasetVersion, out: Path, *, format: str = "jsonl", shape: str = "preference"
) -> list[Path]:
    """Write one file (or folder) a split into `out`. Raises Refused where the format or the disk says no."""
    if format not in FORMATS:
        raise Refused(f"The format given is {format!r}; choose one of {', '.join(FORMATS)}.")
    verify(version)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [WRITERS[format](version, out, split, shape) for split in sorted(version.splits)]
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}; choose another folder.") from error


def _write_jsonl(version: DatasetVersion, out: Path, split: str, shape: str) -> Path:
    path = out / f"{split}.jsonl"
    building = path.with_suffix(".building")
    with building.open("wb") as file:
        file.writelines(jsonl(version, split=split, shape=shape))
        file.flush()
        os.fsync(file.fileno())
    building.replace(path)
    return path


def _write_parquet(version: DatasetVersion, out: Path, split: str, shape: str) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    message = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    names = ["prompt", "completion"] if shape == "sft" else ["prompt", "chosen", "rejected"]
    schema = pa.schema([(name, message) for name in names])
    path = out / f"{split}.parquet"
    building = path.with_suffix(".building")
    with pq.ParquetWriter(building, schema) as writer:
        rows = trainer_rows(version, split=split, shape=shape)
        while chunk := list(itertools.islice(rows, rowfile.GROUP)):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
    building.replace(path)
    return path


def _write_datasets(version: DatasetVersion, out: Path, split: str, shape: str) -> Path:
    try:
        from datasets import Dataset
    except ImportError as error:
        raise Refused(
            "The format datasets needs the `train` extra; install it, or export jsonl or parquet."
        ) from error
    parquet = _write_parquet(version, out, split, shape)
    folder = out / split
    Dataset.from_parquet(str(parquet), cache_dir=str(out / ".cache")).save_to_disk(str(folder))
    parquet.unlink()
    return folder


WRITERS = {"jsonl": _write_jsonl, "parquet": _write_parquet, "datasets": _write_datasets}
