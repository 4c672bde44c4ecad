"""Engine, worker and database connection are killed mid-run; what comes out is what an undisturbed run gives."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import DatabaseError, InterfaceError, connection, connections

from evaluation.engines.fake import FakeEngine
from evaluation.execution import drive
from evaluation.models import CaseScore, EvalRun, Output, Score
from evaluation.planning import plan_evaluation
from labeling.lifecycle import Status
from labeling.models import Project
from tests import shared
from tests.evaluation.planned import Bill, a_suite, tuned
from tests.tiny_model import ROOT, tiny_model

pytestmark = pytest.mark.data_layer


def numbers(run: EvalRun) -> list[Any]:
    return list(
        Score.objects.filter(run=run)
        .order_by("target__index", "metric", "slice", "versus_id")
        .values_list("target__index", "metric", "slice", "value", "low", "high", "n", "p_value")
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("after", [3, 30])
def test_a_database_connection_that_dies_in_the_middle_loses_and_doubles_nothing(
    bill: Bill, monkeypatch: pytest.MonkeyPatch, after: int, project: Project
) -> None:
    suite, candidate = a_suite(project), tuned(project)
    run = plan_evaluation(project=project, suite=suite, checkpoints=[candidate], person=None, engine="fake")
    answer = FakeEngine.answer

    def cutting(self: FakeEngine, request: Any) -> Any:
        if len(bill.asked) == after:
            cut_connection()
        return answer(self, request)

    monkeypatch.setattr(FakeEngine, "answer", cutting)
    with suppress(
        DatabaseError, InterfaceError
    ):  # where no other connection opens, it cannot say that it gives up
        drive(run)
    monkeypatch.setattr(FakeEngine, "answer", answer)
    connection.close()
    given_back = EvalRun.objects.get()
    if given_back.status != Status.QUEUED:
        assert given_back.status in (Status.STARTING, Status.RUNNING)
        EvalRun.objects.update(heartbeat_at=given_back.created_at.replace(year=2020))
        assert EvalRun.sweep() == 1
    drive(EvalRun.objects.get())
    done = EvalRun.objects.get()
    assert done.status == Status.SUCCEEDED
    assert max(Counter(bill.asked).values()) == 1
    assert (Output.objects.count(), CaseScore.objects.count()) == (48, 72)
    undisturbed = plan_evaluation(
        project=project, suite=suite, checkpoints=[candidate], person=None, engine="fake"
    )
    drive(undisturbed)
    assert numbers(done) == numbers(undisturbed)


def cut_connection() -> None:
    """End the connection from outside, as a failing network or a restarted server does."""
    if connection.vendor == "postgresql":
        assert connection.connection is not None
        pid = connection.connection.info.backend_pid
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()
    else:
        assert connection.connection is not None
        connection.connection.close()


@pytest.mark.heavy
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the processes have a database of their own")
def test_killed_engines_and_workers_ask_nothing_twice_and_change_no_number(tmp_path: Path) -> None:
    quiet, rough = (
        Installation(tmp_path / "quiet"),
        Installation(tmp_path / "rough", PREFLOOP_RECIPE_PYTHON=""),
    )
    assert quiet.worker().wait() == 0
    for victim in ("engine", "worker"):
        rough.kill(victim)
    assert rough.settled() == quiet.settled()
    lines = [line for path in rough.var.rglob("answers.jsonl") for line in path.read_text().splitlines()]
    ids = [json.loads(line)["id"] for line in lines if line.endswith("}")]
    assert max(Counter(ids).values()) == 1
    assert len(ids) == 80  # an answer and a likelihood for each case


class Installation:
    """A folder with a database, a suite and a base model; workers are processes that carry its one evaluation."""

    def __init__(self, var: Path, **settings: str) -> None:
        self.var = var
        var.mkdir()
        shutil.copyfile(shared.migrated(), var / "db.sqlite3")
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            "PREFLOOP_VAR": str(var),
            "DATABASE_URL": f"sqlite:///{var / 'db.sqlite3'}",
            "PREFLOOP_VLLM": "",
            "PREFLOOP_HEARTBEAT_TIMEOUT_S": "1",
            "OMP_NUM_THREADS": "1",
            **settings,
        }
        self.python("-m", "tests.evaluation.installing", str(tiny_model()))

    def python(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        return done.stdout

    def worker(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.evaluation.installing", "work"], cwd=ROOT, env=self.environment
        )

    def kill(self, victim: str) -> None:
        """Start a worker, wait until more is answered than before, and kill it, or the engine that it started."""
        before, worker = self.answered(), self.worker()
        while self.answered() <= before and worker.poll() is None:
            pass
        if victim == "worker":
            worker.kill()
            worker.wait()
            return
        for child in psutil.Process(worker.pid).children(recursive=True):
            os.kill(child.pid, signal.SIGKILL)
        worker.wait()

    def answered(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self.var.rglob("answers.jsonl"))

    def settled(self) -> list[Any]:
        """The numbers of the evaluation, after as many workers as it takes."""
        for _ in range(5):
            if self.worker().wait() == 0:
                break
        found: list[Any] = json.loads(
            self.python("-m", "tests.evaluation.installing", "numbers").splitlines()[-1]
        )
        return found
