"""The numbers of an evaluation run in the words and rows of a page or a command."""

import math
from dataclasses import dataclass
from typing import Any

from evaluation.models import Case, EvalRun, Score
from evaluation.planning import planned
from labeling.estimates import Estimate
from training.models import Checkpoint

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One checkpoint's numbers. `delta` is the paired difference in preference accuracy from the base."""

    checkpoint: Checkpoint
    is_base: bool
    accuracy: Estimate | None
    perplexity: Estimate | None
    delta: Estimate | None
    ratio: Estimate | None
    p: float | None
    fixed: int | None
    broken: int | None

    @property
    def is_settled(self) -> bool:
        """Whether interval and adjusted p value both leave out "no difference"."""
        away = self.delta is not None and (self.delta.low > 0 or self.delta.high < 0)
        return away and (self.p is None or self.p < ALPHA)

    @property
    def delta_words(self) -> str:
        """What the difference lets one say."""
        if self.delta is None:
            return "" if self.is_base else "not enough data"
        if not self.is_settled:
            return "no difference can be told"
        return "better than the base" if self.delta.low > 0 else "worse than the base"


def score_lines(run: EvalRun) -> list[ScoreLine]:
    """A line for each planned checkpoint, the base first; empty before the run has ended."""
    found: dict[int, dict[str, Score]] = {}
    for score in Score.objects.filter(run=run):
        found.setdefault(score.checkpoint_id, {})[score.metric] = score
    if not found:
        return []
    return [_line(checkpoint, found[checkpoint.pk], run.plan[0]) for checkpoint in planned(run)]


def _line(checkpoint: Checkpoint, scores: dict[str, Score], base: int) -> ScoreLine:
    estimates = {metric: score.estimate for metric, score in scores.items()}
    delta = scores.get(Score.Metric.ACCURACY_DELTA)
    return ScoreLine(
        checkpoint=checkpoint,
        is_base=checkpoint.pk == base,
        accuracy=estimates.get(Score.Metric.ACCURACY),
        perplexity=estimates.get(Score.Metric.PERPLEXITY),
        delta=estimates.get(Score.Metric.ACCURACY_DELTA),
        ratio=estimates.get(Score.Metric.PERPLEXITY_RATIO),
        p=delta.p_value if delta else None,
        fixed=delta.fixed if delta else None,
        broken=delta.broken if delta else None,
    )


def verdict(lines: list[ScoreLine]) -> str:
    """One sentence that a product lead can forward; empty before there are numbers."""
    best = spoken_of(lines)
    if best is None or best.accuracy is None:
        return ""
    delta, name = best.delta, best.checkpoint.name
    found = f"prefers the chosen response in {best.accuracy.value * 100:.1f} % of {best.accuracy.n:,} pairs"
    if delta is None:
        return f"{name} {found}; there are too few to compare it with the base."
    if best.is_settled and delta.low > 0:
        return f"{name} is better than the base: it {found}, {points(delta)}."
    if all(line.delta is not None and line.delta.high < 0 for line in lines if not line.is_base):
        worse = f"{-delta.value * 100:.1f} points worse [{-delta.high * 100:.1f}, {-delta.low * 100:.1f}]"
        return f"No checkpoint beats the base; the best, {name}, is {worse}."
    return f"Inconclusive: {name} {found}, {points(delta)} from the base; more pairs are needed to tell."


def spoken_of(lines: list[ScoreLine]) -> ScoreLine | None:
    """The checkpoint whose gain over the base is the surest: that with the highest lower bound."""
    trained = [line for line in lines if line.accuracy is not None and not line.is_base]
    return max(trained, key=lambda line: line.delta.low if line.delta else -math.inf, default=None)


def prompts_of(run: EvalRun) -> int:
    """How many different prompts the run's pairs have: they, not the pairs, are independent of each other."""
    return Case.objects.filter(suite=run.suite_id).values("prompt_hash").distinct().count()


def points(delta: Estimate) -> str:
    """A difference of shares in points: +3.1 points [-1.2, +7.4]."""
    return f"{delta.value * 100:+.1f} points [{delta.low * 100:+.1f}, {delta.high * 100:+.1f}]"


def as_dict(line: ScoreLine) -> dict[str, Any]:
    """A line as JSON for commands."""
    estimates = {
        "accuracy": line.accuracy,
        "perplexity": line.perplexity,
        "delta": line.delta,
        "ratio": line.ratio,
    }
    return {
        "checkpoint": line.checkpoint.name,
        "checkpoint_id": line.checkpoint.pk,
        **{name: estimate.as_dict() if estimate else None for name, estimate in estimates.items()},
        "p": line.p,
        "fixed": line.fixed,
        "broken": line.broken,
    }
