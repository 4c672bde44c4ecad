"""All targets that were ever scored on the open cases of one suite version, with the ranks that the data leave open.

Sealed runs do not appear: a list to choose from would wear the seal. Ranks come from all paired differences at once:
a target is better than another where the interval of their difference, Bonferroni-corrected over all pairs, leaves out
zero (after Mogstad, Romano, Shaikh and Wilhelm 2024). Errors are those of sums clustered by prompt (Miller 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

from django.core.cache import cache

from evaluation.measured import Side, way_of, ways_of, why_not
from evaluation.models import Case, CaseScore, EvalRun, RunTarget, Score, Split, SuiteVersion
from evaluation.scorers.base import Scale
from evaluation.sheets import Cell, Line, Metric, lines_of, metrics_of
from evaluation.specs import is_usual
from evaluation.targets import digest
from labeling.estimates import Estimate
from labeling.lifecycle import Status
from training.models import Checkpoint

ALPHA = 0.05
FEWEST = 10  # clusters, below which two targets are not told apart
MOST_RUNS = 200
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Entry:
    """One target on the board; its rank lies between `best` and `worst`, both None until ranks are known."""

    side: Side
    estimate: Estimate | None
    best: int | None = None
    worst: int | None = None

    @property
    def name(self) -> str:
        return self.side.name

    @property
    def is_champion(self) -> bool:
        checkpoint = self.side.target.checkpoint
        return checkpoint is not None and checkpoint.stage == Checkpoint.Stage.PRODUCTION

    @property
    def rank_words(self) -> str:
        if self.best is None or self.worst is None:
            return "not known"
        return f"{self.best}" if self.best == self.worst else f"{self.best} to {self.worst}"


@dataclass(frozen=True, slots=True)
class Board:
    """The entries, the highest number first (the lowest where less is better), and who is left out with the reason."""

    version: SuiteVersion
    metric: Metric
    entries: list[Entry]
    left_out: list[tuple[Side, str]]

    def as_dict(self) -> dict[str, Any]:
        rows = [
            {"target": each.name, "run": each.side.run.pk, "index": each.side.target.index, "best": each.best,
             "worst": each.worst, "value": each.estimate.as_dict() if each.estimate else None}
            for each in self.entries
        ]  # fmt: skip
        left_out = [{"what": side.name, "why": why} for side, why in self.left_out]
        return {
            "version": str(self.version),
            "metric": self.metric.name,
            "entries": rows,
            "left_out": left_out,
        }

    @property
    def champion(self) -> Entry | None:
        return next((entry for entry in self.entries if entry.is_champion), None)


def runs_on(version: SuiteVersion, split: str = Split.DEV) -> list[EvalRun]:
    """The finished runs on the cases of a version, the newest first."""
    rows = EvalRun.objects.filter(
        suite=version.suite_id,
        version__content_hash=version.content_hash,
        split=split,
        status=Status.SUCCEEDED,
    )
    found = rows.filter(arm=None).select_related("version__suite", "suite")[:MOST_RUNS]
    return [run for run in found if is_usual(run.spec)]


def sides_on(runs: Sequence[EvalRun], metric: str) -> list[Side]:
    """Everybody who was scored in these runs in a metric, each identity once: where it was scored last."""
    by_key = {
        run.pk: run for run in runs if metric == run.primary or metric in {m["name"] for m in run.metrics}
    }
    rows = RunTarget.objects.filter(run__in=by_key).order_by("-run_id", "index")
    found: dict[str, Side] = {}
    for target in rows.select_related("checkpoint").defer("facts", "checkpoint__deltas"):
        found.setdefault(target.identity, Side(by_key[target.run_id], target))
    return list(found.values())


def numbers_of(sides: Sequence[Side], metric: str) -> dict[int, Estimate]:
    """The number of each of these in a metric, by the target's key."""
    rows = Score.objects.filter(
        target__in=[side.target.pk for side in sides], metric=metric, slice="", versus=None
    )
    return {row.target_id: row.estimate for row in rows if row.estimate is not None}


