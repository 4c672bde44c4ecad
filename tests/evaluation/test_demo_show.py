"""What the demo does while a newcomer looks around."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from evaluation.demo import show
from evaluation.models import EvalRun, Suite
from labeling import processes
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project
from tests.evaluation.policing import ended
from tests.training.runs import launched


def test_the_first_run_is_evaluated_once_when_it_is_trained(
    project: Project, emma: Any, suite: Suite
) -> None:
    said: list[str] = []
    look = show.evaluating(project, say=said.append)
    assert look() is False, "a project without a run has nothing to wait for"
    run = launched(project)
    assert (look(), EvalRun.objects.count()) == (True, 0)
    ended(run)
    assert look() is False
    planned = EvalRun.objects.get()
    assert [target.name for target in planned.targets.order_by("index")] == [run.base.name, run.name]
    assert (planned.suite, planned.created_by) == (suite, emma)
    assert look() is False
    assert (EvalRun.objects.count(), len(said)) == (1, 1)


def test_a_run_that_fails_is_not_waited_for(project: Project, suite: Suite) -> None:
    ended(launched(project), Status.FAILED)
    assert show.evaluating(project, say=print)() is False
    assert not EvalRun.objects.exists()


@pytest.mark.parametrize(("fault", "more"), [(OperationalError("locked"), True), (Refused("No."), False)])
def test_what_keeps_it_from_being_planned_does_not_end_the_site(
    project: Project, emma: Any, suite: Suite, monkeypatch: pytest.MonkeyPatch, fault: Exception, more: bool
) -> None:
    def refuse(**_: Any) -> None:
        raise fault

    ended(launched(project))
    monkeypatch.setattr(show, "plan_evaluation", refuse)
    assert show.evaluating(project, say=print)() is more


def test_a_site_does_something_meanwhile_and_ends_with_its_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[int] = []

    def meanwhile() -> bool:
        called.append(1)
        if len(called) == 2:
            (tmp_path / "end").touch()
        return len(called) < 2

    until = (
        f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'end')!r}).exists(): time.sleep(0.05)"
    )
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(
        processes, "web_command", lambda *_: [sys.executable, "-c", "import time; time.sleep(600)"]
    )
    monkeypatch.setattr(processes, "worker_command", lambda: [sys.executable, "-c", until])
    said: list[str] = []
    with pytest.raises(Refused, match="The worker ended by itself"):
        processes.serve(bind="127.0.0.1:1", say=said.append, meanwhile=meanwhile)
    assert len(called) == 2, "it is not asked again after it said that it is done"
    assert said == ["Prefloop is at http://127.0.0.1:1/ (stop with Ctrl+C)"]
