"""The sentence that a product lead forwards says what the intervals allow, no more."""

import math

import pytest

from evaluation.models import RunTarget, Score
from evaluation.reading import (
    Reading,
    TargetLine,
    cases_more,
    difference_words,
    gain_of,
    rounded,
    standing_of,
    verdict,
)
from evaluation.scorers import Scale
from evaluation.sheets import Metric
from labeling.estimates import Estimate

PREFERENCE = Metric("preference", "Preference", Scale.SHARE, True)
PERPLEXITY = Metric("perplexity", "Perplexity", Scale.PERPLEXITY, False)
SECONDS = Metric("seconds", "Seconds", Scale.NUMBER, False, "s")


def score(value: float, low: float, high: float, **fields: float) -> Score:
    return Score(value=value, low=low, high=high, n=200, **fields)


def line(
    name: str,
    delta: tuple[float, float, float] | None,
    p: float | None = None,
    *,
    index: int = 1,
    metric: Metric = PREFERENCE,
    spread: float = 0.2,
) -> TargetLine:
    """A target at 60 % of 200 cases; `delta` is (value, low, high) against the baseline, None for the baseline."""
    paired = score(*delta, p_value=p, spread=spread) if delta else None  # type: ignore[arg-type]
    reading = Reading(metric, score(0.6, 0.5, 0.7), paired)
    return TargetLine(RunTarget(name=name, index=index if delta else 0), [reading], {})


BASE = line("base", None)


def test_a_settled_gain_is_told_even_when_another_has_a_larger_open_one() -> None:
    said = verdict([BASE, line("open", (0.05, -0.01, 0.11), 0.2), line("sure", (0.045, 0.02, 0.07), 0.01)])
    assert said.kind == "better"
    assert str(said) == "sure is better than base in preference: 60.0 %, +4.5 points [+2.0, +7.0]."


def test_a_gain_that_does_not_survive_the_correction_for_several_is_open() -> None:
    said = verdict([BASE, line("lucky", (0.05, -0.03, 0.1), 0.12), line("other", (0.0, -0.1, 0.1), 0.9)])
    assert said.kind == "inconclusive"
    assert str(said).startswith("Inconclusive: lucky")
    assert "about 430 more cases would settle a difference of this size" in str(said)


def test_a_difference_that_can_only_be_small_is_not_worse() -> None:
    said = verdict([BASE, line("even", (0.002, -0.015, 0.019), 0.8)])
    assert said.kind == "not_worse"
    assert str(said).endswith("within 2 points.")


def test_a_loss_is_told_without_a_double_negative() -> None:
    said = verdict([BASE, line("bad", (-0.05, -0.08, -0.02), 0.001)])
    assert str(said) == "bad is worse than base in preference: 60.0 %, -5.0 points [-8.0, -2.0]."


def test_of_several_losers_the_best_is_named() -> None:
    both = [line("bad", (-0.05, -0.08, -0.02), 0.001), line("worst", (-0.2, -0.3, -0.1), 0.001, index=2)]
    assert str(verdict([BASE, *both])).startswith(
        "No candidate beats base; the best, bad, is worse in preference"
    )


@pytest.mark.parametrize("lines", [[], [BASE]])
def test_without_a_candidate_nothing_is_said(lines: list[TargetLine]) -> None:
    assert not verdict(lines)


def test_lower_perplexity_is_better_and_is_told_as_a_ratio() -> None:
    said = verdict([BASE, line("tuned", (0.9, 0.85, 0.95), 0.001, metric=PERPLEXITY)])
    assert said.kind == "better"
    assert "0.90 times [0.85, 0.95]" in str(said)


def test_a_gain_is_turned_so_that_more_is_better() -> None:
    assert gain_of(SECONDS, Estimate(-2.0, -3.0, -1.0, 9)) == Estimate(2.0, 1.0, 3.0, 9)
    ratio = gain_of(PERPLEXITY, Estimate(0.5, 0.25, 1.0, 9))
    assert ratio is not None
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((math.log(2), 0.0, math.log(4)))


def test_without_a_margin_nothing_is_called_not_worse() -> None:
    close = Estimate(0.0, -0.01, 0.01, 100)
    assert standing_of(close, 0.9, 0.02) == "not_worse"
    assert standing_of(close, 0.9, 0.0) == "inconclusive"
    assert standing_of(None, None, 0.02) == "inconclusive"


def test_the_plan_for_more_cases_has_no_false_precision() -> None:
    reading = line("x", (0.03, -0.02, 0.08), 0.3, spread=1 / 9).primary
    assert cases_more(reading) == rounded(969 - 200) == 770
    assert rounded(7) == 7
    assert rounded(3923) == 4000


def test_a_number_says_its_unit() -> None:
    assert difference_words(SECONDS, Estimate(-1.5, -2.0, -1.0, 5)) == "-1.50 [-2.00, -1.00]"
    assert difference_words(PREFERENCE, None) == "not enough data to compare"
