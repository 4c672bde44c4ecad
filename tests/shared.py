"""What is made once for a whole run of the suite, however many test processes it has."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).parents[1]
VARIABLE = "PREFLOOP_TESTS_SHARED"
TEMPLATE = "prefloop_tests_template"


def open_folder() -> Path | None:
    """Make the folder of this run; its path, or None in a process that was given it by the one that started it."""
    if VARIABLE in os.environ:
        return None
    folder = Path(tempfile.mkdtemp(prefix="prefloop-tests-"))
    os.environ[VARIABLE] = str(folder)
    return folder


def close_folder(folder: Path) -> None:
    os.environ.pop(VARIABLE, None)
    shutil.rmtree(folder, ignore_errors=True)


def once(name: str, make: Callable[[Path], object]) -> Path:
    """The path of `name`, made by whichever process asks first; the others wait for it and must not change it."""
    path = Path(os.environ[VARIABLE]) / name
    with path.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            making = path.with_name(f"making-{name}")
            make(making)
            making.rename(path)
    return path


def migrated() -> Path:
    """An SQLite file with every migration applied and no row of anybody; to be copied.

    It is kept between runs of the suite under a name that says what it was made of.
    """
    kept = Path(tempfile.gettempdir()) / f"prefloop-{os.getuid()}-migrated-{_made_of()}.sqlite3"

    def take(path: Path) -> None:
        if not kept.exists():
            _migrate(f"sqlite:///{path}")
            shutil.copyfile(path, making := kept.with_suffix(f".{os.getpid()}"))
            making.rename(kept)
        shutil.copyfile(kept, path)

    return once("migrated.sqlite3", take)


def _made_of() -> str:
    """A hash of all migrations of ours, and of the versions of everybody else's."""
    found = hashlib.sha256((ROOT / ".ci" / "constraints.txt").read_bytes())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:24]


def template() -> str:
    """The name of a PostgreSQL database with every migration applied, to be copied."""

    def make(path: Path) -> None:
        url = os.environ["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
            server.execute(f"CREATE DATABASE {TEMPLATE}")
        _migrate(urlsplit(url)._replace(path=f"/{TEMPLATE}").geturl())
        path.touch()

    once("template", make)
    return TEMPLATE


def _migrate(url: str) -> None:
    own = {"DJANGO_SETTINGS_MODULE": "config.settings.test", "DATABASE_URL": url}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | own, check=True)
