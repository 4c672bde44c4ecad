"""Whether a candidate has forgotten what another suite measures: conditions of a gate. Imports SciPy, as theirs do."""

from collections.abc import Sequence

from evaluation.comparison import Side
from evaluation.conditions import bound_words, judges, margin_of, margin_words, missing, values_of
from evaluation.findings import Condition
from evaluation.models import EvalRun, Gate
from evaluation.sheets import Metric, metrics_of
from evaluation.specs import is_usual
from evaluation.weighing import weigh_rails
from labeling.lifecycle import Status

NEWEST = 50


def forgetting(gate: Gate, sides: tuple[Side, Side]) -> list[Condition]:
    """The primary metric of the suite in the newest run that has both, that run's missing cases and its judges."""
    if gate.forgetting is None:
        return []
    found = _newest_with(gate.forgetting_id, [side.target.identity for side in sides])
    if found is None:
        champion, candidate = (side.name for side in sides)
        words = (
            f"{champion} and {candidate} have not been scored on {gate.forgetting} together, on all its cases and with "
            f"the contexts of a product; evaluate {candidate} there with {champion} as the baseline."
        )
        return [Condition("forgetting", f"Nothing forgotten on {gate.forgetting}", False, words)]
    primary = metrics_of(found[0].run)[:1]
    return [
        _forgotten(gate, found, primary[0]),
        missing(gate, found, primary),
        *judges(gate, found[0].run, primary),
    ]


def _forgotten(gate: Gate, found: tuple[Side, Side], metric: Metric) -> Condition:
    label = f"Nothing forgotten on {gate.forgetting}"
    values, margin = values_of(found, metric), margin_of(metric, gate.forgetting_margin)
    rail = weigh_rails([(values, margin)], alpha=gate.alpha)[0]
    if rail.bound is None:
        words = (
            f"No case of {gate.forgetting} got worse."
            if rail.passed
            else f"Too few cases of {gate.forgetting} to tell."
        )
        return Condition("forgetting", label, rail.passed, words, {"run": found[0].run.pk})
    bound = rail.bound
    words = (
        f"{bound_words(metric, bound, gate.alpha)} in {metric.name}; it may get worse by "
        f"{margin_words(metric, gate.forgetting_margin)}; n {bound.n:,}."
    )
    numbers = {"difference": bound.difference, "low": bound.low, "p": rail.p_value, "run": found[0].run.pk}
    return Condition("forgetting", label, rail.passed, words, numbers)


def _newest_with(suite_id: int | None, identities: Sequence[str]) -> tuple[Side, Side] | None:
    """The first against the second in the newest run that may decide: an unusual one may not, and a metric against the
    baseline tells only of the run's own baseline."""
    runs = EvalRun.objects.filter(suite=suite_id, status=Status.SUCCEEDED, arm=None)
    for identity in identities:
        runs = runs.filter(targets__identity=identity)
    for run in runs.select_related("suite", "version__suite").prefetch_related("targets")[:NEWEST]:
        if not is_usual(run.spec):
            continue
        by_identity = {target.identity: target for target in reversed(run.targets.all())}
        first, second = (Side(run, by_identity[identity]) for identity in identities)
        if first.target.is_baseline or not metrics_of(run)[0].versus_half:
            return first, second
    return None
