"""The wiring: environment readers, production settings, health, what web processes import."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import Client

from config import celery, env
from labeling.workers import record_pulse, worker_alive
from tests import shared, world

ROOT = Path(__file__).parents[1]
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.prod",
    "SECRET_KEY": "x" * 60,
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "ALLOWED_HOSTS": "prefloop.example",
}


def python(code: str, var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**inherited, "PREFLOOP_VAR": str(var), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"), [("1", True), ("yes", True), ("On", True), ("0", False), ("", False)]
)
def test_a_flag_reads_the_usual_words(monkeypatch: pytest.MonkeyPatch, given: str, expected: bool) -> None:
    monkeypatch.setenv("SOME_FLAG", given)
    assert env.flag("SOME_FLAG", not expected) is expected


def test_a_setting_that_cannot_be_read_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NUMBER", "many")
    monkeypatch.setenv("SOME_FLAG", "perhaps")
    monkeypatch.setenv("SOME_SECRET_FILE", "/nowhere/at/all")
    for read in (
        lambda: env.number("SOME_NUMBER", 1),
        lambda: env.flag("SOME_FLAG", False),
        lambda: env.text("SOME_SECRET"),
        lambda: env.text("NOT_GIVEN_AT_ALL"),
    ):
        with pytest.raises(ImproperlyConfigured, match=r"SOME_|NOT_GIVEN"):
            read()


def test_a_secret_can_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("SOME_SECRET_FILE", str(tmp_path / "secret"))
    assert env.text("SOME_SECRET") == "from a file"


def test_a_list_leaves_out_empty_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_WORDS", " a, ,b,")
    assert env.words("SOME_WORDS") == ["a", "b"]


@pytest.mark.parametrize("missing", ["SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL"])
def test_production_does_not_start_without_its_secrets(tmp_path: Path, missing: str) -> None:
    given = {key: value for key, value in PRODUCTION.items() if key != missing}
    done = python("import django; django.setup()", tmp_path, **given)
    assert done.returncode != 0
    assert f"{missing} is not set; give it, or {missing}_FILE" in done.stderr


def test_production_passes_djangos_own_checks(tmp_path: Path) -> None:
    start = "import django; django.setup(); from django.core.management import call_command"
    done = python(f"{start}; call_command('check', deploy=True, fail_level='ERROR')", tmp_path, **PRODUCTION)
    assert done.returncode == 0, done.stderr


CHECKED = """
import django; django.setup()
from django.conf import settings
from django.core.management import call_command
call_command("check", deploy=True)
print(settings.EMAIL_BACKEND.split(".")[-2], settings.EMAIL_HOST)
"""


def test_production_sends_mail_once_a_mail_server_is_named_and_says_what_reaches_nobody_until_then(
    tmp_path: Path,
) -> None:
    bare = python(CHECKED, tmp_path, **PRODUCTION, EMAIL_BACKEND="", EMAIL_HOST="")
    assert bare.stdout.splitlines()[-1] == "console localhost"
    assert "(prefloop.W001) PREFLOOP_URL is 'http://127.0.0.1:8000'" in bare.stderr
    assert "(prefloop.W002) Mail is only printed and reaches nobody." in bare.stderr
    named = {"EMAIL_HOST": "smtp.example.org", "PREFLOOP_URL": "https://prefloop.example"}
    done = python(CHECKED, tmp_path, **PRODUCTION, **named)
    assert done.stdout.splitlines()[-1] == "smtp smtp.example.org"
    assert "prefloop.W" not in done.stderr


def test_the_demo_makes_a_secret_key_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    code = "import django; django.setup(); from django.conf import settings; print(settings.SECRET_KEY)"
    first, second = (python(code, tmp_path, DJANGO_SETTINGS_MODULE="config.settings.dev") for _ in range(2))
    assert first.stdout == second.stdout
    assert len(first.stdout.strip()) >= 50
    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0


HEAVY = ("torch", "transformers", "trl", "peft", "vllm", "scipy", "datasets", "accelerate", "statsmodels")
VISIT = """
import json, sys
import config.wsgi
from django.test import Client
from django.urls import reverse
from tests import shared, world
from tests.training.runs import judged_version, launched, root_checkpoint
from evaluation.planning import plan_evaluation
from evaluation.suites import suite_from_split
project = world.make_project()
version = judged_version(project)
run = launched(project, version)
suite = suite_from_split(version=version, split="test", person=None)
evaluation = plan_evaluation(project=project, suite=suite, checkpoints=[root_checkpoint()], person=None)
world.fill(project, 3, start=100)
client = world.sign_in(world.person("ada"))
item = project.items.first().pk
pages = {"labeling": ["rank", "items", ("item", item), "imports", "people", "agreement", "datasets", ("dataset", 1)],
         "training": ["runs", ("run", run.pk), "checkpoints"],
         "evaluation": ["dashboard", "evaluations", ("evaluation", evaluation.pk), "suites", ("suite", suite.pk),
                        "leaderboard", "judges", "endpoints", "generations", "generation_new", "decisions",
                        ("gate", suite.pk)]}