def learned_from(run: EvalRun, metric: str) -> list[tuple[RunTarget, Estimate, int]]:
    """Every number of a metric on the cases of a run, measured as it was there, the oldest first and each identity
    once: the target, the number, and how many judgments the target was trained on."""
    rows = EvalRun.objects.filter(
        suite=run.suite_id,
        version__content_hash=run.version.content_hash,
        split=run.split,
        status=Status.SUCCEEDED,
        arm=None,
    )
    wanted = way_of(run, metric)
    alike = {
        pk: each.facts["judgments"]
        for pk, each in ways_of(rows[:MOST_RUNS]).items()
        if is_usual(each.spec) and way_of(each, metric) == wanted
    }
    scores = Score.objects.filter(run__in=alike, metric=metric, slice="", versus=None, value__isnull=False)
    columns = ("run_id", "target__pk", "target__name", "target__index", "target__identity")
    found: dict[str, tuple[RunTarget, Estimate, int]] = {}
    for run_id, pk, name, index, identity, *numbers in scores.order_by("run_id", "target__index").values_list(
        *columns, "value", "low", "high", "n"
    ):
        judgments = alike[run_id].get(str(index))
        if judgments is not None:
            target = RunTarget(pk=pk, run_id=run_id, name=name, index=index, identity=identity)
            found.pop(identity, None)
            found[identity] = target, Estimate(*numbers), judgments
    return list(found.values())


def board(version: SuiteVersion, metric_name: str = "") -> Board | None:
    """The board of a version in a metric of its newest run; None where nothing was scored on it."""
    runs = runs_on(version)
    if not runs:
        return None
    metrics = {metric.name: metric for run in reversed(runs) for metric in metrics_of(run)}
    metric = metrics.get(metric_name) or metrics_of(runs[0])[0]
    sides = sides_on(runs, metric.name)
    first = sides[0]
    baselines = dict(RunTarget.objects.filter(run__in=runs, index=0).values_list("run_id", "identity"))
    reasons = {side.target.pk: _why_left_out(first, side, metric, baselines) for side in sides}
    kept = [side for side in sides if not reasons[side.target.pk]]
    known = numbers_of(kept, metric.name)
    entries = [Entry(side, known.get(side.target.pk)) for side in kept]
    sign = -1 if metric.higher_is_better else 1
    entries.sort(key=lambda each: (each.estimate is None, sign * each.estimate.value if each.estimate else 0))
    ranks = ranks_of([entry.side for entry in entries if entry.estimate], metric)
    ranked = [replace(entry, best=best, worst=worst) for entry in entries
              for best, worst in [ranks.get(entry.side.target.pk, (None, None))]]  # fmt: skip
    return Board(
        version,
        metric,
        ranked,
        [(side, reasons[side.target.pk]) for side in sides if reasons[side.target.pk]],
    )


def _why_left_out(first: Side, side: Side, metric: Metric, baselines: dict[int, str]) -> str:
    if metric.versus_half:
        if side.target.is_baseline:
            return f"{side.name} is what the others are measured by in {metric.name}."
        if baselines[first.run.pk] != baselines[side.run.pk]:
            return f"{side.name} was measured against another baseline in {metric.name}."
    return "" if first.target.pk == side.target.pk else why_not(first, side, metric.name)


def ranks_of(sides: Sequence[Side], metric: Metric) -> dict[int, tuple[int, int]]:
    """Each target's best and worst rank, by its key: kept for a day, as marks of finished runs do not change."""
    if not sides:
        return {}
    key = f"ranks:{digest([metric.name, sorted((side.run.pk, side.target.pk) for side in sides)])}"
    found: dict[int, tuple[int, int]] | None = cache.get(key)
    if found is None:
        keys = [side.target.pk for side in sides]
        found = dict(zip(keys, _ranks(sides, metric), strict=True))
        cache.set(key, found, DAY)
    return found


def _ranks(sides: Sequence[Side], metric: Metric) -> list[tuple[int, int]]:
    sums, sizes, units = _columns(sides, metric)
    return rank_intervals(sums, sizes, units, higher_is_better=metric.higher_is_better)


