"""The processes of an installation on one machine: the web server and a worker with its scheduler."""

import os
import shutil
import signal
import subprocess
import sys

from django.conf import settings

QUEUES = "io,train,eval"


def web_command(bind: str, threads: int = 8) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", bind, "--workers", "1",
        "--threads", str(threads), "--timeout", "120", "--log-level", "warning",
    ]  # fmt: skip


def worker_command() -> list[str]:
    return [
        sys.executable, "-m", "celery", "-A", "config", "worker", "-B", "-Q", QUEUES, "--pool", "threads",
        "--concurrency", "3", "--without-gossip", "--without-mingle", "-l", "WARNING",
        "--schedule", settings.CELERY_BEAT_SCHEDULE_FILENAME,
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
