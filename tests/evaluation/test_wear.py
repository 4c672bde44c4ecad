"""What a suite can detect, how worn it is, and how many cases a question takes: numbers of the literature."""

import math

import pytest

from evaluation.models import Split
from evaluation.statistics.power import (
    best_by_chance,
    mcnemar_cases,
    mcnemar_detectable_effect,
    mean_cases,
    minimal_detectable_effect,
)
from evaluation.suites import freeze_version
from evaluation.suites.listing import Shape, shapes_of
from evaluation.wear import (
    best_of,
    cases_needed,
    detectable,
    detectable_of,
    luck,
    smallest_of_flips,
    smallest_of_spread,
    wear_of,
)
from labeling.models import Project
from tests.evaluation.suites import candidate, filled, finished_run, put
from tests.training.runs import root_checkpoint
from training.models import Checkpoint


@pytest.mark.parametrize(
    ("discordant", "difference", "cases"), [(0.2, 0.05, 626), (0.1, 0.03, 870), (0.2, 0.02, 3923)]
)
def test_the_planner_gives_the_cases_of_connor(discordant: float, difference: float, cases: int) -> None:
    assert cases_needed(difference, discordant=discordant) == cases
    assert cases_needed(difference, discordant=discordant) == mcnemar_cases(discordant, difference)


def test_the_planner_gives_the_cases_of_miller_where_the_spread_is_known() -> None:
    assert cases_needed(0.03, spread=1 / 9) == 969 == mean_cases(1 / 9, 0.03)
    assert cases_needed(-0.03, spread=1 / 9) == 969
    assert cases_needed(0.03, spread=1 / 9, power=0.9) == mean_cases(1 / 9, 0.03, power=0.9)


def test_the_planner_has_no_number_where_none_can_be() -> None:
    assert cases_needed(0.0) is None
    assert cases_needed(0.3, discordant=0.2) is None
    assert cases_needed(0.1, spread=0.0) is None


@pytest.mark.parametrize("cases", [5, 40, 200, 1000, 20_000])
def test_what_is_detected_is_what_statistics_says(cases: int) -> None:
    expected = mcnemar_detectable_effect(cases, 0.2)
    found = smallest_of_flips(cases, 0.2)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))
    assert smallest_of_spread(cases * 10, 0.2) == pytest.approx(minimal_detectable_effect(cases * 10, 0.2))


@pytest.mark.parametrize(("count", "largest"), [(1, 0.0), (2, 0.56419), (10, 1.53875), (50, 2.24907)])
def test_the_best_of_many_equal_candidates(count: int, largest: float) -> None:
    assert best_of(count) == pytest.approx(largest, abs=1e-4)
    assert best_of(count) == pytest.approx(best_by_chance(count, 1.0), abs=1e-6)


def test_luck_is_of_one_candidate_and_not_of_a_difference() -> None:
    assert luck(20, 0.02) == pytest.approx(1.8675 * 0.02 / math.sqrt(2), abs=1e-5)
    assert luck(1, 0.02) == 0.0
    assert luck(20, None) is None


def test_a_suite_of_few_cases_detects_nothing_and_says_so() -> None:
    for cases in (0, 1, 4, 20):
        found = detectable(Shape(cases, 0, cases))
        assert found.difference is None
        assert found.assumed
    assert detectable(Shape(1, 0, 1)).error is None


def test_without_runs_cases_of_one_prompt_count_as_one(project: Project) -> None:
    suite = filled(project, 50)
    put(suite, *({"id": f"more{n}", "prompt": "Question 0?", "reference": str(n)} for n in range(50)))
    shapes = shapes_of([suite])
    found = detectable_of([suite], shapes)[suite.pk]
    assert (found.cases, found.units, found.assumed) == (100, 50, True)
    assert found.difference == smallest_of_flips(50, 0.2)


def test_what_a_suites_own_runs_showed_takes_the_place_of_the_assumption(project: Project) -> None:
    suite = filled(project, 100)
    version, base = freeze_version(suite=suite, person=None), root_checkpoint()
    one, two = candidate(project, base, "one"), candidate(project, base, "two")
    finished_run(version, base, one, spread=0.1, n=100)
    finished_run(version, base, two, spread=0.4, n=50)
    finished_run(version, base, two, spread=0.9, n=50, status="failed")
    found = detectable_of([suite], shapes_of([suite]))[suite.pk]
    assert (found.runs, found.spread) == (2, pytest.approx(0.2))
    assert found.points == pytest.approx(100 * 2.8016 * math.sqrt(0.2 / 100), abs=0.01)


def test_every_candidate_is_one_look_and_neither_the_champion_nor_bases_are(project: Project) -> None:
    suite = filled(project, 100)
    version, base = freeze_version(suite=suite, person=None), root_checkpoint()
    some = [candidate(project, base, f"c{n}") for n in range(4)]
    finished_run(version, base, some[0], some[1])
    finished_run(version, some[3], base, some[1], some[2])
    assert wear_of([suite], {})[suite.pk].looks == 4
    Checkpoint.objects.filter(pk=some[3].pk).update(stage=Checkpoint.Stage.PRODUCTION)
    finished_run(version, base, some[3], status="failed")
    finished_run(version, base, some[3], split=Split.SEALED)
    wear = wear_of([suite], {suite.pk: 0.03})[suite.pk]
    assert wear.looks == 3
    assert wear.points == pytest.approx(100 * 0.84628 * 0.03 / math.sqrt(2), abs=1e-3)
    assert "the best of them would still look 1.8 points better" in wear.words
    assert wear_of([suite], {}, Split.SEALED)[suite.pk].looks == 1


def test_a_suite_that_nobody_was_scored_on_is_not_worn(project: Project) -> None:
    suite = filled(project, 3)
    assert wear_of([suite], {})[suite.pk].words == "No candidate was scored on it yet."
