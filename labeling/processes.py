"""The processes of an installation on one machine: the web server and a worker with its scheduler."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2 as httpx
from django.conf import settings

from labeling.errors import Refused

QUEUES = "io,train,eval"
TRIES, PAUSE_SECONDS = 600, 0.2
SETTLED_SECONDS = 60  # a worker that ends earlier ended because of how it is set up


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
    with suppress(ProcessLookupError):  # what it left: the scheduler of a worker that was killed
        os.killpg(process.pid, signal.SIGKILL)


def serve(*, bind: str, threads: int = 8, say: Callable[[str], Any], meanwhile: Callable[[], bool]) -> None:
    """Run both until interrupted, and call `meanwhile` twice a second until it returns False. A worker that was killed
    is followed by another. Raises Refused when the web server ends by itself, or a worker as soon as it began."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    web, worker, began = start(web_command(bind, threads)), start(worker_command()), time.monotonic()
    say(f"Prefloop is at http://{bind}/ (stop with Ctrl+C)")
    pause, more = threading.Event(), True
    try:
        while web.poll() is None:
            if worker.poll() is not None:
                if time.monotonic() - began < SETTLED_SECONDS:
                    break
                say("The worker ended by itself; see its messages above. Another takes up its jobs.")
                stop(worker)
                worker, began = start(worker_command()), time.monotonic()
            more = more and meanwhile()
            pause.wait(0.5)
        ended = "worker" if web.poll() is None else "web server"
        raise Refused(f"The {ended} ended by itself; see its messages above. Is {bind} taken?")
    except KeyboardInterrupt:
        say("Stopping; running jobs go on from their last checkpoint at the next start.")
    finally:
        for process in (web, worker):
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
