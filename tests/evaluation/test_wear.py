"""What a suite can detect, how worn it is, and how many cases a question takes: numbers of the literature."""

import math
from typing import Any

import pytest
from django.urls import reverse

from evaluation.models import Split
from evaluation.statistics.power import (
    best_by_chance,
    mcnemar_cases,
    mcnemar_detectable_effect,
    mean_cases,
    minimal_detectable_effect,
)
from evaluation.suites import change_suite, freeze_version
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
from labeling.models import Project, User
from tests import world
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


def frozen(name: str, scorer: str, weight: float = 0.0, **params: Any) -> dict[str, Any]:
    """A metric as a run keeps it."""
    return {"name": name, "scorer": scorer, "params": params, "weight": weight, "judge": None, "reward": None}


def test_a_ratio_is_found_where_the_primary_metric_is_perplexity(project: Project) -> None:
    suite, base = filled(project, 120), root_checkpoint()
    change_suite(suite=suite, scoring=[{"name": "loss", "scorer": "perplexity"}])
    found = detectable_of([suite], shapes_of([suite]))[suite.pk]
    assert (found.words, found.is_known, found.error) == ("", False, None)
    version, one = freeze_version(suite=suite, person=None), candidate(project, base, "one")
    finished_run(version, base, one, spread=0.16, metrics=[frozen("loss", "perplexity")])
    found = detectable_of([suite], shapes_of([suite]))[suite.pk]
    assert found.difference == pytest.approx(2.8016 * math.sqrt(0.16 / 120), abs=1e-4)
    assert (found.words, found.points, found.error) == ("1.11 times", None, None)
    assert found.needed(1.05) == mean_cases(0.16, math.log(1.05))


def test_a_metric_without_bounds_has_its_own_unit_and_its_own_comparisons(project: Project) -> None:
    suite, base = filled(project, 60), root_checkpoint()
    scoring = {"name": "length", "scorer": "length", "params": {"unit": "characters"}}
    change_suite(suite=suite, scoring=[scoring])
    version, one = freeze_version(suite=suite, person=None), candidate(project, base, "one")
    for spread, metrics in (
        (900.0, [frozen("length", "length", unit="characters")]),
        (6.0, [frozen("length", "length", unit="words")]),
        (0.2, [frozen("exact", "exact")]),
    ):
        finished_run(version, base, one, spread=spread, metrics=metrics)
    found = detectable_of([suite], shapes_of([suite]))[suite.pk]
    assert (found.runs, found.words) == (1, "±11 in length")
    assert found.needed(5) == mean_cases(900.0, 5)
    change_suite(suite=suite, scoring=[{"name": "length", "scorer": "length"}])
    assert detectable_of([suite], shapes_of([suite]))[suite.pk].words == "±0.89 in length"


def test_the_page_of_such_a_suite_tells_a_ratio_and_plans_for_one(project: Project, emma: User) -> None:
    suite, client = filled(project, 120), world.sign_in(emma)
    change_suite(suite=suite, scoring=[{"name": "perplexity", "scorer": "perplexity"}])
    address, listed = (
        reverse(f"evaluation:{name}", args=[project.slug, *numbers])
        for name, numbers in (("suite", [suite.pk]), ("suites", []))
    )
    page = client.get(address).content.decode()
    assert "Perplexity has no bounds: how far two checkpoints differ" in page
    assert "How many cases would I need?" not in page
    assert "not known yet" in client.get(listed).content.decode()
    version, base = freeze_version(suite=suite, person=None), root_checkpoint()
    one, metrics = candidate(project, base, "one"), [frozen("perplexity", "perplexity")]
    finished_run(version, base, one, spread=0.16, metrics=metrics)
    page = client.get(address).content.decode()
    assert "1.11 times" in page
    assert "The smallest ratio in perplexity between two checkpoints" in page
    assert "Flips" not in page
    assert " points" not in page
    asked = {"difference": "1.05", "power": "80"}
    reckoned = client.get(address, asked, HTTP_HX_REQUEST="true", HTTP_HX_TARGET="planner").content.decode()
    assert "528 cases." in reckoned
    assert "408 more than there are." in reckoned


def test_metrics_that_are_weighed_together_are_known_by_what_they_are(project: Project) -> None:
    suite, base = filled(project, 100), root_checkpoint()
    change_suite(suite=suite, scoring=[frozen(key, key, 1.0) for key in ("exact", "rouge_l")])
    version, one = freeze_version(suite=suite, person=None), candidate(project, base, "one")
    for other in ("rouge_l", "chrf"):
        metrics = [frozen("exact", "exact", 1.0), frozen(other, other, 2.0)]
        finished_run(version, base, one, spread=0.05, metrics=metrics)
    found = detectable_of([suite], shapes_of([suite]))[suite.pk]
    assert (found.runs, found.words) == (1, "±6.3 points")


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
