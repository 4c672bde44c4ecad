"""Kombu's filesystem transport, with messages that are whole or not there.

As it comes, a message's file stands in the queue before its text does. A worker that looks in that moment takes an
empty file, and ends: what is not JSON counts as unrecoverable.
"""

import fcntl
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """A queue's messages are the files `NANOSECONDS_UUID.QUEUE.msg`; other names are on their way in or out."""

    # The two parents name this argument differently.
    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        """Add a message; `ChannelError` where it cannot be written, and then nothing of it is left in the queue."""
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        begun = folder / f".new-{name}"
        try:
            try:
                begun.write_text(dumps(payload))
                begun.replace(folder / name)
            finally:
                begun.unlink(missing_ok=True)
        except OSError as error:
            raise ChannelError(f"The message {name} cannot be written to {folder}: {error}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The oldest message that no other worker took. One that cannot be read is logged and passed over."""
        folder = Path(self.data_folder_in)
        for name in sorted(each.name for each in folder.iterdir()):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            try:
                return loads(self._take(folder, name))
            except FileNotFoundError:  # another worker was faster
                continue
            except (OSError, ValueError):  # its row sends another
                log.exception("the message %s cannot be read", name)
        raise Empty

    def _take(self, folder: Path, name: str) -> str:
        taken = folder / f".taken-{name}"
        (folder / name).rename(taken)
        try:
            return taken.read_text()
        finally:
            taken.unlink()

    def get_table(self, exchange: str) -> Any:
        with self._table():
            return super().get_table(exchange)

    def _queue_bind(self, *args: Any) -> None:
        with self._table():
            super()._queue_bind(*args)

    @contextmanager
    def _table(self) -> Iterator[None]:
        """One process at a time is at the tables of exchanges: a new one, too, is empty before it is written."""
        with (self.control_folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:  # not by closing alone, since a process that was forked meanwhile has the file open too
                fcntl.flock(file, fcntl.LOCK_UN)


class Transport(filesystem.Transport):
    Channel = Channel
