"""Case results → the numbers of a run, each with its interval, each checkpoint paired with the baseline."""

from evaluation import statistics
from evaluation.comparison import pair, results
from evaluation.models import CaseResult, EvalRun, Score
from labeling.estimates import Estimate


def compute_scores(run: EvalRun) -> list[Score]:
    """Preference accuracy and perplexity of every planned checkpoint, and its difference from the first.

    Cases that share a prompt are one cluster: their answers are not independent.
    """
    found = {pk: results(run, pk) for pk in run.plan}
    baseline = found[run.plan[0]]
    scores = [score for pk, rows in found.items() for score in _own(run, pk, rows)]
    pairs = ((pk, rows) for pk, rows in found.items() if pk != run.plan[0])
    deltas = [score for pk, rows in pairs for score in _paired(run, pk, rows, baseline)]
    _adjust([score for score in deltas if score.p_value is not None])
    return scores + deltas


def _adjust(deltas: list[Score]) -> None:
    """Holm's correction: of several checkpoints one looks better by chance more easily than of one."""
    adjusted = statistics.holm([score.p_value for score in deltas if score.p_value is not None])
    for score, p_value in zip(deltas, adjusted, strict=True):
        score.p_value = p_value


def _own(run: EvalRun, checkpoint: int, rows: list[CaseResult]) -> list[Score]:
    clusters = [row.case.prompt_hash for row in rows]
    accuracy = statistics.proportion_estimate([row.preferred for row in rows], clusters)
    perplexity = statistics.perplexity_estimate(
        [-row.chosen_logprob for row in rows], [row.chosen_tokens for row in rows], clusters
    )
    return [
        _score(run, checkpoint, Score.Metric.ACCURACY, accuracy, len(rows)),
        _score(run, checkpoint, Score.Metric.PERPLEXITY, perplexity, len(rows)),
    ]


def _paired(run: EvalRun, checkpoint: int, rows: list[CaseResult], baseline: list[CaseResult]) -> list[Score]:
    accuracy, ratio = pair(baseline, rows)
    delta = _score(run, checkpoint, Score.Metric.ACCURACY_DELTA, accuracy.difference, len(rows))
    delta.p_value, delta.fixed, delta.broken = accuracy.p_value, accuracy.fixed, accuracy.broken
    scores = [delta, _score(run, checkpoint, Score.Metric.PERPLEXITY_RATIO, ratio, len(rows))]
    for score in scores:
        score.versus_id = run.plan[0]
    return scores


def _score(run: EvalRun, checkpoint: int, metric: str, estimate: Estimate | None, n: int) -> Score:
    score = Score(run=run, checkpoint_id=checkpoint, metric=metric, n=n)
    if estimate is not None:
        score.value, score.low, score.high, score.n = estimate.value, estimate.low, estimate.high, estimate.n
    return score