def rank_intervals(
    sums: Any, sizes: Any, units: Any, *, higher_is_better: bool = True, alpha: float = ALPHA
) -> list[tuple[int, int]]:
    """Ranks that all pairwise differences leave open, 1 being best.

    `sums` and `sizes` are targets x cases: a target's number is the total of its sums over that of its sizes (sizes of
    1 make a mean), with 0 in both where a case has no value. `units` numbers each case's cluster from 0.
    """
    import numpy as np

    count = len(sums)
    better, worse = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
    z = NormalDist().inv_cdf(1 - alpha / max(1, count * (count - 1)))  # two-sided, over all pairs
    order = np.argsort(units, kind="stable")
    starts = np.flatnonzero(np.diff(units[order], prepend=-1))
    sums, sizes = sums[:, order], sizes[:, order]
    for i in range(count - 1):
        both = (sizes[i] > 0) & (sizes[i + 1 :] > 0)
        first, left = _deviations(sums[i] * both, sizes[i] * both)
        others, right = _deviations(sums[i + 1 :] * both, sizes[i + 1 :] * both)
        groups = (np.add.reduceat(both, starts, axis=1) > 0).sum(axis=1)
        parts = np.add.reduceat(left - right, starts, axis=1)
        freedom = np.maximum(groups - 1, 1)
        error = np.sqrt(groups / freedom * (parts**2).sum(axis=1))
        gain = (first - others) * (1 if higher_is_better else -1)
        told = (groups >= FEWEST) & (np.abs(gain) > np.maximum(student(z, freedom) * error, 1e-12))
        won, lost = told & (gain > 0), told & (gain < 0)
        worse[i] += won.sum()
        better[i] += lost.sum()
        better[i + 1 :] += won
        worse[i + 1 :] += lost
    return [(1 + int(better[place]), count - int(worse[place])) for place in range(count)]


def _deviations(sums: Any, sizes: Any) -> tuple[Any, Any]:
    """The ratio of the totals of each row, and what each case adds to its error (the linear part of a ratio)."""
    import numpy as np

    totals = np.maximum(sizes.sum(axis=-1), 1e-300)
    values = sums.sum(axis=-1) / totals
    return values, (sums - values[..., None] * sizes) / totals[..., None]


def student(z: float, freedom: Any) -> Any:
    """Student's quantile from the normal one (Abramowitz and Stegun 26.7.5), for degrees of freedom of 9 and more: a
    number of them, or an array."""
    g = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / (1.0 * freedom) ** (power + 1) for power, term in enumerate(g))


def _columns(sides: Sequence[Side], metric: Metric) -> tuple[Any, Any, Any]:
    """Targets x cases: sums, sizes, and the number of each case's cluster. One query for all targets."""
    import numpy as np

    lines: list[Line] = lines_of(sides[0].run)
    place = {line.uid: number for number, line in enumerate(lines)}
    uids = dict(Case.objects.filter(suite=sides[0].run.suite_id).order_by().values_list("pk", "uid"))
    row = {side.target.pk: number for number, side in enumerate(sides)}
    sums, sizes = np.zeros((len(sides), len(lines))), np.zeros((len(sides), len(lines)))
    is_rate = metric.scale in (Scale.RATE, Scale.PERPLEXITY)
    for target, case, cell in _cells(sides, metric):
        column = place.get(uids[case])
        if column is not None and cell.scored:
            weight = lines[column].weight
            sums[row[target], column] = cell.value if is_rate else weight * cell.mean
            sizes[row[target], column] = cell.size if is_rate else weight
    codes: dict[str, int] = {}
    units = np.array([codes.setdefault(line.unit, len(codes)) for line in lines], dtype=np.intp)
    return sums, sizes, units


def _cells(sides: Sequence[Side], metric: Metric) -> list[tuple[int, int, Cell]]:
    """By target and case, as evaluation.sheets counts: a target without an answer has the worst value of a metric
    between 0 and 1."""
    rows = CaseScore.objects.filter(result__target__in=[side.target.pk for side in sides], metric=metric.name)
    cells: dict[tuple[int, int], Cell] = {}
    for target, case, state, value, size, output, error in rows.order_by().values_list(
        "result__target_id", "result__case_id", "state", "value", "size", "result__output_id", "result__error"
    ):
        cell = cells.setdefault((target, case), Cell())
        if state == CaseScore.State.SCORED and value is not None:
            cell.value, cell.size, cell.scored = (
                cell.value + value,
                cell.size + (size or 0.0),
                cell.scored + 1,
            )
        elif state == CaseScore.State.ERROR and output is None and error and metric.is_bounded:
            cell.value, cell.scored = cell.value + (0.0 if metric.higher_is_better else 1.0), cell.scored + 1
    return [(target, case, cell) for (target, case), cell in cells.items()]
