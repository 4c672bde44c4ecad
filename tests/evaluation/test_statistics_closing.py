"""Whether failing cases of one kind closed more often than others do by chance."""

import random

import pytest
from scipy import stats

from evaluation.rounds.closing import Closing, _holm
from evaluation.statistics import closing_excess, holm
from evaluation.statistics.closing import newcombe
from labeling.estimates import Estimate, wilson_bounds


def test_independent_cases_are_tested_by_fishers_exact_test() -> None:
    for closed, control in ((9, 2), (3, 3), (0, 4), (10, 0)):
        first, second = [1.0] * closed + [0.0] * (10 - closed), [1.0] * control + [0.0] * (12 - control)
        table = [[closed, 10 - closed], [control, 12 - control]]
        expected = stats.fisher_exact(table, alternative="greater").pvalue
        assert closing_excess(first, second).p_value == pytest.approx(expected)


def test_clusters_weigh_as_one_and_small_groups_say_nothing() -> None:
    first, second = [1.0] * 12, [0.0] * 12
    alone = closing_excess(first, second).p_value
    clustered = closing_excess(first, second, [n // 4 for n in range(12)], [n // 4 for n in range(12)])
    assert alone is not None
    assert clustered.p_value is not None
    assert alone < 0.001 < 0.03 < clustered.p_value  # three clusters against three
    assert closing_excess([1.0] * 4, second).p_value is None


@pytest.mark.parametrize("size", [1, 3])
def test_a_sham_is_called_closed_at_most_as_often_as_agreed(size: int) -> None:
    """Both groups close alike, clusters hang together: of 300 shams hardly any has p below 2.5 %."""
    rng, called = random.Random(size), 0
    for _ in range(300 if size == 1 else 80):
        groups = []
        for clusters in (8, 15):
            outcomes = [float(rng.random() < 0.3) for _ in range(clusters)]
            groups.append([value for value in outcomes for _ in range(size)])
        keys = [[n // size for n in range(len(group))] for group in groups]
        p = closing_excess(groups[0], groups[1], *keys).p_value
        called += p is not None and p < 0.025
    assert called <= (14 if size == 1 else 6)  # 99.9 % of what 2.5 % gives


def test_siblings_of_one_cluster_are_too_few_to_tell() -> None:
    found = Closing(failing=6, fixed=3, controls=9)
    assert found.words == "3 of 6 siblings that failed before pass now; that is too few to tell."


def test_holm_without_scipy_is_holm() -> None:
    values = [0.04, 0.001, 0.03, 0.03, 0.7]
    assert _holm(values) == pytest.approx(holm(values))


def test_the_interval_of_a_difference_is_newcombes() -> None:
    """56 of 70 against 48 of 80: Newcombe (1998), method 10, has 0.0524 to 0.3339."""
    one, two = (Estimate(k / n, *wilson_bounds(k / n, n), n) for k, n in ((56, 70), (48, 80)))
    found = newcombe(one, two)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
