"""Which cases of a target fail and how much each could still gain, and the random order in which they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.models import Analysis, EvalRun, RunTarget, Split
from evaluation.sheets import Cell, Line, Metric, metrics_of, read_sheet
from evaluation.targets import digest
from evaluation.verdicts_cases import fails
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import User

SEALED = (
    "Sealed cases stay unread, so that nobody chooses by them; look into the errors of a run on open cases."
)
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Evaluated:
    """The cases of one target that have a value, in order, and what each failing one could still gain, by its number.

    A case fails below the middle of a metric between 0 and 1 (above it, where less is better), as everywhere; its gain
    is its way to the end of the scale: 1 for one that is marked 0 of 1, 0.7 for one of 0.3.
    """

    metric: Metric
    lines: list[Line]
    gains: Mapping[int, float]

    @property
    def weights(self) -> list[float]:
        return [line.weight for line in self.lines]

    @property
    def clusters(self) -> list[str] | None:
        """What each case is drawn with; None where all stand alone."""
        units = [line.unit for line in self.lines]
        return units if len(set(units)) < len(units) else None


def evaluated(run: EvalRun, target: RunTarget, name: str) -> Evaluated:
    """The evaluated cases of a target in one metric. Raises Refused where that has no passing and failing."""
    metric = find_metric(run, name)
    sheet = read_sheet(run, metrics=[metric], targets={target.index})
    cells = sheet.scored(target.index, metric.name)
    lines = [line for line in sheet.lines if line.id in cells]
    gains = {line.id: _gain(metric, cells[line.id]) for line in lines if fails(metric, cells[line.id])}
    return Evaluated(metric, lines, gains)


def _gain(metric: Metric, cell: Cell) -> float:
    return 1.0 - cell.mean if metric.higher_is_better else cell.mean


def find_metric(run: EvalRun, name: str) -> Metric:
    """A metric of the run that can be failed, the primary one without a name. Raises Refused with a sentence."""
    metrics = metrics_of(run)
    metric = next((each for each in metrics if each.name == (name or run.primary)), None)
    if metric is None:
        known = ", ".join(each.name for each in metrics)
        raise Refused(f"{run.name} has no metric {name[:60]!r}; it has {known}.")
    if not metric.is_bounded:
        raise Refused(
            f"{metric.name} has no passing and failing: it is a number without a bound, so nobody can say what a case "
            "could still gain. Choose a metric between 0 and 1."
        )
    return metric


def readable(run: EvalRun) -> None:
    """Raises Refused where nobody may read this run's cases, or where there is nothing to read yet."""
    if run.split == Split.SEALED:
        raise Refused(SEALED)
    if run.status != Status.SUCCEEDED:
        raise Refused(f"{run.name} has no complete results yet; wait for its end.")


def refuse_seed(seed: int) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise Refused(f"The seed is {seed}; give a number from 0 to {LARGEST_SEED:,}.")


def start_analysis(
    *, run: EvalRun, target: RunTarget, metric: str = "", person: User | None, seed: int | None = None
) -> Analysis:
    """Freeze the failing cases of a target in a random order, to be read from its beginning.

    The same target and metric again gives the analysis that there is. Without a seed it is drawn from what is analysed.
    Raises Refused for sealed cases, unfinished runs, metrics without an end, and where nothing fails.
    """
    readable(run)
    found = evaluated(run, target, metric)
    name = found.metric.name
    drawn = int(digest([run.folder, target.index, name])[:7], 16) if seed is None else seed
    refuse_seed(drawn)
    if not found.gains:
        raise Refused(f"{target.name} fails no case in {name}; there is nothing to read.")
    failing = [line for line in found.lines if line.id in found.gains]
    values: dict[str, Any] = {
        "project": run.project,
        "seed": drawn,
        "order": [line.id for line in sorted(failing, key=lambda line: digest([drawn, line.uid]))],
        "evaluated": len(found.lines),
        "failing": len(failing),
        "created_by": person,
    }
    return Analysis.objects.get_or_create(run=run, target=target, metric=name, defaults=values)[0]
