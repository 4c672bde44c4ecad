"""A run's marks → its numbers, each with its interval, each target paired with the baseline."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Count

from evaluation import statistics
from evaluation.contamination import BATCH, dirty_cases
from evaluation.models import Case, CaseResult, CaseScore, RunTarget, Score
from evaluation.numbers import delta, own_score
from evaluation.plans import Plan
from evaluation.sheets import Cell, Line, Metric, Sheet, metrics_of, read_sheet
from evaluation.targets import digest
from evaluation.winrates import judged_rates
from labeling.estimates import Estimate
from training.lineage import judgments_behind

MOST_SLICES = 40
Beat = Callable[[], object]


def compute_scores(plan: Plan, beat: Beat = lambda: None) -> list[Score]:
    """Every metric of every target, its difference from the baseline, and both on the slices for the primary metric.

    `beat` is called now and then: with many cases this takes a while.
    """
    metrics = metrics_of(plan.run)
    sheet = read_sheet(plan.run, metrics=metrics)
    scores: list[Score] = []
    for metric in metrics:
        deltas = []
        for target in plan.rows:
            beat()
            cells = sheet.cells.get((target.index, metric.name), {})
            scores.append(_own(plan, target, metric, sheet.lines, cells))
            if not target.is_baseline:
                deltas.append(_paired(plan, target, metric, sheet.lines, sheet))
        _adjust(deltas, statistics.holm)
        scores += deltas
    return scores + _slices(plan, metrics[0], sheet, beat)


def _slices(plan: Plan, metric: Metric, sheet: Sheet, beat: Beat) -> list[Score]:
    scores: list[Score] = []
    tags = sheet.tags()[:MOST_SLICES]
    within = {tag: [line for line in sheet.lines if tag in line.tags] for tag in tags}
    for target in plan.rows:
        deltas = []
        for tag, lines in within.items():
            beat()
            cells = sheet.cells.get((target.index, metric.name), {})
            scores.append(_own(plan, target, metric, lines, cells, tag))
            if not target.is_baseline:
                deltas.append(_paired(plan, target, metric, lines, sheet, tag))
        _adjust(deltas, statistics.benjamini_hochberg)
        scores += deltas
    return scores


def _adjust(deltas: list[Score], correct: Any) -> None:
    """A correction for looking often: of several numbers one looks good by chance more easily than of one."""
    tested = [score for score in deltas if score.p_value is not None]
    for score, p_value in zip(tested, correct([score.p_value for score in tested]), strict=True):
        score.p_value = p_value


def _own(
    plan: Plan,
    target: RunTarget,
    metric: Metric,
    lines: Sequence[Line],
    cells: dict[int, Cell],
    tag: str = "",
) -> Score:
    here = {line.id: cells[line.id] for line in lines if line.id in cells}
    scored = {case: cell for case, cell in here.items() if cell.scored}
    score = Score(run=plan.run, target=target, metric=metric.name, slice=tag, n=len(scored))
    _fill(score, own_score(metric, lines, scored))
    score.clusters = len({line.unit for line in lines if line.id in scored})
    score.unscorable = sum(1 for cell in here.values() if cell.unscorable and not cell.scored)
    score.errors = sum(1 for cell in here.values() if cell.errors)
    return score


def _paired(
    plan: Plan, target: RunTarget, metric: Metric, lines: Sequence[Line], sheet: Sheet, tag: str = ""
) -> Score:
    first, second = sheet.scored(0, metric.name), sheet.scored(target.index, metric.name)
    found = delta(metric, lines, first, second, quick=bool(tag))
    score = Score(
        run=plan.run,
        target=target,
        versus=plan.rows[0],
        metric=metric.name,
        slice=tag,
        n=found.n,
        clusters=found.clusters,
        p_value=found.p_value,
        fixed=found.fixed,
        broken=found.broken,
        spread=found.spread,
    )
    _fill(score, found.estimate)
    return score


def _fill(score: Score, estimate: Estimate | None) -> None:
    if estimate is not None:
        score.value, score.low, score.high, score.n = estimate.value, estimate.low, estimate.high, estimate.n


def run_facts(plan: Plan, beat: Beat = lambda: None) -> dict[str, Any]:
    """What else is known of each target's answers, by its index: tokens, latency, cost, how many were cut short."""
    checkpoints = {target.index: target.checkpoint for target in plan.rows if target.checkpoint is not None}
    cases = Case.objects.of_run(plan.run).iterator(chunk_size=BATCH)
    dirty = dirty_cases(cases, list(checkpoints.values()), beat)
    facts = {str(target.index): _facts(plan, target) for target in plan.rows}
    for index, checkpoint in checkpoints.items():
        facts[str(index)]["dirty"] = {str(case): reason for case, reason in dirty[checkpoint.pk].items()}
    scorers = {metric.spec.name: metric.scorer.facts(metric.params) for metric in plan.metrics}
    return {
        **plan.run.facts,
        "targets": facts,
        "judgments": {str(i): judgments_behind(each, beat) for i, each in checkpoints.items()},
        "scorers": {name: found for name, found in scorers.items() if found},
    }


