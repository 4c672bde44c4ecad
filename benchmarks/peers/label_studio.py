"""Label Studio beside us: its own environment under var/, its two usual set-ups, and a labeler who uses its API.

The set-ups: as `label-studio start` gives it (SQLite, Django's threaded development server), and on PostgreSQL behind
gunicorn. No analytics, no version check, no error reports leave the machine.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load import Failed, Line
from benchmarks.servers import Server, serving
from labeling.processes import free_address
from tests.postgres import binaries

VERSION = "1.23.2"
PACKAGES = [f"label-studio=={VERSION}", "gunicorn"]
QUIET = {
    "COLLECT_ANALYTICS": "False",
    "LATEST_VERSION_CHECK": "False",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
}
CONFIG = """<View>
  <Header value="$prompt"/>
  <Pairwise name="choice" toName="first,second"/>
  <Text name="first" value="$first"/>
  <Text name="second" value="$second"/>
</View>"""
ANSWER = [
    {"from_name": "choice", "to_name": "first", "type": "pairwise", "value": {"selected": "left"}},
]
MAKE_USERS = """
import json, sys
from label_studio.server import _setup_env
_setup_env()
from organizations.models import Organization
from rest_framework.authtoken.models import Token
from users.models import User
owner = User.objects.get()
organization = Organization.objects.get()
keys = [owner.auth_token.key]
for number in range(int(sys.argv[1])):
    user = User.objects.create_user(email=f"labeler{number}@example.org", password=None)
    organization.add_user(user)
    user.active_organization = organization
    user.save(update_fields=["active_organization"])
    keys.append(Token.objects.get(user=user).key)
print(json.dumps(keys))
"""


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """A running Label Studio with an owner and some labelers."""

    server: Server
    owner: dict[str, str]
    labelers: tuple[dict[str, str], ...]

    def line(self) -> Line:
        return Line(self.server.address, self.owner)

    def make_project(self, tasks: Sequence[dict[str, Any]]) -> tuple[int, float]:
        """A pairwise project with these tasks; returns its id and the seconds that importing took."""
        line = self.line()
        project = line.call("POST", "/api/projects", {"title": "Bench", "label_config": CONFIG})["id"]
        body = json.dumps(tasks).encode()
        began = time.perf_counter()
        status, content = line.send("POST", f"/api/projects/{project}/import", body)
        seconds = time.perf_counter() - began
        line.close()
        if status != 201 or json.loads(content)["task_count"] != len(tasks):
            raise Failed(f"Label Studio's import was answered with {status}: {content[:300]!r}")
        return int(project), seconds

    def export(self, project: int) -> tuple[float, int]:
        """Export a project as JSON; returns the seconds that it took and how many tasks came."""
        line = self.line()
        began = time.perf_counter()
        status, content = line.send("GET", f"/api/projects/{project}/export?exportType=JSON")
        seconds = time.perf_counter() - began
        line.close()
        if status != 200:
            raise Failed(f"Label Studio's export was answered with {status}: {content[:300]!r}")
        return seconds, len(json.loads(content))


def task(prompt: str, first: str, second: str) -> dict[str, Any]:
    return {"data": {"prompt": prompt, "first": first, "second": second}}


def judged(row: dict[str, Any]) -> dict[str, Any]:
    """The task with an annotation on it."""
    return row | {"annotations": [{"result": ANSWER}]}


def label(line: Line, places: Sequence[int]) -> Iterator[int | None]:
    """Get the next task, then post its annotation, until no project has any left."""
    for project in places:
        while True:
            try:
                found = line.call("GET", f"/api/projects/{project}/next", expect=(200, 404))
                if found is None:
                    break
                annotation = {"result": ANSWER, "lead_time": 1.0}
                line.call("POST", f"/api/tasks/{found['id']}/annotations/?project={project}", annotation)
            except Failed as failure:
                line.trouble = str(failure)
                yield None
            else:
                yield found["id"]


def environment(var: Path) -> Path:
    """The folder of Label Studio's own virtual environment; made on the first call, which takes minutes."""
    folder = var / "peers" / "label-studio"
    mark = folder / "installed"
    if not mark.exists() or mark.read_text() != VERSION:
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True, stdout=sys.stderr)
        mark.write_text(VERSION)
    return folder


