"""The numbers that pages show have the intervals that simulation says hold."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

from evaluation.numbers import own_score
from evaluation.scorers.base import Scale
from evaluation.sheets import Cell, Line, Metric
from evaluation.statistics import proportion_estimate
from labeling.estimates import Estimate
from tests.evaluation.fakes_statistics import bounds, covers

ROUGE = Metric("rouge_l", "ROUGE-L", Scale.SHARE, True)
EXACT = Metric("exact", "Exact match", Scale.BINARY, True)
Draw = Callable[[Generator], np.ndarray]


def shown(values: np.ndarray, weights: np.ndarray | None = None, metric: Metric = ROUGE) -> Estimate | None:
    heavy = np.ones(len(values)) if weights is None else weights
    lines = [Line(n, str(n), str(n), float(weight), ()) for n, weight in enumerate(heavy)]
    return own_score(metric, lines, {n: Cell(value=float(v), scored=1) for n, v in enumerate(values)})


@pytest.mark.parametrize(
    ("draw", "truth", "width"),
    [
        (lambda rng: rng.beta(8, 12, 200), 0.4, 0.030),
        (lambda rng: rng.beta(20, 20, 200), 0.5, 0.022),
        (lambda rng: rng.beta(3, 0.75, 40), 0.8, 0.117),
    ],
)
def test_an_interval_of_scores_from_0_to_1_holds_the_truth_19_times_in_20(
    draw: Draw, truth: float, width: float
) -> None:
    rng = np.random.default_rng(2)
    found = [shown(draw(rng)) for _ in range(400)]
    assert np.mean([covers(each, truth) for each in found]) == pytest.approx(0.95, abs=0.03)
    assert np.mean(np.diff([bounds(each) for each in found])) == pytest.approx(width, abs=0.002)


def test_an_interval_of_weighted_passes_holds_the_truth_though_few_fail() -> None:
    rng = np.random.default_rng(3)
    found = [shown(rng.random(60) < 0.97, rng.lognormal(0, 0.8, 60), EXACT) for _ in range(400)]
    assert np.mean([covers(each, 0.97) for each in found]) == pytest.approx(0.96, abs=0.03)


def test_right_or_wrong_stays_with_wilson() -> None:
    values = np.repeat([1.0, 0.0], [150, 50])
    for metric in (EXACT, ROUGE):
        assert shown(values, metric=metric) == proportion_estimate(values.tolist())


def test_weighted_cases_that_all_pass_have_an_interval() -> None:
    low, high = bounds(shown(np.ones(40), np.random.default_rng(4).lognormal(0, 0.8, 40), EXACT))
    assert (0.7 < low < 0.95, high) == (True, 1.0)
