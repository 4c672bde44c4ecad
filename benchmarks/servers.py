"""Servers that a benchmark starts and stops: each in a process group of its own, known by its id."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from labeling.processes import stop

PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `pid` is the root of its process tree."""

    address: str
    pid: int

    def processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time that the tree has used so far, its ended children included."""
        total = 0.0
        for process in self.processes():
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def resident_mb(self) -> float:
        return float(sum(process.memory_info().rss for process in self.processes()) / 1e6)


@contextmanager
def process(command: list[str], environment: dict[str, str], folder: Path, log: Path) -> Iterator[int]:
    """Run a command in the background; yields its id. It ends with this block, or when this process dies."""
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    with log.open("ab") as output:
        started = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield started.pid
    finally:
        stop(started, grace=10)


@contextmanager
def serving(
    command: list[str], environment: dict[str, str], folder: Path, log: Path, address: str
) -> Iterator[Server]:
    """Run a web server; yields it once its port answers."""
    with process(command, environment, folder, log) as pid:
        wait_for_port(address, pid, log)
        yield Server(address, pid)


def wait_for_port(address: str, pid: int, log: Path) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            break
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The server on {address} did not come up: {log.read_text()[-2000:]}")


def steal_ticks() -> tuple[int, int]:
    """Time that the host took from this machine, and all time, in ticks of the kernel; zeros where it is not told."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return 0, 0
    return fields[7], sum(fields)
