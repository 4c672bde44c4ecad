"""A throw-away PostgreSQL: `python -m tests.postgres -- COMMAND…` runs COMMAND with DATABASE_URL set.

The cluster lives in a temporary folder and listens on a free loopback port. PostgreSQL refuses to run as root; root
hands the folder to the user `postgres`.
"""

import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OWNER = "postgres"
CLUSTER = f"-U {OWNER} -A scram-sha-256 -E UTF8 --locale=C.UTF-8 --no-sync"
ROOM = "-c max_connections=200"
SPEED = f"{ROOM} -c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def binaries() -> Path:
    """The folder of initdb and pg_ctl. Raises RuntimeError where PostgreSQL is not installed."""
    found = shutil.which("pg_ctl")
    folders = (
        [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise RuntimeError("PostgreSQL's initdb was not found; install the package postgresql")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server that can be ended as by a crash and started again. Ended so, it loses what was not written yet."""

    folder: Path
    port: int
    password: str
    options: str

    @property
    def url(self) -> str:
        return f"postgres://{OWNER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = shlex.quote(f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 {self.options}")
        self._control(f"-w -t 60 -l {self.folder}/log -o {options} start")

    def crash(self) -> None:
        """All its processes end at once, without a checkpoint: the next start recovers from the log."""
        self._control("-w -m immediate stop")

    def _control(self, command: str) -> None:
        _run(f"{binaries()}/pg_ctl -D {self.folder}/data {command}")


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a new server that is fast and would not survive the machine's crash."""
    with cluster(SPEED) as found:
        yield found.url


@contextmanager
def cluster(options: str = ROOM) -> Iterator[Cluster]:
    """Yield a new server, with PostgreSQL's own durability unless told otherwise; whatever happens, it is stopped by
    its own folder and removed."""
    folder = Path(tempfile.mkdtemp(prefix="prefloop-pg-"))
    found = Cluster(folder, _free_port(), secrets.token_hex(12), options)
    (folder / "password").write_text(found.password)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(OWNER)
        for path in (folder, folder / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    try:
        _run(f"{binaries()}/initdb -D {folder}/data {CLUSTER} --pwfile={folder}/password")
        found.start()
        yield found
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            found.crash()
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: str) -> None:
    argv = ["su", "-s", "/bin/sh", OWNER, "-c", command] if os.geteuid() == 0 else ["/bin/sh", "-c", command]
    # The server inherits the descriptors of pg_ctl, so they must not be pipes that somebody waits for.
    with tempfile.TemporaryFile("w+") as output:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        code = subprocess.run(argv, **quiet, cwd="/", check=False).returncode
        if code:
            output.seek(0)
            raise RuntimeError(f"{command.split()[0]} ended with {code}: {output.read()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(argv: list[str]) -> int:
    command = argv[1:] if argv[:1] == ["--"] else argv
    if not command:
        print("usage: python -m tests.postgres -- COMMAND…", file=sys.stderr)
        return 64
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped then, too
    with server() as url:
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
