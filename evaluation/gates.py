"""Whether a candidate may take the champion's place: every condition of the suite's gate, each with its numbers.

What is decided on plain numbers stands in evaluation.weighing. Imports SciPy.
"""

from dataclasses import replace

from evaluation.comparison import Side
from evaluation.conditions import (
    bound_words,
    contamination,
    deciding,
    guardrails,
    judges,
    margin_of,
    missing,
    production,
    sealed,
    values_of,
    where_set,
)
from evaluation.findings import Condition, Findings, gate_of
from evaluation.forgetting import forgetting
from evaluation.measured import measured, sampled, ways_of
from evaluation.models import EvalRun, Gate, RunTarget
from evaluation.reading import rounded, settles
from evaluation.sheets import Metric, metrics_of
from evaluation.suites.sealing import CANDIDATES
from evaluation.targets import digest
from evaluation.weighing import BETTER, INCONCLUSIVE, NOT_WORSE, WORSE, Tries, Values, Weighed, weigh
from labeling.lifecycle import Status

VERDICT_WORDS = {
    BETTER: "better than",
    NOT_WORSE: "not worse than",
    WORSE: "worse than",
    INCONCLUSIVE: "not to be told from",
}


def examine(run: EvalRun, target: RunTarget) -> Findings:
    """Hold a candidate of a finished run against the run's baseline."""
    gate, metrics = gate_of(run.suite), metrics_of(run)
    first = run.targets.select_related("checkpoint__base", "endpoint").get(index=0)
    sides = Side(run, first), Side(run, target)
    primary, weighed = _primary(gate, sides, metrics[0])
    more = rounded(weighed.more) if weighed.more else None
    conditions = [
        primary,
        *guardrails(gate, sides, metrics),
        *forgetting(gate, sides),
        production(first, target),
        where_set(gate, target),
        contamination(gate, run, target),
        *judges(gate, run, deciding(gate, metrics)),
        missing(gate, sides, deciding(gate, metrics)),
        sealed(gate, run),
    ]
    once = [each for place, each in enumerate(conditions) if each and each not in conditions[:place]]
    sentence = f"{target.name} is {VERDICT_WORDS[weighed.verdict]} {first.name} in {metrics[0].name}"
    if more:
        sentence += f"; {settles(more)}"
    return Findings(target.name, first.name, weighed.verdict, f"{sentence}.", once, more)


def tries_of(run: EvalRun, target: RunTarget) -> Tries:
    """How many candidates were held against this champion on this suite before, and how many in the run that first had
    this one.

    The same candidate sampled anew, or measured by another primary metric, is another try; all versions of the suite
    count together, so that a case more or less does not wipe out what was tried. Runs count in the order in which they
    ended, which is that in which somebody could read them: a run planned first may end last.
    """
    baseline = run.targets.get(index=0)
    rows = RunTarget.objects.filter(
        CANDIDATES,
        run__suite=run.suite_id,
        run__split=run.split,
        run__status=Status.SUCCEEDED,
        run__targets__index=0,
        run__targets__identity=baseline.identity,
    ).order_by("run__finished_at", "run_id")
    found = list(rows.values_list("run_id", "identity"))
    order = {pk: place for place, pk in enumerate(dict.fromkeys(pk for pk, _ in found))}
    ways = {pk: _way(each) for pk, each in ways_of(EvalRun.objects.filter(pk__in=order)).items()}
    firsts: dict[tuple[str, str], int] = {}
    for pk, identity in found:
        firsts.setdefault((identity, ways[pk]), order[pk])
    own = firsts.get((target.identity, _way(run)), order.get(run.pk, len(order)))
    places = list(firsts.values())
    return Tries(earlier=sum(place < own for place in places), together=max(1, places.count(own)))


def _way(run: EvalRun) -> str:
    return digest([sampled(run), run.primary, measured(run).get(run.primary)])


def _primary(gate: Gate, sides: tuple[Side, Side], metric: Metric) -> tuple[Condition, Weighed]:
    values, tries = values_of(sides, metric), tries_of(sides[0].run, sides[1].target)
    weighed = weigh(values, alpha=gate.alpha, margin=margin_of(metric, gate.margin), tries=tries)
    label = f"Better in {metric.name}"
    found = weighed.better
    if found is None:
        return _nothing_to_tell(label, values, weighed)
    words = f"{bound_words(metric, found, weighed.alpha)}; n {found.n:,}."
    if tries.total > 1:
        words += (
            f" {tries.total} candidates were held against {sides[0].name} on these cases so far: the more are tried, "
            "the surer each has to be."
        )
    numbers = {
        "difference": found.difference,
        "low": found.low,
        "p": found.p_value,
        "alpha": weighed.alpha,
        "n": found.n,
        "candidates": tries.total,
    }
    return Condition("primary", label, weighed.verdict == BETTER, words, numbers), weighed


def _nothing_to_tell(label: str, values: Values, weighed: Weighed) -> tuple[Condition, Weighed]:
    count = len(values.a)
    if count and not values.differ:
        words = f"The two have the same value on all {count:,} cases."
        return Condition("primary", label, False, words), replace(weighed, verdict=INCONCLUSIVE)
    words = f"{count:,} case{' has' if count == 1 else 's have'} a value of both: too few to tell."
    return Condition("primary", label, False, words), weighed