def _facts(plan: Plan, target: RunTarget) -> dict[str, Any]:
    rows = list(
        CaseResult.objects.filter(run=plan.run, target=target)
        .order_by("case__position", "sample")
        .values_list(
            *("output__tokens", "output__ms", "output__cost", "output__finish", "output__prompt_hash"),
            *("reused", "error"),
        )
    )
    tokens, ms, cost = ([row[i] for row in rows if row[i] is not None] for i in range(3))
    return {
        "answers": sum(1 for row in rows if not row[6]),
        "failed": sum(1 for row in rows if row[6]),
        "reused": sum(1 for row in rows if row[5]),
        "truncated": sum(1 for row in rows if row[3] == "length"),
        "tokens": _mean(tokens),
        "ms": _mean(ms),
        "ms_p50": _quantile(ms, 0.5),
        "ms_p95": _quantile(ms, 0.95),
        "cost_per_1000": _mean([1000 * each for each in cost]),
        "template": digest([row[4] for row in rows]),
        "states": _states(plan, target),
        "cut": _cut(plan, target),
        "win_rates": judged_rates(plan.run, target),
    }


def _states(plan: Plan, target: RunTarget) -> dict[str, dict[str, int]]:
    """Of each metric, how many marks are in which state: of several samples some can lack a value where their case has
    one, which is then a mean of the others."""
    marks = CaseScore.objects.filter(result__run=plan.run, result__target=target).order_by()
    found: dict[str, dict[str, int]] = {}
    for metric, state, count in marks.values_list("metric", "state").annotate(Count("pk")):
        found.setdefault(metric, {})[state] = count
    return found


def _cut(plan: Plan, target: RunTarget) -> dict[str, int]:
    """Of each metric, how many likelihoods are of a prompt and text that are longer than the target reads."""
    marks = CaseScore.objects.filter(result__run=plan.run, result__target=target, detail__truncated=True)
    return dict(marks.order_by().values_list("metric").annotate(Count("pk")))


def _mean(values: Sequence[float]) -> dict[str, Any] | None:
    found = statistics.mean_estimate(values)
    return found.as_dict() if found else None


def _quantile(values: Sequence[float], share: float) -> dict[str, Any] | None:
    """A quantile with the distribution-free interval between two order statistics (Conover 1999, section 3.2)."""
    from scipy.stats import binom

    ordered, n = sorted(values), len(values)
    if n < statistics.MIN_CASES:
        return None
    low, high = int(binom.ppf(0.025, n, share)), int(binom.ppf(0.975, n, share)) + 1
    if high > n:  # the data end before the interval does
        return None
    middle = ordered[min(n - 1, int(share * n))]
    return Estimate(
        middle, min(middle, ordered[max(0, low - 1)]), max(middle, ordered[high - 1]), n
    ).as_dict()
