"""A checkpoint's folder as one tar file, written while it is sent: any size, constant memory, length known before."""

import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from labeling.errors import Refused
from training.cards import model_card
from training.models import Checkpoint

BLOCK = 1 << 20
CARD = "README.md"
LEFT_OUT = (".tmp", ".building")
END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive: its header, and where its bytes come from."""

    header: bytes
    size: int
    source: Path | bytes

    @property
    def padding(self) -> int:
        return -self.size % tarfile.BLOCKSIZE


class Archive:
    """An uncompressed tar (GNU format, for files of any size) of the weights, with the model card as README.md.

    Only regular files of the checkpoint's own folder go in, and no link is followed.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        folder = _folder(checkpoint)
        self.name = f"{_plain(checkpoint.name)}-{checkpoint.pk}"
        self._changed = int(checkpoint.created_at.timestamp())
        card = model_card(checkpoint).encode()
        self._members = [self._member(CARD, len(card), card), *self._files(folder)]

    def __len__(self) -> int:
        """Bytes of the whole file."""
        return sum(len(m.header) + m.size + m.padding for m in self._members) + len(END)

    def __iter__(self) -> Iterator[bytes]:
        for member in self._members:
            yield member.header
            yield from [member.source] if isinstance(member.source, bytes) else _bytes(member)
            yield bytes(member.padding)
        yield END

    def _files(self, folder: Path) -> list[Member]:
        found = []
        for path in sorted(folder.rglob("*")):
            facts = path.lstat()
            name = path.relative_to(folder).as_posix()
            if stat.S_ISREG(facts.st_mode) and name != CARD and not name.endswith(LEFT_OUT):
                found.append(self._member(name, facts.st_size, path))
        return found

    def _member(self, name: str, size: int, source: Path | bytes) -> Member:
        info = tarfile.TarInfo(f"{self.name}/{name}")
        info.size, info.mtime, info.mode = size, self._changed, 0o644
        return Member(info.tobuf(tarfile.GNU_FORMAT), size, source)


def _folder(checkpoint: Checkpoint) -> Path:
    """Where the weights are. Raises Refused for a base model, and for a folder that is gone or not one of ours."""
    if checkpoint.kind == Checkpoint.Kind.BASE:
        raise Refused(
            f"A base model is not handed out from here; get it from where it came: {checkpoint.base.place}."
        )
    folder, ours = Path(checkpoint.path).resolve(), Path(settings.PREFLOOP_VAR).resolve()
    if not folder.is_dir() or not any(folder.is_relative_to(ours / name) for name in ("runs", "merges")):
        raise Refused(f"The files of {checkpoint.name} are not on this machine any more; train it again.")
    return folder


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "checkpoint"


def _bytes(member: Member) -> Iterator[bytes]:
    """A file's bytes, exactly as many as the header says. Raises OSError, which breaks the download off."""
    assert isinstance(member.source, Path)
    left = member.size
    with os.fdopen(os.open(member.source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        while left:
            block = file.read(min(BLOCK, left))
            if not block:
                raise OSError(f"{member.source.name} became shorter while it was sent")
            left -= len(block)
            yield block
