"""A better candidate that forgot what another suite measures is not promoted, whichever run came last."""

from typing import Any

import pytest

from evaluation.comparison import Side
from evaluation.forgetting import forgetting
from evaluation.models import EvalRun, Gate, RunTarget, SuiteVersion
from labeling.models import Project
from tests.evaluation.finished import finished, suite_of
from tests.evaluation.gating import EVEN, Marks, listed, marks, pair

pytestmark = pytest.mark.django_db
Gated = tuple[EvalRun, RunTarget, SuiteVersion]


@pytest.fixture
def gated(project: Project) -> Gated:
    """A finished run, its candidate, and the suite that its gate watches against forgetting."""
    run, target = pair(project, EVEN, EVEN)
    other = suite_of(project, 200, name="General skills")
    Gate.objects.create(suite=run.suite, forgetting=other.suite, forgetting_margin=0.03)
    return run, target, other


def found(gated: Gated) -> dict[str, Any]:
    """The conditions by their keys."""
    run, target, _ = gated
    sides = Side(run, run.targets.get(index=0)), Side(run, target)
    return {each.key: each for each in forgetting(run.suite.gate, sides)}


def scored(gated: Gated, champion: Marks, candidate: Marks, **options: Any) -> EvalRun:
    values = {"champion": listed(champion), "candidate": listed(candidate)}
    if options.pop("turned", False):
        values = dict(reversed(values.items()))
    return finished(gated[0].project, values, version=gated[2], **options)


def test_forgetting_waits_for_a_run_of_both_and_then_reads_it(gated: Gated) -> None:
    waits = found(gated)["forgetting"]
    assert not waits.passed
    assert "have not been scored on General skills" in waits.words
    forgot = scored(gated, marks(180, 200), marks(120, 200))
    assert not found(gated)["forgetting"].passed
    assert found(gated)["forgetting"].numbers["run"] == forgot.pk
    scored(gated, marks(180, 200), marks(190, 200))
    assert found(gated)["forgetting"].passed
    assert found(gated)["missing"].label == "Every case of General skills scored"
    assert found(gated)["missing"].passed


@pytest.mark.parametrize("contexts", ["none", "shuffled"])
def test_a_later_run_that_nobody_is_promoted_by_flips_nothing(gated: Gated, contexts: str) -> None:
    forgot = scored(gated, marks(180, 200), marks(100, 200))
    scored(gated, marks(20, 200), marks(22, 200), contexts=contexts)
    assert not found(gated)["forgetting"].passed
    assert found(gated)["forgetting"].numbers["run"] == forgot.pk


def test_nothing_forgotten_on_few_scored_cases_is_not_nothing_forgotten(gated: Gated) -> None:
    scored(gated, [1.0] * 200, [1.0] * 120 + [None] * 80)
    assert found(gated)["forgetting"].passed
    assert not found(gated)["missing"].passed
    assert "candidate has no value of its own in exact on 80 of 200 cases" in found(gated)["missing"].words


def test_a_judge_that_nobody_checked_does_not_say_that_nothing_was_forgotten(gated: Gated) -> None:
    run = scored(gated, marks(180, 200), marks(190, 200))
    assert "judge" not in found(gated)
    run.spec["metrics"][0]["judge"] = 99
    run.save()
    assert found(gated)["judge"].passed is False


def test_a_metric_against_the_baseline_tells_of_that_baseline_only(gated: Gated) -> None:
    better = {"metrics": ("pairwise",)}
    values = [0.9] * 200
    right = scored(gated, values, values, **better)
    scored(gated, values, values, turned=True, **better)
    assert found(gated)["forgetting"].numbers["run"] == right.pk
