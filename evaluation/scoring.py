"""Case results → the numbers of a run, each with its interval, each checkpoint paired with the baseline."""

from evaluation import statistics
from evaluation.models import CaseResult, EvalRun, Score
from labeling.estimates import Estimate


def compute_scores(run: EvalRun) -> list[Score]:
    """Preference accuracy and perplexity of every planned checkpoint, and its difference from the first.

    Cases that share a prompt are one cluster: their answers are not independent.
    """
    results = {pk: _results(run, pk) for pk in run.plan}
    baseline = results[run.plan[0]]
    scores = [score for pk, rows in results.items() for score in _own(run, pk, rows)]
    pairs = ((pk, rows) for pk, rows in results.items() if pk != run.plan[0])
    return scores + [score for pk, rows in pairs for score in _paired(run, pk, rows, baseline)]


def _results(run: EvalRun, checkpoint: int) -> list[CaseResult]:
    rows = CaseResult.objects.filter(run=run, checkpoint=checkpoint).order_by("case__index")
    return list(rows.select_related("case").only(
        "chosen_logprob", "chosen_tokens", "rejected_logprob", "rejected_tokens", "case__prompt_hash"
    ))


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
    clusters = [row.case.prompt_hash for row in rows]
    accuracy = statistics.paired_difference(
        [row.preferred for row in baseline], [row.preferred for row in rows], clusters
    )
    ratio = statistics.paired_perplexity_ratio(
        [-row.chosen_logprob for row in baseline],
        [-row.chosen_logprob for row in rows],
        [row.chosen_tokens for row in baseline],
        [row.chosen_tokens for row in rows],
        clusters,
    )
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
