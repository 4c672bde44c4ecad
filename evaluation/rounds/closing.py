"""How many siblings of a fix that failed pass at a checkpoint, and whether that is more than chance brings.

Numbers of finished runs never change, nor do the cases of a fix, and what readers say of the others is in the key: they
are computed once and kept in Django's cache. SciPy is imported where something has to be computed, so that pages load
without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.core.cache import cache

from evaluation.measured import way_of
from evaluation.models import EvalRun, Fix, RunTarget
from evaluation.reading import FEWEST, WORSE, gain_of, standing_of
from evaluation.rounds.drawing_cases import metric_of
from evaluation.rounds.tracing import Trace
from evaluation.sheets import Cell, Line, Metric, lines_of, read_sheet
from evaluation.targets import digest
from evaluation.verdicts_cases import fails
from labeling.estimates import Estimate

KEPT_S = 7 * 24 * 3600
Cells = dict[int, Cell]
FORM = 2  # of what is cached: raise it with every change to this module's numbers
ALPHA = 0.025  # one-sided, as the end of a 95 % interval that it goes with
MOST_CLOSE = 0.5
FEW_CONTROLS = 20
CLOSED, PARTLY, NOT_CLOSED, OPEN = "closed", "partly closed", "not closed", "not enough data"


@dataclass(frozen=True, slots=True)
class Closing:
    """What a checkpoint did to the siblings of a fix.

    `closed` is the share of siblings failing at the baseline that pass; `chance` the share of other failing cases that
    do, `excess` the first less the second, `p` one-sided that there is none, Holm's over the checkpoints of the fix.
    `change` is the paired difference on all siblings, with those that `broken` though they passed. `gained` is what
    siblings that failed, or do now, added to the metric on all cases that were measured, and `ceiling` what those that
    failed could add at most to the same; `rise` holds what cases of all kinds added. `met` siblings were left out, as
    the checkpoint may have met them in training, and `changed` ones are not in the run as they were. `reason` says why
    there are no numbers.
    """

    closed: Estimate | None = None
    chance: Estimate | None = None
    excess: Estimate | None = None
    p: float | None = None
    change: Estimate | None = None
    change_p: float | None = None
    gained: Estimate | None = None
    ceiling: Estimate | None = None
    rise: Estimate | None = None
    failing: int = 0
    fixed: int = 0
    broken: int = 0
    controls: int = 0
    met: int = 0
    changed: int = 0
    reason: str = ""

    @property
    def standing(self) -> str:
        """closed: more than chance brings, and surely more than half; partly closed: more than chance brings."""
        if standing_of(self.change, self.change_p, 0.0) == WORSE:
            return WORSE
        if self.excess is None or self.p is None:
            return OPEN
        if self.p >= ALPHA or self.excess.low <= 0:
            return NOT_CLOSED
        return CLOSED if self.closed is not None and self.closed.low > MOST_CLOSE else PARTLY

    @property
    def words(self) -> str:
        """Why the standing is what it is, in a sentence."""
        if self.reason:
            return self.reason
        if not self.failing:
            return "no sibling failed before."
        said = f"{self.fixed} of {self.failing} siblings that failed before pass now"
        if self.broken:
            said += f", and {self.broken} that passed fail"
        if self.failing < FEWEST or self.closed is None:
            return f"{said}; that is too few to tell."
        if self.chance is None or self.excess is None:
            return f"{said}; {self.controls} other failing cases are too few to know what chance brings."
        return f"{said}; of {self.controls} failing cases of other kinds {self.chance.value * 100:.0f} % do."


def closings_of(trace: Trace) -> list[Closing]:
    """The closing at each checkpoint that was measured, p corrected over them: of many one closes something by
    chance."""
    said = digest([sorted(trace.keys), sorted(trace.read.items())])
    found = [_kept(trace, said, run, target) for run, target in trace.measured]
    tested = [each.p for each in found if each.p is not None]
    if len(tested) < 2:
        return found
    corrected = iter(_holm(tested))
    return [each if each.p is None else replace(each, p=next(corrected)) for each in found]


def _holm(values: Sequence[float]) -> list[float]:
    """Holm's corrected p values, as evaluation.statistics.holm gives them, without SciPy."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, highest = [0.0] * len(values), 0.0
    for place, key in enumerate(order):
        highest = max(highest, min(1.0, values[key] * (len(values) - place)))
        found[key] = highest
    return found


