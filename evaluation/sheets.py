"""A run's marks as rows of numbers: for each target and metric one value a case, in the order of the cases.

Texts are not read. Several samples of a case are averaged first: cases, not samples, are drawn independently.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from threading import Lock
from typing import Any

from django.db.models import Q

from evaluation.models import Case, CaseScore, EvalRun
from evaluation.plans import COMPOSITE, primary_of
from evaluation.scorers import Need, Scale, find_scorer
from labeling.lifecycle import Status

ROOM = 300_000  # lines and cells that a process keeps, of some 200 bytes each


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric of a run is read. `versus_half`: its values are already against the baseline, and 0.5 is even."""

    name: str
    label: str
    scale: Scale
    higher_is_better: bool
    unit: str = ""
    weight: float = 0.0
    versus_half: bool = False

    @property
    def is_bounded(self) -> bool:
        return self.scale.is_bounded

    @property
    def is_ratio(self) -> bool:
        """Whether two targets are told apart by a ratio, 1 being even."""
        return self.scale == Scale.PERPLEXITY


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a case without its texts. `unit` is the cluster that it is drawn with."""

    id: int
    uid: str
    unit: str
    weight: float
    tags: tuple[str, ...]


@dataclass(slots=True)
class Cell:
    """One target's result for one case: sums over its samples, and how many have none."""

    value: float = 0.0
    size: float = 0.0
    scored: int = 0
    unscorable: int = 0
    errors: int = 0

    @property
    def mean(self) -> float:
        return self.value / self.scored


_numbers = attrgetter("value", "size", "scored", "unscorable", "errors")
Cells = dict[tuple[int, str], dict[int, Cell]]


@dataclass
class Sheet:
    """The cells of a run by (target's index, metric) and case. Cells without a scored sample count as missing."""

    lines: list[Line]
    cells: Cells = field(default_factory=dict)

    def scored(self, target: int, metric: str) -> dict[int, Cell]:
        """The cells that have a value, by case."""
        return {case: cell for case, cell in self.cells.get((target, metric), {}).items() if cell.scored}

    def tags(self) -> list[str]:
        """The slices, the largest first."""
        counts: dict[str, int] = defaultdict(int)
        for line in self.lines:
            for tag in line.tags:
                counts[tag] += 1
        return sorted(counts, key=lambda tag: (-counts[tag], tag))


TOGETHER = Metric(COMPOSITE, "All weighted metrics together", Scale.SHARE, True)


def primary_metric(scoring: Sequence[Mapping[str, Any]]) -> Metric | None:
    """What the verdict of a run that is scored by these is about; None without any."""
    name = primary_of({spec["name"]: spec.get("weight", 0.0) for spec in scoring})
    return TOGETHER if name == COMPOSITE else next((_metric(s) for s in scoring if s["name"] == name), None)


def metrics_of(run: EvalRun) -> list[Metric]:
    """The metrics of a run, the primary first."""
    found = [_metric(spec) for spec in run.metrics]
    if run.primary == COMPOSITE:
        found.insert(0, TOGETHER)
    return sorted(found, key=lambda metric: metric.name != run.primary)


def _metric(spec: Mapping[str, Any]) -> Metric:
    scorer = find_scorer(spec["scorer"])
    return Metric(
        name=spec["name"],
        label=scorer.label,
        scale=scorer.scale,
        higher_is_better=scorer.higher_is_better,
        unit=scorer.unit,
        weight=spec.get("weight", 0.0),
        versus_half=Need.BASELINE in scorer.needs,
    )


