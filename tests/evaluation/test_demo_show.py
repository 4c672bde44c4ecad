"""What the demo does while a newcomer looks around."""

from typing import Any

import pytest
from django.db import OperationalError

from evaluation.demo import show
from evaluation.models import EvalRun, Suite
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
