"""Folders that `datasets` saved, folders of data files, and archives of either → rows."""

import json
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from labeling.errors import ImportRefused
from labeling.importing.jsonrows import Row

SUFFIXES = (".arrow", ".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".gz")
NO_DATA = {"state.json", "dataset_info.json", "dataset_dict.json", "dataset_infos.json"}
MAX_FILES = 10_000
MAX_UNPACKED_BYTES = 20_000_000_000
MAX_RATIO, FREE_BYTES = 200, 50_000_000
"""An archive may grow by this factor; below FREE_BYTES nobody minds."""

DAMAGED_ARCHIVE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error),
    *(EOFError, OSError, NotImplementedError, RuntimeError, ValueError),
)

Reader = Callable[[Path, str], Iterator[Row]]
Member = tuple[str, Callable[[], IO[bytes] | None]]


def folder_rows(folder: Path, name: str, read: Reader) -> Iterator[Row]:
    """The rows of all data files of a folder, numbered through. Raises ImportRefused where there are none."""
    files = data_files(folder, name)
    total = 0
    for path in files:
        last = 0
        for last, row in read(path, f"{name}/{path.relative_to(folder).as_posix()}"):
            yield total + last, row
        total += last


def data_files(folder: Path, name: str) -> list[Path]:
    """The files in their order: as a saved dataset lists them, split by split, else by name."""
    if (folder / "dataset_dict.json").is_file():
        splits = _json(folder / "dataset_dict.json", name).get("splits")
        if not isinstance(splits, list) or not splits:
            raise ImportRefused(f"{name} is a saved DatasetDict without splits; save it again.")
        return [path for split in splits for path in data_files(_inside(folder, split, name), name)]
    if (folder / "state.json").is_file():
        return _saved(folder, name)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and _is_data(path))
    roots = {path.parent for path in folder.rglob("*") if path.name in ("state.json", "dataset_dict.json")}
    if roots:  # a saved dataset in a folder of a folder, as archives have it
        return data_files(min(roots, key=lambda root: (len(root.parts), root)), name)
    if not found or len(found) > MAX_FILES:
        raise ImportRefused(
            f"{name} holds {len(found):,} data files; give 1 to {MAX_FILES:,} files that end with "
            f"{', '.join(SUFFIXES)}, or a folder that `datasets` saved. Save spreadsheets as CSV."
        )
    return found


def _is_data(path: Path) -> bool:
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return path.suffix.lower() in SUFFIXES and path.name not in NO_DATA and not hidden


def _saved(folder: Path, name: str) -> list[Path]:
    state = _json(folder / "state.json", name)
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise ImportRefused(
            f"{name} was saved with a selection of its rows; call flatten_indices() and save it again."
        )
    files = state.get("_data_files")
    if not isinstance(files, list) or not files:
        raise ImportRefused(f"{name} is a saved dataset without rows; save one that has some.")
    return [_inside(folder, file.get("filename") if isinstance(file, dict) else file, name) for file in files]


def _inside(folder: Path, part: Any, name: str) -> Path:
    """A file or folder that a saved dataset names: directly inside, and there."""
    if not isinstance(part, str) or PurePosixPath(part).name != part or not (folder / part).exists():
        raise ImportRefused(f"{name} names the part {str(part)[:80]!r}, which is not in it; save it again.")
    return folder / part


def _json(path: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ImportRefused(
            f"{path.name} of {name} cannot be read ({error}); save the dataset again."
        ) from error
    return value if isinstance(value, dict) else {}


@contextmanager
def unpacked(path: Path, name: str) -> Iterator[Path]:
    """A temporary folder beside the archive with its data files. Raises ImportRefused of what is not safe to unpack."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="unpacked-") as root:
        _unpack(path, Path(root), name)
        yield Path(root)


def _unpack(path: Path, root: Path, name: str) -> None:
    limit = min(MAX_UNPACKED_BYTES, max(FREE_BYTES, MAX_RATIO * path.stat().st_size))
    kind = "a tar archive"
    try:
        with path.open("rb") as file:
            is_zip = file.read(2) == b"PK"
            kind = "a ZIP or Office file" if is_zip else kind
            _write(_zip(file, name) if is_zip else _tar(file, name), root, name, limit)
    except DAMAGED_ARCHIVE as error:
        raise ImportRefused(f"{name} is {kind} that cannot be unpacked ({error}); pack it again.") from error


def _zip(file: IO[bytes], name: str) -> Iterator[Member]:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ImportRefused(f"{name} holds the link {info.filename[:80]!r}; pack the file itself.")
            if info.flag_bits & 1:
                raise ImportRefused(f"{name} is locked by a password; pack it without one.")
            if not info.is_dir():
                yield info.filename, lambda info=info: archive.open(info)  # type: ignore[misc]


def _tar(file: IO[bytes], name: str) -> Iterator[Member]:
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for info in archive:
            if info.isfile():
                yield info.name, lambda info=info: archive.extractfile(info)  # type: ignore[misc]
            elif not info.isdir():
                raise ImportRefused(
                    f"{name} holds the link or device {info.name[:80]!r}; pack the file itself."
                )


def _write(members: Iterator[Member], root: Path, name: str, limit: int) -> None:
    """Write the data files and what describes them; everything else of the archive is left packed."""
    room = limit
    for count, (member, opened) in enumerate(members, start=1):
        if count > MAX_FILES:
            raise ImportRefused(f"{name} holds more than {MAX_FILES:,} files; pack fewer.")
        parts = PurePosixPath(member).parts
        if member.startswith("/") or "\\" in member or ".." in parts or ":" in member or not parts:
            raise ImportRefused(
                f"{name} holds the path {member[:80]!r}, which leads out of it; pack it again."
            )
        target = root.joinpath(*parts)
        if target.suffix.lower() not in SUFFIXES:
            continue
        source = opened()
        if source is None:
            continue
        with source:
            room = _copy(source, target, room, name, limit)


def _copy(source: IO[bytes], target: Path, room: int, name: str, limit: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as out:
            while block := source.read(1 << 20):
                room -= len(block)
                if room < 0:
                    raise ImportRefused(
                        f"{name} unpacks to more than {limit / 1e6:,.0f} MB, which is far beyond its own size; "
                        "unpack it and import the folder with `manage.py import_items` on the server."
                    )
                out.write(block)
    except OSError as error:
        raise ImportRefused(
            f"{name} cannot be unpacked on the server ({error.strerror or error}); free some space."
        ) from error
    return room
