"""The numbers of an evaluation run in the words and rows of a page or a command."""

from dataclasses import dataclass
from typing import Any

from evaluation.models import EvalRun, Score
from evaluation.planning import planned
from labeling.estimates import Estimate
from training.models import Checkpoint


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
    def delta_words(self) -> str:
        """What the interval of the difference lets one say."""
        if self.delta is None:
            return "" if self.is_base else "not enough data"
        if self.delta.low > 0:
            return "better than the base"
        return "worse than the base" if self.delta.high < 0 else "no difference can be told"


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
    trained = [line for line in lines if line.accuracy is not None and not line.is_base]
    if not trained:
        return ""
    best = max(trained, key=lambda line: line.accuracy.value if line.accuracy else 0.0)
    assert best.accuracy is not None
    delta, name = best.delta, best.checkpoint.name
    found = f"prefers the chosen response in {best.accuracy.value:.1%} of {best.accuracy.n:,} cases"
    if delta is None:
        return f"{name} {found}; there are too few to compare it with the base."
    points = f"{delta.value * 100:+.1f} points [{delta.low * 100:+.1f}, {delta.high * 100:+.1f}]"
    if delta.low > 0:
        return f"{name} is better than the base: it {found}, {points}."
    if delta.high < 0:
        return f"No checkpoint beats the base; the best, {name}, is worse by {points}."
    return f"Inconclusive: {name} {found}, {points} from the base; more cases are needed to tell."


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
