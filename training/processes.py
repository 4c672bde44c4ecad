"""Recipe processes: started in a group of their own, watched, told to stop. Used by training and by scoring."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.conf import settings

from labeling.lifecycle import Lifecycle

POLL_SECONDS = 0.5
GRACE_SECONDS = 40  # shorter than the time after which a silent job is given to another worker
CANCEL_GRACE_SECONDS = 8  # a cancelled process is gone ten seconds after the click; it needs no checkpoint
LOG_FILE = "log.txt"
LAST_EVENTS = 64 * 1024  # bytes
DISK_IS_FULL = 1024**2  # bytes that are left where a process could not even write why it failed
STOPPED, BUSY = 75, 73

OFFLINE = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PREFLOOP_DIE_WITH_PARENT": "1",
    "PYTHONUNBUFFERED": "1",
}


class Stop(Exception):
    """Raised by the watcher to have the process stopped: it checkpoints and exits with 75."""


class Cancel(Stop):
    """Raised by the watcher when a person does not want the work any more: the process has less time to end."""


def beat(job: Lifecycle, progress: float | None = None) -> None:
    """Say that a job goes on; with some progress its process is at work.

    Raises Stop when the job is not ours any more, Cancel when a person asked it to stop.
    """
    if progress:
        job.begin()
    if not job.heartbeat(progress):
        raise Stop
    if job.cancel_requested():
        raise Cancel


def run_recipe(
    recipe: str,
    run_dir: Path,
    watch: Callable[[], None],
    environment: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Run `python -m training.recipes.<recipe> RUN_DIR` to its end and return its exit code.

    `watch` is called twice a second and once after the end. When it raises, the process group is asked to
    checkpoint and stop, and killed where it does not; Stop is swallowed, anything else goes on to the caller.
    `environment` is added to that of this process.
    """
    python = settings.PREFLOOP_RECIPE_PYTHON or sys.executable
    with (run_dir / LOG_FILE).open("ab") as log:
        process = subprocess.Popen(
            [python, "-m", f"training.recipes.{recipe}", str(run_dir)],
            cwd=settings.ROOT,
            env={**os.environ, **OFFLINE, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    grace = GRACE_SECONDS
    try:
        while process.poll() is None:
            watch()
            time.sleep(POLL_SECONDS)
        watch()
    except Cancel:
        grace = CANCEL_GRACE_SECONDS
    except Stop:
        pass
    finally:
        _end(process, grace)
    return process.returncode


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def killed_words(code: int) -> str:
    """A sentence for a process that a signal ended; empty for one that ended by itself."""
    if code >= 0:
        return ""
    return f"The process was killed by signal {-code}, often for want of memory: lower the batch size or the length."


def failure_words(run_dir: Path, code: int) -> str:
    """Why a process failed: its last error event, else the last line that it printed."""
    event = newest_event(run_dir, "error")
    if event is not None:
        return str(event.get("message", event))
    if shutil.disk_usage(run_dir).free < DISK_IS_FULL:
        return f"The disk of {run_dir} is full; free some space on it and start the run again."
    last = log_tail(run_dir, 600).strip().splitlines()
    return f"The process ended with code {code}: {last[-1] if last else 'it said nothing'}. See the log."


def newest_event(run_dir: Path, type: str) -> dict[str, Any] | None:
    """The values of the newest event of a type among the last ones; None where there is none."""
    for line in reversed(_end_of(run_dir / "events.jsonl", LAST_EVENTS).splitlines()):
        with suppress(ValueError):  # a line torn by a kill
            event = json.loads(line)
            if event["type"] == type:
                return dict(event["values"])
    return None


def log_tail(run_dir: Path, size: int = 4000) -> str:
    """The end of the process's own output; empty before it wrote any."""
    return _end_of(run_dir / LOG_FILE, size)


def _end_of(path: Path, size: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