@contextmanager
def running(var: Path, folder: Path, people: int, database_url: str = "") -> Iterator[LabelStudio]:
    """Start Label Studio with its state in `folder`: on SQLite as `label-studio start` does, on PostgreSQL with
    gunicorn where an empty database is given. It is stopped at the end."""
    bin_ = environment(var) / "bin"
    prepared = _prepared(var, bin_, people, database_url)
    shutil.copytree(prepared, folder)
    if database_url:
        _postgres("pg_restore", "--no-owner", "-d", database_url, str(folder / "dump"))
    address, settings = free_address(), _settings(folder, database_url)
    if database_url:
        command, place = _gunicorn(bin_, address), _package(bin_)
    else:
        command, place = _start(bin_, address, folder), folder
    owner, *labelers = [
        {"Authorization": f"Token {key}"} for key in json.loads((folder / "keys.json").read_text())
    ]
    with serving(command, settings, place, folder / "log", address) as server:
        studio = LabelStudio(server, owner, tuple(labelers))
        studio.line().call("GET", "/api/projects")
        yield studio


def _prepared(var: Path, bin_: Path, people: int, database_url: str) -> Path:
    """State of a fresh installation with an owner and labelers. Label Studio needs minutes for its migrations, so it
    is made once, in the database given, and kept: on PostgreSQL as a dump."""
    kind = "postgres" if database_url else "sqlite"
    kept = var / "peers" / f"label-studio-{VERSION}-{kind}-{people}"
    if kept.exists():
        return kept
    making = kept.parent / f"{kept.name}.making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    keys = _install(bin_, _settings(making, database_url), making, people)
    (making / "keys.json").write_text(json.dumps(keys))
    if database_url:
        _postgres("pg_dump", "-Fc", "-f", str(making / "dump"), database_url)
        _postgres("psql", "-q", "-d", database_url, "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    making.rename(kept)
    return kept


def _postgres(tool: str, *arguments: str) -> None:
    subprocess.run(
        [shutil.which(tool) or binaries() / tool, *arguments], check=True, stdout=subprocess.DEVNULL
    )


def _settings(folder: Path, database_url: str) -> dict[str, str]:
    found = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        **QUIET,
    }
    if database_url:
        url = urlsplit(database_url)
        found |= {
            "DJANGO_SETTINGS_MODULE": "core.settings.label_studio",
            "DJANGO_DB": "default",
            "POSTGRE_HOST": url.hostname or "",
            "POSTGRE_PORT": str(url.port),
            "POSTGRE_USER": url.username or "",
            "POSTGRE_PASSWORD": url.password or "",
            "POSTGRE_NAME": url.path.strip("/"),
        }
    return found


def _install(bin_: Path, settings: dict[str, str], folder: Path, people: int) -> list[str]:
    """Make the tables, the owner and the labelers; returns their tokens, the owner's first."""
    account = ["--username", "ada@example.org", "--password", "benchmark-only", "--enable-legacy-api-token"]
    command = [str(bin_ / "label-studio"), "init", "--data-dir", str(folder), *account]
    _run(command, settings, folder)
    printed = _run([str(bin_ / "python"), "-c", MAKE_USERS, str(people)], settings, folder)
    keys: list[str] = json.loads(printed.strip().splitlines()[-1])
    return keys


def _start(bin_: Path, address: str, folder: Path) -> list[str]:
    host, port = address.split(":")
    where = ["--internal-host", host, "--port", port, "--data-dir", str(folder)]
    return [str(bin_ / "label-studio"), "start", "--no-browser", *where]


def _gunicorn(bin_: Path, address: str) -> list[str]:
    size = ["--workers", "2", "--threads", "16", "--timeout", "300"]
    return [str(bin_ / "python"), "-m", "gunicorn", "core.wsgi:application", "--bind", address, *size]


def _package(bin_: Path) -> Path:
    return next((bin_.parent / "lib").glob("python3.*/site-packages/label_studio"))


def _run(command: list[str], settings: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=settings, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
