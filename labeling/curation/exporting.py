"""A dataset version → files that a trainer loads unchanged."""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labeling.curation import rowfile
from labeling.curation.rows import Row
from labeling.curation.shapes import STYLES, arrow_schema, shaped, shapes_of
from labeling.errors import Refused
from labeling.models import DatasetVersion

FORMATS = ("jsonl", "parquet", "datasets")
CONVERSATIONAL = "conversational"
ARROW = "data-00000-of-00001.arrow"


def trainer_rows(
    version: DatasetVersion, *, split: str, shape: str = "", style: str = CONVERSATIONAL
) -> Iterator[Row]:
    """The rows of a split in the columns of a trainer (by default those of the version's kind), streamed.

    Raises Refused where the version cannot be given in that shape.
    """
    shape = check_shape(version, shape, style)
    return shaped(rowfile.read(version.path, split=split), shape=shape, style=style)


def check_shape(version: DatasetVersion, shape: str, style: str = CONVERSATIONAL) -> str:
    """The shape that is meant. Raises Refused with the ones that there are."""
    shapes = shapes_of(version.kind)
    if (shape or version.kind) not in shapes:
        raise Refused(
            f"{version} holds rows of the kind {version.kind}, which can be given as {', '.join(shapes)}, "
            f"not as {shape}; freeze a version of another kind."
        )
    if style not in STYLES:
        raise Refused(f"The style given is {style!r}; choose one of {', '.join(STYLES)}.")
    return shape or version.kind


def jsonl(
    version: DatasetVersion, *, split: str, shape: str = "", style: str = CONVERSATIONAL
) -> Iterator[bytes]:
    """The rows of a split as JSON lines, streamed."""
    for row in trainer_rows(version, split=split, shape=shape, style=style):
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def verify(version: DatasetVersion) -> None:
    """Refuse to hand out rows that are not those that were frozen."""
    try:
        if version.file_hash:
            found, frozen = rowfile.file_hash(version.path / rowfile.FILE_NAME), version.file_hash
        else:  # frozen before the file itself was hashed
            found, frozen = rowfile.content_hash(version.path), version.content_hash
    except (OSError, ValueError) as error:  # pyarrow says ValueError of a damaged file
        raise Refused(
            f"The rows of {version} cannot be read: {error}; restore them from a backup."
        ) from error
    if found != frozen:
        raise Refused(
            f"The rows of {version} have the hash {found[:12]}…, but {frozen[:12]}… was frozen; "
            "somebody changed the file. Restore it from a backup."
        )


def export(
    version: DatasetVersion,
    out: Path,
    *,
    format: str = "jsonl",
    shape: str = "",
    style: str = CONVERSATIONAL,
) -> list[Path]:
    """Write one file (or folder) a split into `out`. Raises Refused where the format or the disk says no."""
    if format not in FORMATS:
        raise Refused(f"The format given is {format!r}; choose one of {', '.join(FORMATS)}.")
    check_shape(version, shape, style)
    verify(version)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [
            WRITERS[format](version, out / split, split, shape, style) for split in sorted(version.splits)
        ]
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}; choose another folder.") from error


def export_file(version: DatasetVersion, *, split: str, shape: str, style: str, format: str) -> Path:
    """The file of a download: made at the first request, the same bytes at each one after it."""
    check_shape(version, shape, style)
    verify(version)
    place = version.path.with_name(f"{version.path.name}.files") / f"{split}-{shape or version.kind}-{style}"
    path = place.with_name(f"{place.name}.{format}")
    if not path.exists():
        try:
            place.parent.mkdir(exist_ok=True)
            WRITERS[format](version, place, split, shape, style)
        except OSError as error:
            raise Refused(
                f"The file could not be written: {error.strerror}; free some space and try again."
            ) from error
    return path


def _write_jsonl(version: DatasetVersion, place: Path, split: str, shape: str, style: str) -> Path:
    building = _building(place)
    try:
        with building.open("wb") as file:
            file.writelines(jsonl(version, split=split, shape=shape, style=style))
            file.flush()
            os.fsync(file.fileno())
        return building.replace(place.with_name(f"{place.name}.jsonl"))
    finally:
        building.unlink(missing_ok=True)


def _write_parquet(version: DatasetVersion, place: Path, split: str, shape: str, style: str) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = arrow_schema(shape or version.kind, style)
    building = _building(place)
    try:
        with pq.ParquetWriter(building, schema) as writer:
            rows = trainer_rows(version, split=split, shape=shape, style=style)
            while chunk := list(itertools.islice(rows, rowfile.GROUP)):
                writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
        return building.replace(place.with_name(f"{place.name}.parquet"))
    finally:
        building.unlink(missing_ok=True)


def _write_datasets(version: DatasetVersion, place: Path, split: str, shape: str, style: str) -> Path:
    """A folder as `Dataset.save_to_disk` writes it, group by group: the library itself would hold the whole table."""
    try:
        from datasets import DatasetInfo, Features
        from datasets.arrow_writer import ArrowWriter
    except ImportError as error:
        raise Refused(
            "The format datasets needs the `train` extra; install it, or export jsonl or parquet."
        ) from error
    import pyarrow as pa

    schema = arrow_schema(shape or version.kind, style)
    features = Features.from_arrow_schema(schema)
    building = _building(place)
    try:
        building.mkdir()
        rows = trainer_rows(version, split=split, shape=shape, style=style)
        with ArrowWriter(features=features, path=str(building / ARROW)) as writer:
            while chunk := list(itertools.islice(rows, rowfile.GROUP)):
                writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
            writer.finalize()
        DatasetInfo(features=features).write_to_directory(str(building))
        known = f"{version.content_hash} {split} {shape} {style}"  # what the library caches is kept by the fingerprint
        state: dict[str, Any] = {
            "_data_files": [{"filename": ARROW}],
            "_fingerprint": hashlib.sha256(known.encode()).hexdigest()[:16],
            **dict.fromkeys(("_format_columns", "_format_type", "_split")),
            "_format_kwargs": {},
            "_output_all_columns": False,
        }
        (building / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        return building.replace(place)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _building(place: Path) -> Path:
    """A name of its own for each writer: two who ask at once do not write into one file."""
    return place.with_name(f"{place.name}.{os.getpid()}.{id(place):x}.building")


WRITERS = {"jsonl": _write_jsonl, "parquet": _write_parquet, "datasets": _write_datasets}