answers = {}
for app, names in pages.items():
    for name in names:
        name, *args = name if isinstance(name, tuple) else (name,)
        answers[f"{app}:{name}"] = client.get(reverse(f"{app}:{name}", args=[project.slug, *args])).status_code
for url in ("/", "/account/tokens/", "/account/login/", "/health/", "/api/v1/schema/", "/admin/login/"):
    answers[url] = client.get(url).status_code
print(json.dumps({"answers": answers, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def test_a_web_process_that_served_every_page_has_not_imported_the_ml_stack(tmp_path: Path) -> None:
    database = shutil.copyfile(shared.migrated(), tmp_path / "db.sqlite3")
    own = {"DJANGO_SETTINGS_MODULE": "config.settings.dev", "DATABASE_URL": f"sqlite:///{database}"}
    done = python(VISIT, tmp_path, ALLOWED_HOSTS="testserver", **own)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert set(found["answers"].values()) <= {200, 302}, found["answers"]
    assert not set(HEAVY) & set(found["modules"])


@pytest.mark.django_db
def test_health_says_whether_the_database_answers_and_a_worker_is_alive() -> None:
    assert Client().get("/health/").json() == {"database": True, "worker": False}
    record_pulse(name="worker@here")
    assert worker_alive() is True
    assert Client().get("/health/").json() == {"database": True, "worker": True}


@pytest.mark.django_db
def test_a_pulse_survives_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the worker would go on working, and every page would say that none runs."""
    said: list[str] = []

    def pulse(name: str) -> None:
        said.append(name)
        if len(said) == 1:
            raise OperationalError("database is locked")
        celery._stop.set()

    monkeypatch.setattr("labeling.workers.record_pulse", pulse)
    monkeypatch.setattr("labeling.workers.PULSE_SECONDS", 0)
    monkeypatch.setattr(celery, "_stop", threading.Event())
    celery._beat("worker@here")
    assert said == ["worker@here"] * 2


def test_a_page_says_so_when_no_worker_is_alive(project: Any, emma: Any) -> None:
    client = world.sign_in(emma)
    before = client.get(f"/p/{project.slug}/imports/").text
    record_pulse(name="worker@here")
    after = client.get(f"/p/{project.slug}/imports/").text
    assert "worker" in before.lower()
    assert before != after


@pytest.mark.django_db
def test_a_stranger_cannot_sign_up_unless_the_doors_are_open(settings: Any) -> None:
    form = {"username": "mallory", "password1": "a long password 1", "password2": "a long password 1"}
    Client().post("/account/signup/", form)
    closed = world.User.objects.filter(username="mallory").exists()
    settings.PREFLOOP_OPEN_SIGNUP = True
    Client().post("/account/signup/", form)
    assert (closed, world.User.objects.filter(username="mallory").exists()) == (False, True)


@pytest.mark.django_db
def test_every_page_carries_a_content_security_policy_without_exceptions() -> None:
    policy = Client().get("/account/login/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
