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
from pathlib import Path

OWNER = "postgres"
CLUSTER = f"-U {OWNER} -A scram-sha-256 -E UTF8 --locale=C.UTF-8 --no-sync"
SPEED = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"


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


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a new server; whatever happens, it is stopped by its own folder and removed."""
    bin_, folder = binaries(), Path(tempfile.mkdtemp(prefix="prefloop-pg-"))
    data, password, port = folder / "data", secrets.token_hex(12), _free_port()
    (folder / "password").write_text(password)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(OWNER)
        for path in (folder, folder / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    try:
        _run(f"{bin_}/initdb -D {data} {CLUSTER} --pwfile={folder}/password")
        options = shlex.quote(f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 {SPEED}")
        _run(f"{bin_}/pg_ctl -D {data} -w -t 60 -l {folder}/log -o {options} start")
        yield f"postgres://{OWNER}:{password}@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            _run(f"{bin_}/pg_ctl -D {data} -w -m immediate stop")
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
