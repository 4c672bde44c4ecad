"""The sentence that a product lead forwards says what the intervals allow, no more."""

import pytest

from evaluation.reading import ScoreLine, verdict
from labeling.estimates import Estimate
from training.models import Checkpoint


def line(name: str, delta: tuple[float, float, float] | None, p: float | None = None) -> ScoreLine:
    """A checkpoint at 60 % of 200 pairs; `delta` is (value, low, high) against the base, None for the base itself."""
    return ScoreLine(
        checkpoint=Checkpoint(name=name),
        is_base=delta is None,
        accuracy=Estimate(0.6, 0.5, 0.7, 200),
        perplexity=None,
        delta=Estimate(*delta, 200) if delta else None,
        ratio=None,
        p=p,
        fixed=None,
        broken=None,
    )


BASE = line("base", None)


def test_a_settled_gain_is_told_even_when_another_checkpoint_has_a_larger_open_one() -> None:
    said = verdict([BASE, line("open", (0.05, -0.01, 0.11), 0.2), line("sure", (0.045, 0.02, 0.07), 0.01)])
    assert said.startswith("sure is better than the base")


def test_a_gain_that_does_not_survive_the_correction_for_several_checkpoints_is_open() -> None:
    said = verdict([BASE, line("lucky", (0.05, 0.001, 0.1), 0.12), line("other", (0.0, -0.1, 0.1), 0.9)])
    assert said.startswith("Inconclusive: lucky")


def test_a_loss_is_told_without_a_double_negative() -> None:
    said = verdict([BASE, line("bad", (-0.05, -0.08, -0.02), 0.001)])
    assert said == "No checkpoint beats the base; the best, bad, is 5.0 points worse [2.0, 8.0]."


@pytest.mark.parametrize("lines", [[], [BASE]])
def test_without_a_trained_checkpoint_nothing_is_said(lines: list[ScoreLine]) -> None:
    assert verdict(lines) == ""
