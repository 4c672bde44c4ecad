"""Our own product, and the bare pair of views beside it, as a benchmark starts them: in a folder, on any database."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import inside
from benchmarks.servers import Server, process, serving
from labeling.processes import free_address, web_command, worker_command

ROOT = Path(__file__).parents[1]
BARE = "benchmarks.bare_django:application"


class Inside:
    """A process with our Django set up, in which functions are called from outside."""

    def __init__(self, settings: dict[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=inside.serve, args=(theirs, settings), daemon=True)
        self._process.start()

    def __call__(self, verb: Callable[..., Any], **arguments: Any) -> Any:
        """Call a function there; returns what it returns. Raises RuntimeError with its traceback."""
        try:
            self._connection.send((verb, arguments))
            done, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise RuntimeError(f"{verb.__name__} ended its process with {self._process.exitcode}") from error
        if not done:
            raise RuntimeError(answer)
        return answer

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._connection.send(None)
        self._process.join()


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation of ours: its state lies in `folder`, its rows there (SQLite) or in the database given."""

    folder: Path
    database_url: str = ""

    @property
    def settings(self) -> dict[str, str]:
        found = {
            "PREFLOOP_VAR": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            "LOG_LEVEL": "ERROR",
        }
        return found | ({"DATABASE_URL": self.database_url} if self.database_url else {})

    @contextmanager
    def inside(self) -> Iterator[Inside]:
        opened = Inside(self.settings)
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """The web process: as we start it on SQLite; with gunicorn's 2 workers of 16 threads on PostgreSQL."""
        address = free_address()
        command = gunicorn("config.wsgi", address) if self.database_url else web_command(address)
        with serving(command, self._environment(), ROOT, self.folder / "web.log", address) as server:
            yield server

    @contextmanager
    def working(self) -> Iterator[int]:
        """A worker with its scheduler, as we start it."""
        with process(worker_command(), self._environment(), ROOT, self.folder / "worker.log") as pid:
            yield pid

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | self.settings


def gunicorn(application: str, address: str) -> list[str]:
    size = ["--workers", "2", "--threads", "16", "--timeout", "120", "--log-level", "warning"]
    return [sys.executable, "-m", "gunicorn", application, "--bind", address, *size]


@contextmanager
def bare_running(folder: Path, items: int, database_url: str = "") -> Iterator[Server]:
    """The bare pair of views, filled with items, by the very command that serves ours on this kind of database."""
    folder.mkdir(parents=True)
    address = free_address()
    ours = gunicorn(BARE, address) if database_url else web_command(address)
    command = [BARE if part == "config.wsgi" else part for part in ours]
    assert BARE in command, f"our web command no longer names config.wsgi: {ours}"
    plain = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    settings = plain | {"BARE_FOLDER": str(folder)} | ({"DATABASE_URL": database_url} if database_url else {})
    context = multiprocessing.get_context("spawn")
    filling = context.Process(target=inside.fill_bare, args=(settings, items))
    filling.start()
    filling.join()
    with serving(command, settings, ROOT, folder / "web.log", address) as server:
        yield server