class Kept:
    """What this process has read of frozen versions and finished runs, which do not change: the last used, up to ROOM.

    Nothing is copied on the way in or out, so that nobody may alter what they are given. Numbers are kept as tuples:
    the garbage collector passes over those, and a hundred thousand objects would make it stop a page for 0.1 s.
    """

    def __init__(self) -> None:
        self._lock, self._held, self._size = Lock(), OrderedDict[str, Any](), 0

    def get(self, key: str) -> Any:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: str, value: Any) -> None:
        with self._lock:
            self._size += len(value) - len(self._held.pop(key, ()))
            self._held[key] = value
            while self._size > ROOM:
                self._size -= len(self._held.popitem(last=False)[1])

    def clear(self) -> None:
        with self._lock:
            self._held.clear()
            self._size = 0


KEPT = Kept()


def lines_of(run: EvalRun) -> list[Line]:
    """The run's cases in order, kept between requests: its version is frozen, and every run on it has the same."""
    key = f"lines:{run.version_id}:{run.version.content_hash}:{run.split}"
    if run.spec.get("only") or run.spec.get("contexts") == "gold":  # not all cases of the split
        key += f":{run.folder}"
    found: list[Line] | None = KEPT.get(key)
    if found is None:
        rows = Case.objects.of_run(run).values_list("pk", "uid", "cluster", "prompt_hash", "weight", "tags")
        found = [
            Line(pk, uid, cluster or prompt, weight, tuple(map(str, tags)))
            for pk, uid, cluster, prompt, weight, tags in rows
        ]
        KEPT.put(key, found)
    return found


def read_sheet(run: EvalRun, *, metrics: Iterable[Metric], targets: Iterable[int] | None = None) -> Sheet:
    """The numbers of some metrics, and of some targets by index: those of a finished run are kept between requests.

    A target that gave no answer has the worst value of a metric between 0 and 1: leaving such cases out would reward
    it. In other metrics they are missing, and counted.
    """
    wanted = {metric.name: metric for metric in metrics}
    if targets is None or run.status != Status.SUCCEEDED:
        return Sheet(lines_of(run), _read(run, wanted, targets))
    keys = {(target, name): f"cells:{run.folder}:{target}:{name}" for target in targets for name in wanted}
    kept = {place: found for place, key in keys.items() if (found := KEPT.get(key)) is not None}
    if missing := keys.keys() - kept.keys():
        read = _read(run, {name: wanted[name] for _, name in missing}, {target for target, _ in missing})
        for place in missing:
            kept[place] = {case: _numbers(cell) for case, cell in read.get(place, {}).items()}
            KEPT.put(keys[place], kept[place])
    cells = {place: {case: Cell(*cell) for case, cell in column.items()} for place, column in kept.items()}
    return Sheet(lines_of(run), cells)


def _read(run: EvalRun, wanted: dict[str, Metric], targets: Iterable[int] | None) -> Cells:
    chosen = Q(result__run=run, metric__in=wanted)
    if targets is not None:
        chosen &= Q(result__target__index__in=list(targets))
    cells: Cells = {}
    rows = CaseScore.objects.filter(chosen).order_by()
    for target, case, metric, state, value, size, output, error in rows.values_list(
        "result__target__index", "result__case_id", "metric", "state", "value", "size",
        "result__output_id", "result__error",
    ):  # fmt: skip
        cell = cells.setdefault((target, metric), {}).setdefault(case, Cell())
        failed = output is None and bool(error)
        _count(cell, wanted[metric], state, value, size, failed)
    return cells


def _count(
    cell: Cell, metric: Metric, state: str, value: float | None, size: float | None, failed: bool
) -> None:
    if state == CaseScore.State.SCORED and value is not None:
        cell.value += value
        cell.size += size or 0.0
        cell.scored += 1
    elif state == CaseScore.State.UNSCORABLE:
        cell.unscorable += 1
    else:
        cell.errors += 1
        if failed and metric.is_bounded:
            cell.value += 0.0 if metric.higher_is_better else 1.0
            cell.scored += 1


def shared_cases(lines: Sequence[Line], *cells: dict[int, Cell]) -> list[Line]:
    """The cases for which all have a value, in order."""
    shared = set(cells[0]).intersection(*cells[1:])
    return [line for line in lines if line.id in shared]
