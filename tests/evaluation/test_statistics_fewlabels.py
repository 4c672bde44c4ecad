"""A few human labels put many judged ones right, whoever chose which items people saw."""

import math

import numpy as np
import pytest

from evaluation.statistics import (
    PredictionPowered,
    mean_estimate,
    prediction_powered_mean,
    proportion_estimate,
    weighted_mean_estimate,
)
from labeling.estimates import Estimate
from tests.evaluation.fakes_statistics import bounds, covers


def items(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """True share .7; a judge of sensitivity .9 and specificity .7."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.7).astype(float)
    return y, (rng.random(n) < np.where(y == 1, 0.9, 0.3)).astype(float)


def known(found: PredictionPowered | None) -> tuple[PredictionPowered, Estimate]:
    assert found is not None
    assert found.estimate is not None
    return found, found.estimate


def test_the_estimate_is_the_papers_formula() -> None:
    y, f = items(0, 1100)
    found, estimate = known(
        prediction_powered_mean(y[:100].tolist(), f[:100].tolist(), f[100:].tolist(), ends=(0, 1))
    )
    trust = np.cov(y[:100], f[:100])[0, 1] / (1.1 * f.var(ddof=1))
    assert found.trust == pytest.approx(trust)
    assert estimate.value == pytest.approx(trust * f[100:].mean() + (y[:100] - trust * f[:100]).mean())
    error = math.sqrt(trust**2 * f[100:].var() / 1000 + (y[:100] - trust * f[:100]).var(ddof=1) / 100)
    assert estimate.high - estimate.value == pytest.approx(1.984 * error, rel=0.01)
    assert found.judge_only == pytest.approx(f.mean())
    assert found.labelled_only == proportion_estimate(y[:100].tolist())
    assert found.labelled_only.high - found.labelled_only.low > estimate.high - estimate.low


def test_a_judge_that_knows_nothing_is_not_followed() -> None:
    y, _ = items(1, 100)
    rng = np.random.default_rng(1)
    noise = rng.random(1100)
    found, estimate = known(prediction_powered_mean(y.tolist(), noise[:100].tolist(), noise[100:].tolist()))
    assert found.trust < 0.2
    against, _ = known(prediction_powered_mean(y.tolist(), (1 - y).tolist(), noise[100:].tolist()))
    assert against.trust == 0
    constant, estimate = known(prediction_powered_mean(y.tolist(), [0.5] * 100, [0.5] * 500))
    plain = mean_estimate(y.tolist())
    assert constant.trust == 0
    assert bounds(estimate) == pytest.approx(bounds(plain), rel=0.01)


def test_equal_probabilities_are_a_random_sample() -> None:
    y, f = items(2, 1100)
    rows = (y[:100].tolist(), f[:100].tolist(), f[100:].tolist())
    _, plain = known(prediction_powered_mean(*rows))
    _, weighted = known(prediction_powered_mean(*rows, probabilities=[1 / 11] * 100))
    assert weighted.value == pytest.approx(plain.value, abs=2e-3)
    assert bounds(weighted) == pytest.approx(bounds(plain), abs=2e-3)


def test_weights_put_a_choosy_queue_right() -> None:
    y, f = items(3, 40_000)
    chance = np.where(f == y, 0.02, 0.2)  # the queue finds the judge's mistakes
    taken = np.random.default_rng(33).random(40_000) < chance
    rows = (y[taken].tolist(), f[taken].tolist(), f[~taken].tolist())
    found, weighted = known(prediction_powered_mean(*rows, probabilities=chance[taken].tolist()))
    _, blind = known(prediction_powered_mean(*rows))
    assert covers(weighted, 0.7)
    assert not covers(blind, 0.7)
    weights = (1 / chance[taken]).tolist()
    assert found.labelled_only == weighted_mean_estimate(y[taken].tolist(), weights)
    assert found.judge_only == pytest.approx(f.mean())


def test_labels_that_share_a_prompt_are_one_cluster() -> None:
    y, f = items(4, 550)
    rows = (np.repeat(y[:50], 2).tolist(), np.repeat(f[:50], 2).tolist(), np.repeat(f[50:], 2).tolist())
    keys = {
        "clusters": np.repeat(range(50), 2).tolist(),
        "unlabelled_clusters": np.repeat(range(50, 550), 2).tolist(),
    }
    _, once = known(prediction_powered_mean(y[:50].tolist(), f[:50].tolist(), f[50:].tolist()))
    _, twice = known(prediction_powered_mean(*rows, **keys))
    _, naive = known(prediction_powered_mean(*rows))
    assert twice.high - twice.low == pytest.approx(once.high - once.low, rel=0.02)
    assert naive.high - naive.low < 0.8 * (twice.high - twice.low)


def test_too_few_labels_say_nothing() -> None:
    y, f = items(5, 1000)
    assert prediction_powered_mean(y[:19].tolist(), f[:19].tolist(), f[19:].tolist()) is None
    assert prediction_powered_mean(y[:50].tolist(), f[:50].tolist(), []) is None
    one = ["one"] * 50
    assert prediction_powered_mean(y[:50].tolist(), f[:50].tolist(), [1.0] * 9, clusters=one) is None
    same = prediction_powered_mean([1.0] * 50, [1.0] * 50, [1.0] * 500)
    assert same is not None
    assert same.estimate is None


def test_an_estimate_stays_on_its_scale() -> None:
    labels, judged = [1.0] * 49 + [0.0], [0.0, 1.0] * 25
    found, estimate = known(prediction_powered_mean(labels, judged, [1.0] * 300, ends=(0, 1)))
    assert estimate.high == 1
    assert found.labelled_only is not None


def test_bad_labels_are_refused() -> None:
    y, f, rest = [1.0, 0.0] * 15, [1.0, 0.0] * 15, [1.0] * 99
    with pytest.raises(ValueError, match="NaN"):
        prediction_powered_mean([math.nan, *y[1:]], f, rest)
    with pytest.raises(ValueError, match="pair them"):
        prediction_powered_mean(y[1:], f, rest)
    with pytest.raises(ValueError, match="one key a case"):
        prediction_powered_mean(y, f, rest, clusters=[1])
    for chance in (0.0, 1.5):
        with pytest.raises(ValueError, match="probability"):
            prediction_powered_mean(y, f, rest, probabilities=[chance] * 30)
    with pytest.raises(ValueError, match="give one an item"):
        prediction_powered_mean(y, f, rest, probabilities=[0.5])