def _kept(trace: Trace, said: str, run: EvalRun, target: RunTarget) -> Closing:
    key = f"evaluation:closing:{FORM}:{trace.fix.pk}:{run.folder}:{target.index}:{said}"
    found: Closing | None = cache.get(key)
    if found is None:
        found = _closing(trace, run, target)
        cache.set(key, found, KEPT_S)
    return found


def _closing(trace: Trace, run: EvalRun, target: RunTarget) -> Closing:
    fix, siblings = trace.fix, trace.siblings
    metric = metric_of(fix.run, fix.metric)
    before = _baseline(fix, run)
    if way_of(run, metric.name) != way_of(before.run, metric.name):
        return Closing(
            reason=f"{run.name} measured {metric.name} in another way than {before.run.name} did; evaluate again."
        )
    facts = run.facts.get("targets", {}).get(str(target.index), {})
    dirty = {int(case) for case in facts.get("dirty", ())}
    lines = [line for line in lines_of(run) if line.id not in dirty]
    one, two = _cells(before.run, before, metric), _cells(run, target, metric)
    both = [line for line in lines if line.id in one and line.id in two]
    own = [line for line in both if line.id in siblings]
    was = {line.id for line in both if fails(metric, one[line.id])}
    failing = [line for line in own if line.id in was]
    others = _controls(trace, both, was)

    from evaluation.statistics import closing_excess, paired_difference

    passes = {line.id: float(not fails(metric, two[line.id])) for line in both}
    excess = closing_excess(
        [passes[line.id] for line in failing], [passes[line.id] for line in others],
        [line.unit for line in failing], [line.unit for line in others],
    )  # fmt: skip
    change = paired_difference(
        [float(line.id not in was) for line in own],
        [passes[line.id] for line in own],
        [line.unit for line in own],
    )
    return Closing(
        closed=excess.treated,
        chance=excess.control,
        excess=excess.difference,
        p=excess.p_value,
        change=change.difference,
        change_p=change.p_value if change.mid_p is None else change.mid_p,
        gained=_rise(metric, both, one, _changed(metric, own, one, two)),
        ceiling=_rise(metric, both, one, _mended(metric, failing, one)),
        rise=_rise(metric, both, one, two),
        failing=len(failing),
        fixed=int(sum(passes[line.id] for line in failing)),
        broken=change.broken,
        controls=len(others),
        met=len(siblings & dirty),
        changed=len(siblings - {line.id for line in lines} - dirty),
    )


def _rise(metric: Metric, lines: Sequence[Line], one: Cells, two: Cells) -> Estimate | None:
    """How much the metric is better on these cases where those in `two` are as they are there."""
    from evaluation.numbers import delta

    return gain_of(metric, delta(metric, lines, one, one | two, quick=True).estimate)


def _changed(metric: Metric, own: Sequence[Line], one: Cells, two: Cells) -> Cells:
    """What the siblings have now that failed before, or do now."""
    return {line.id: two[line.id] for line in own if any(fails(metric, has[line.id]) for has in (one, two))}


def _mended(metric: Metric, failing: Sequence[Line], one: Cells) -> Cells:
    """What failing cases would have at the end of the scale."""
    end = float(metric.higher_is_better)
    return {line.id: replace(one[line.id], value=end * one[line.id].scored) for line in failing}


def _baseline(fix: Fix, run: EvalRun) -> RunTarget:
    """Whom the checkpoint is measured by: the fix's target as this run asked it, else as the fix's own run did."""
    again = RunTarget.objects.filter(run=run, identity=fix.target.identity).order_by("index").first()
    found = again or fix.target
    found.run = run if again else fix.run
    return found


def _cells(run: EvalRun, target: RunTarget, metric: Metric) -> Cells:
    return read_sheet(run, metrics=[metric], targets={target.index}).scored(target.index, metric.name)


def _controls(trace: Trace, lines: Sequence[Line], was: set[int]) -> list[Line]:
    """Failing cases of other kinds, of no cluster that the fix touches: those that were read and are of another kind
    where they are enough, else all that nobody says are of this one."""
    touched = {line.unit for line in lines if line.id in trace.siblings} | trace.taught
    others = [
        line
        for line in lines
        if line.id in was
        and line.unit not in touched
        and not trace.read.get(line.uid, False)
        and trace.keys.isdisjoint(line.tags)
    ]
    known = [line for line in others if line.uid in trace.read]
    return known if len(known) >= FEW_CONTROLS else others
