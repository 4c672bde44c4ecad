"""Ending what a recipe started beside itself and could not end: a server whose recipe was killed leaves its engine.

A process is known by a variable of its environment, which its own children inherit, so that whoever holds the run's
folder next, or the worker that saw the recipe die, finds all of them. Imports nothing heavy.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

MARK = "PREFLOOP_BESIDE"  # the folder of the run


def marked(folder: Path) -> dict[str, str]:
    """What the environment of a process beside the recipe of this folder must hold."""
    return {MARK: str(folder.resolve())}


def beside(folder: Path) -> list[int]:
    """The processes of this machine that were started beside the recipe of a run's folder."""
    wanted, found = f"{MARK}={folder.resolve()}".encode(), []
    for place in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in place.read_bytes().split(b"\0"):
                found.append(int(place.parent.name))
    return [pid for pid in found if pid != os.getpid()]


def end(folder: Path) -> None:
    """Kill them."""
    for pid in beside(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
