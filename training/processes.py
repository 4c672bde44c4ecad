"""Recipe processes: started in a group of their own, watched, told to stop. Used by training and by scoring."""

import json
import logging
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
from training.recipes import leftovers

log = logging.getLogger(__name__)

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
    "TORCHDYNAMO_DISABLE": "1",
    "PREFLOOP_DIE_WITH_PARENT": "1",
    "PYTHONUNBUFFERED": "1",
}


class Stop(Exception):
    """Raised by the watcher to have the process stopped: it checkpoints and exits with 75."""


class Cancel(Stop):
    """Raised by the watcher when a person does not want the work any more: the process has less time to end."""


def beat(job: Lifecycle, progress: float | None = None) -> None:
    """Say that a job goes on. Raises Stop when it is not ours any more, Cancel when a person asked it to stop."""
    if not job.heartbeat(progress):
        raise Stop
    if job.cancel_requested():
        raise Cancel


def run_recipe(
    recipe: str,
    run_dir: Path,
    watch: Callable[[], None],
    environment: Mapping[str, str] = MappingProxyType({}),
    every: float = POLL_SECONDS,
) -> int:
    """Run `python -m training.recipes.<recipe> RUN_DIR` to its end and return its exit code.

    `watch` is called twice a second (or as often as `every` says) and once after the end. When it raises, the process
    group is asked to checkpoint and stop, and killed where it does not; Stop is swallowed, anything else goes on to the
    caller.
    `environment` is added to that of this process.
    """
    try:
        end_orphan(run_dir, watch)
    except Stop:
        return STOPPED
    python = settings.PREFLOOP_RECIPE_PYTHON or sys.executable
    with (run_dir / LOG_FILE).open("ab") as output:
        process = subprocess.Popen(
            [python, "-m", f"training.recipes.{recipe}", str(run_dir)],
            cwd=settings.ROOT,
            env={**os.environ, **OFFLINE, "PREFLOOP_VLLM": settings.PREFLOOP_VLLM, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    grace = GRACE_SECONDS
    try:
        while process.poll() is None:
            watch()
            time.sleep(every)
        watch()
    except Cancel:
        grace = CANCEL_GRACE_SECONDS
    except Stop:
        pass
    finally:
        _end(process, grace)
        leftovers.end(run_dir)
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


def end_orphan(run_dir: Path, watch: Callable[[], None]) -> None:
    """End the process that a killed worker left in this folder, which is ours now: it may checkpoint first, and is
    killed where it takes too long. One on another machine is not seen from here."""
    pid, began = orphan(run_dir), time.monotonic()
    if pid is None:
        return
    log.warning("process %s of a worker that is gone is still in %s; it is asked to stop", pid, run_dir)
    _send(pid, signal.SIGTERM)
    while orphan(run_dir) == pid and (waited := time.monotonic() - began) < 2 * GRACE_SECONDS:
        watch()
        if waited > GRACE_SECONDS:
            _send(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    leftovers.end(run_dir)


def orphan(run_dir: Path) -> int | None:
    """The process that holds this folder's lock, if a worker started it; None where there is none on this machine."""
    with suppress(OSError, ValueError):
        pid = int((run_dir / "lock").read_text())
        place = Path(f"/proc/{pid}")
        ours = b"PREFLOOP_DIE_WITH_PARENT=1" in (place / "environ").read_bytes().split(b"\0")
        if ours and str(run_dir).encode() in (place / "cmdline").read_bytes().split(b"\0"):
            return pid
    return None


def _send(pid: int, wanted: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, wanted)


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
