"""How many held-out siblings close at a checkpoint, whether chance brings that too, and what the metric gains by it."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse

from evaluation.errors.reading import record
from evaluation.models import Case, ErrorRead, EvalRun
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import always
from tests.evaluation.fixing import (
    KEY,
    analysed,
    base_marks,
    cases_of,
    closed_by,
    cured,
    entry,
    evaluated,
    failed_run,
    is_family,
    judged_and_frozen,
    opened,
    planted,
    shaken,
    trained_on,
)

pytestmark = pytest.mark.django_db


def test_a_cured_family_is_closed_and_what_its_siblings_gained_is_told_from_the_rest(
    project: Project,
) -> None:
    closing = closed_by(project, cured).closing
    assert closing is not None
    assert closing.closed is not None
    assert closing.chance is not None
    assert closing.gained is not None
    assert closing.rise is not None
    assert closing.closed.low > 0.5 > closing.chance.high
    assert closing.failing == 20
    assert closing.controls == 30
    fixed = round(closing.closed.value * 20)
    assert closing.gained.value == pytest.approx(fixed / 80)
    assert closing.rise.value == pytest.approx((fixed + 3) / 80)


def only_family(case: int, metric: str) -> float:
    """All of the family passes, and nothing else changes."""
    return 1.0 if is_family(case) else base_marks(case, metric)


def test_where_all_siblings_close_all_of_the_ceiling_is_gained(
    project: Project, emma: User, leo: User
) -> None:
    run = failed_run(project)
    fix = opened(project, run, analysis=analysed(run, leo)).fix
    evaluated(fix, trained_on(project, judged_and_frozen(project)), only_family)
    closing = entry(fix).closing
    assert closing is not None
    assert closing.closed is not None
    assert fix.ceiling is not None
    assert (closing.closed.value, fix.ceiling.value) == (
        1.0,
        pytest.approx(0.4),
    )  # of the suite with its lessons
    assert closing.gained == closing.ceiling == closing.rise
    assert closing.ceiling is not None
    assert (closing.ceiling.value, closing.ceiling.n) == (pytest.approx(20 / 80), 80)
    page = world.sign_in(leo).get(reverse("evaluation:fix", args=[project.slug, fix.pk])).text
    assert "They gained +25.0 points of at most +25.0 points" in page
    ledger = world.sign_in(leo).get(reverse("evaluation:ledger", args=[project.slug])).text
    assert ledger.count("+25.0 points") == 2
    assert "40.0" not in ledger


def test_siblings_that_broke_lessen_what_was_gained(project: Project) -> None:
    fix = opened(project).fix
    held = {case.position for case in cases_of(fix, "sibling")}
    first = sorted(held)[:8]

    def before(case: int, metric: str) -> float:
        return float(case in first) if is_family(case) else base_marks(case, metric)

    def after(case: int, metric: str) -> float:
        return float(case not in first) if is_family(case) else base_marks(case, metric)

    evaluated(fix, trained_on(project, judged_and_frozen(project)), after, base=before)
    closing = entry(fix).closing
    assert closing is not None
    assert closing.gained is not None
    assert closing.ceiling is not None
    assert (closing.failing, closing.fixed, closing.broken) == (12, 12, 8)
    assert (closing.gained.value, closing.ceiling.value) == (pytest.approx(4 / 80), pytest.approx(12 / 80))


def test_what_readers_say_later_counts_at_once_whatever_is_kept(project: Project, leo: User) -> None:
    run = failed_run(project)
    analysis = analysed(run, leo, most=30)
    fix = opened(project, run, analysis=analysis).fix
    evaluated(fix, trained_on(project, judged_and_frozen(project)), cured)
    first = entry(fix).closing
    assert first is not None
    assert first.controls == 30  # all that nobody says are of the category
    others = [read for read in ErrorRead.objects.filter(analysis=analysis) if KEY not in read.categories]
    for read in others[:8]:
        record(read=read, categories=[KEY], person=leo)
    kept = entry(fix).closing
    assert kept is not None
    assert kept.controls == 22
    cache.clear()
    assert entry(fix).closing == kept


def test_cases_of_the_category_that_the_fix_missed_are_no_control(project: Project) -> None:
    run = failed_run(project)
    fix = opened(project, run).fix
    for case in Case.objects.filter(suite=run.suite, removed=None, position__gte=80):
        Case.objects.filter(pk=case.pk).update(tags=[KEY])
    evaluated(fix, trained_on(project, judged_and_frozen(project)), cured)
    closing = entry(fix).closing
    assert closing is not None
    assert closing.controls == 20


def half(case: int, metric: str) -> float:
    return float(case % 2) if is_family(case) else base_marks(case, metric)


def everything(case: int, metric: str) -> float:
    """A checkpoint that is better at all kinds alike."""
    return float(random.Random(case).random() < 0.8)


@pytest.mark.parametrize(
    ("marks", "standing"),
    [
        (shaken, "not closed"),
        (base_marks, "not closed"),
        (half, "partly closed"),
        (everything, "not closed"),
    ],
)
def test_what_is_not_more_than_chance_brings_is_not_closed(
    project: Project, marks: Callable[[int, str], float], standing: str
) -> None:
    assert closed_by(project, marks).standing == standing


def test_siblings_that_break_make_a_fix_worse(project: Project) -> None:
    version = planted(project)
    Case.objects.filter(suite=version.suite, position__lt=40, position__gte=10).update(
        tags=[f"sibling:{KEY}"]
    )
    ten_fail = lambda case, metric: float(case >= 20) if is_family(case) else base_marks(case, metric)  # noqa: E731
    fix = opened(project, failed_run(project, ten_fail, version=version)).fix
    made = trained_on(project, judged_and_frozen(project))
    broken = lambda case, metric: 0.0 if is_family(case) else base_marks(case, metric)  # noqa: E731
    evaluated(fix, made, broken, base=ten_fail)
    found = entry(fix)
    assert found.standing == "worse"
    assert "and 20 that passed fail" in found.sentence


def test_without_other_failures_nobody_knows_what_chance_brings(project: Project) -> None:
    only_family = lambda case, metric: 0.0 if is_family(case) else 1.0  # noqa: E731
    fix = opened(project, failed_run(project, only_family)).fix
    made = trained_on(project, judged_and_frozen(project))
    evaluated(fix, made, always(1.0), base=only_family)
    found = entry(fix)
    assert found.standing == "not enough data"
    assert found.closing is not None
    assert found.closing.excess is None
    assert "0 other failing cases are too few" in found.sentence


def test_siblings_that_the_checkpoint_met_in_training_are_left_out(project: Project) -> None:
    fix = opened(project).fix
    made = trained_on(project, judged_and_frozen(project))
    run = evaluated(fix, made, cured)
    met = [case.pk for case in cases_of(fix, "sibling")][:4]
    run.facts["targets"]["1"]["dirty"] = {str(key): "prompt" for key in met}
    EvalRun.objects.filter(pk=run.pk).update(facts=run.facts)
    closing = entry(fix).closing
    assert closing is not None
    assert (closing.failing, closing.met) == (16, 4)


def test_measured_in_another_way_it_is_not_compared(project: Project) -> None:
    fix = opened(project).fix
    made = trained_on(project, judged_and_frozen(project))
    run = evaluated(fix, made, cured)
    run.targets.filter(index=0).update(identity="another")
    run.spec["sampling"] = {**run.spec["sampling"], "temperature": 0.7}
    EvalRun.objects.filter(pk=run.pk).update(spec=run.spec)
    found = entry(fix)
    assert found.standing == "not enough data"
    assert "in another way" in found.sentence


UNLIKE: list[dict[str, Any]] = [
    {"contexts": "none"},
    {"contexts": "gold"},
    {"contexts": "shuffled"},
    {"only": ("one", "two")},
    {"metrics": ("contains",)},
]


@pytest.mark.parametrize("unlike", UNLIKE, ids=str)
def test_a_later_run_with_other_contexts_cases_or_metrics_says_nothing_of_the_fix(
    project: Project, unlike: dict[str, Any]
) -> None:
    fix = opened(project).fix
    made = trained_on(project, judged_and_frozen(project))
    evaluated(fix, made, always(0.0), base=always(0.0), **unlike)
    alone = entry(fix)
    assert (alone.standing, alone.trace.unmeasured) == ("trained", [made])
    assert "evaluate after on Support, in exact, to see whether it closed" in alone.sentence
    run = evaluated(fix, made, cured)
    evaluated(fix, made, always(0.0), base=always(0.0), **unlike)
    found = entry(fix)
    assert (found.standing, [each.run for each in found.measures]) == ("closed", [run])


def test_without_the_baseline_in_the_run_its_own_run_is_what_it_is_held_against(project: Project) -> None:
    fix = opened(project).fix
    made = trained_on(project, judged_and_frozen(project))
    run = evaluated(fix, made, cured)
    run.targets.filter(index=0).update(identity="another")
    assert entry(fix).standing == "closed"


def test_many_checkpoints_share_what_chance_may_bring(project: Project) -> None:
    fix = opened(project).fix
    version = judged_and_frozen(project)
    for number in range(3):
        evaluated(fix, trained_on(project, version, f"after {number}"), shaken)
    evaluated(fix, trained_on(project, version, "the good one"), cured)
    found = entry(fix)
    assert [each.closing.standing for each in found.measures] == ["closed", *["not closed"] * 3]
    assert found.latest is not None
    assert found.latest.checkpoint.name == "the good one"
