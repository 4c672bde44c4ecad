"""The processes of an installation on one machine: the web server and a worker with its scheduler."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
from django.conf import settings

from labeling.errors import Refused

QUEUES = "io,train,eval"
TRIES, PAUSE_SECONDS = 600, 0.2


def web_command(bind: str, threads: int = 8) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", bind, "--workers", "1",
        "--threads", str(threads), "--timeout", "120", "--log-level", "warning",
    ]  # fmt: skip


def worker_command() -> list[str]:
    return [
        sys.executable, "-m", "celery", "-A", "config", "-q", "worker", "-B", "-Q", QUEUES, "--pool", "threads",
        "--concurrency", "3", "--without-gossip", "--without-mingle", "-l", "WARNING",
    ]  # fmt: skip


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, in the project's folder. It ends when this process dies, however."""
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    return subprocess.Popen(command, cwd=settings.ROOT, start_new_session=True, env=dict(os.environ))


def stop(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """End a process and its group. A worker in the middle of a job is not waited for: its job is taken up again."""
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, wanted)
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                continue


def serve(*, bind: str, threads: int = 8, say: Callable[[str], Any], meanwhile: Callable[[], bool]) -> None:
    """Run both until interrupted, and call `meanwhile` twice a second until it returns False. Raises Refused when one
    ends by itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    processes = {"web server": start(web_command(bind, threads)), "worker": start(worker_command())}
    say(f"Prefloop is at http://{bind}/ (stop with Ctrl+C)")
    pause, more = threading.Event(), True
    try:
        while not (ended := [name for name, process in processes.items() if process.poll() is not None]):
            more = more and meanwhile()
            pause.wait(0.5)
        raise Refused(f"The {ended[0]} ended by itself; see its messages above. Is {bind} taken?")
    except KeyboardInterrupt:
        say("Stopping; running jobs go on from their last checkpoint at the next start.")
    finally:
        for process in processes.values():
            stop(process)


def free_address() -> str:
    """A loopback address with a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def running() -> Iterator[str]:
    """The web server and a worker on a free port, stopped at the end; yields the address once both are up."""
    address = free_address()
    processes = [start(web_command(address)), start(worker_command())]
    try:
        _wait_until_up(f"http://{address}/health/", processes)
        yield f"http://{address}"
    finally:
        for process in processes:
            stop(process)


def _wait_until_up(url: str, processes: list[subprocess.Popen[bytes]]) -> None:
    pause = threading.Event()
    for _ in range(TRIES):
        if any(process.poll() is not None for process in processes):
            raise Refused("The web server or the worker ended at once; see the messages above.")
        try:
            if httpx.get(url, timeout=5).json()["worker"]:
                return
        except httpx.HTTPError:
            pass
        pause.wait(PAUSE_SECONDS)
    raise Refused(f"The web server and the worker behind {url} did not come up; see the messages above.")
