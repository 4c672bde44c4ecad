"""A real server, a real worker and a real Chromium, once for each test process."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from labeling.processes import running
from tests import shared
from tests.browser import world
from tests.browser.verdicts import SLUG
from tests.tiny_model import tiny_model

ROOT = Path(__file__).parents[2]
# What is waited for comes within a second; this is for a machine that does other work at the same time.
expect.set_options(timeout=20_000)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an installation with people and items, served by the processes that `manage.py serve` starts."""
    folder = tmp_path_factory.mktemp("site")
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        "PREFLOOP_VAR": str(folder / "var"),
        "OMP_NUM_THREADS": "1",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        shutil.copyfile(shared.migrated(), folder / "db.sqlite3")
        subprocess.run([sys.executable, "-m", "tests.browser.world", str(tiny_model())], cwd=ROOT, check=True)
        with running() as address:
            yield address


@pytest.fixture(autouse=True)
def worker_lives(site: str) -> Iterator[None]:
    """Say which test the worker ended in; every later one would only wait for it in vain."""
    yield
    pause = threading.Event()
    for _ in range(
        60
    ):  # a pulse may be late by half a minute, where the machine stands still or the database is busy
        if httpx.get(f"{site}/health/", timeout=60).json()["worker"]:
            return
        pause.wait(1)
    pytest.fail("The worker of this site has ended.")


@pytest.fixture(scope="session")
def verdict(site: str) -> str:
    """The address of a finished evaluation."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.verdicts"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return f"{site}/p/{SLUG}/evaluations/{done.stdout.split()[-1]}/"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Closed after each module: while Playwright's loop lives, Django refuses the database to the tests that follow."""
    path = shutil.which("chromium") or "/usr/bin/chromium"
    assert os.access(path, os.X_OK), "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that fails the test when a script throws or the content policy blocks something."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda message: faults.append(message.text) if "Content Security" in message.text else None
    )
    yield page
    context.close()
    assert faults == []


def sign_in(page: Page, site: str, name: str) -> None:
    """Sign in by keyboard, as people do."""
    page.goto(f"{site}/account/login/")
    page.locator("[name=login]").focus()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(world.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/")
