"""Whether processes that others started are gone."""

import threading
from collections.abc import Iterable
from pathlib import Path


def all_ended(pids: Iterable[int]) -> bool:
    """Whether none of these runs any more, within half a minute: a signal takes a moment on a busy machine."""
    left, pause = list(pids), threading.Event()
    for _ in range(300):
        left = [pid for pid in left if _runs(pid)]
        if not left:
            return True
        pause.wait(0.1)
    return False


def _runs(pid: int) -> bool:
    """One that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False
