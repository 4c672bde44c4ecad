"""What every test stands on: a folder of its own for state, a database file that threads can share, and the people."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from pytest_django import DjangoDbBlocker

from evaluation.sheets import KEPT
from labeling.models import Project, User
from tests import order, shared, warm, world

SHARED = pytest.StashKey[Path | None]()
WARM = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Before the processes of `-n 2` are started, so that they share the folder."""
    config.stash[SHARED] = folder = shared.open_folder()
    if folder is not None:
        config.stash[WARM] = warm.start(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (server := config.stash.get(WARM, None)) is not None:
        server.communicate()
    if folder := config.stash.get(SHARED, None):
        shared.close_folder(folder)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A copy of what was migrated once. SQLite in a file: in memory, threads would share one connection, never race."""
    database = settings.DATABASES["default"]
    own = database.setdefault("TEST", {})
    if database["ENGINE"].endswith("sqlite3"):
        own["NAME"] = str(shutil.copyfile(shared.migrated(), tmp_path_factory.mktemp("db") / "test.sqlite3"))
    else:
        own["TEMPLATE"] = shared.template()


@pytest.fixture(scope="session")
def django_db_keepdb(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[bool]:
    """The copy of the migrated SQLite file is taken as it is; it goes with pytest's temporary folder."""
    copied = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    yield copied or bool(request.config.getvalue("reuse_db"))
    with django_db_blocker.unblock():
        connections.close_all()


@pytest.fixture(autouse=True)
def var(tmp_path: Path, settings: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All state of a test is under a folder of its own, also that of the processes it starts."""
    folder = tmp_path / "var"
    settings.PREFLOOP_VAR = folder  # type: ignore[attr-defined]
    monkeypatch.setenv("PREFLOOP_VAR", str(folder))
    cache.clear()
    KEPT.clear()
    return folder


@pytest.fixture
def project(db: None) -> Project:
    return world.make_project()


@pytest.fixture
def ada(db: None) -> User:
    return world.person("ada")


@pytest.fixture
def ben(db: None) -> User:
    return world.person("ben")


@pytest.fixture
def bea(db: None) -> User:
    return world.person("bea")


@pytest.fixture
def cleo(db: None) -> User:
    return world.person("cleo")


@pytest.fixture
def emma(db: None) -> User:
    return world.person("emma")


@pytest.fixture
def leo(db: None) -> User:
    return world.person("leo")


@pytest.fixture
def mallory(db: None) -> User:
    return world.person("mallory")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long units first, then the slow files: two processes end at the same time, and not one long after."""
    items.sort(key=lambda item: (order.place(item.nodeid), "slow" not in item.keywords))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.Units:
    return order.Units(config, log)
