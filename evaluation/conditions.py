"""The conditions of a gate beside the primary metric: guardrails, forgetting, contamination, judges, missing cases.

Imports SciPy, as evaluation.gates does: pages import them when they are asked for.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from evaluation import judging
from evaluation.comparison import Side, paired_cells
from evaluation.contamination import REASONS
from evaluation.findings import Condition, cases_in
from evaluation.models import EvalRun, Gate, RunTarget, Score, Split
from evaluation.numbers import pairs, weights_of
from evaluation.scorers.base import Scale
from evaluation.sheets import Cell, Line, Metric, metrics_of, shared_cases
from evaluation.statistics import Gate as Bound
from evaluation.targets import identity_of
from evaluation.weighing import Rail, Values, weigh_rails
from labeling.lifecycle import Status
from training.models import Checkpoint
from training.staging import in_production

NEWEST = 50


def guardrails(gate: Gate, sides: tuple[Side, Side], metrics: Sequence[Metric]) -> list[Condition]:
    """Each metric that may be worse by its margin at most, corrected over all of them."""
    known = {metric.name: metric for metric in metrics}
    measured = [rail for rail in gate.guardrails if rail["metric"] in known]
    weighed = weigh_rails(
        [
            (values_of(sides, known[rail["metric"]]), margin_of(known[rail["metric"]], rail["margin"]))
            for rail in measured
        ],
        alpha=gate.alpha,
    )
    found = {rail["metric"]: one for rail, one in zip(measured, weighed, strict=True)}
    conditions = []
    for rail in gate.guardrails:
        metric = known.get(rail["metric"])
        if metric is None:
            words = f"This run has no metric {rail['metric']}; score it with that scorer first."
            conditions.append(Condition("guardrail", f"{rail['metric']} not worse", False, words))
        else:
            conditions.append(_guardrail(metric, rail["margin"], found[metric.name], gate.alpha))
    return conditions


def _guardrail(metric: Metric, margin: float, rail: Rail, alpha: float) -> Condition:
    label = f"{metric.name} not worse by {margin_words(metric, margin)}"
    if rail.bound is None:
        words = "No case got worse." if rail.passed else "Too few cases, or too much alike, to tell."
        return Condition("guardrail", label, rail.passed, words)
    found, p = rail.bound, rail.p_value
    words = f"{bound_words(metric, found, alpha)}; p {p_words(p)}, n {found.n:,}."
    numbers = {"difference": found.difference, "low": found.low, "p": p, "n": found.n, "margin": margin}
    return Condition("guardrail", label, rail.passed, words, numbers)


def forgetting(gate: Gate, sides: tuple[Side, Side]) -> Condition | None:
    """The primary metric of the forgetting suite, in the newest run that has both."""
    if gate.forgetting is None:
        return None
    label = f"Nothing forgotten on {gate.forgetting}"
    found = _newest_with(gate.forgetting_id, [side.target.identity for side in sides])
    if found is None:
        both = f"{sides[0].name} and {sides[1].name}"
        words = f"{both} have not been scored on {gate.forgetting} in one run; do that first."
        return Condition("forgetting", label, False, words)
    metric = metrics_of(found[0].run)[0]
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
    runs = EvalRun.objects.filter(suite=suite_id, status=Status.SUCCEEDED, arm=None)
    for run in runs.select_related("suite", "version__suite").prefetch_related("targets")[:NEWEST]:
        by_identity = {target.identity: target for target in reversed(run.targets.all())}
        if all(identity in by_identity for identity in identities):
            first, second = (Side(run, by_identity[identity]) for identity in identities)
            return first, second
    return None


def production(baseline: RunTarget, target: RunTarget) -> Condition:
    """The candidate must have been measured against what it would replace."""
    label = "Measured against what is in production"
    candidate = target.checkpoint
    champion = in_production(candidate) if candidate is not None else None
    if champion is None:
        words = f"Nothing is in production there; {baseline.name} is what it was measured by."
        return Condition("production", label, True, words)
    if champion.pk == baseline.checkpoint_id or identity_of(champion) == baseline.identity:
        return Condition("production", label, True, f"{champion.name} is in production.", _key(champion))
    words = (
        f"{champion.name} is in production, and this run measured against {baseline.name}; evaluate {target.name} "
        f"against {champion.name} first."
    )
    return Condition("production", label, False, words, _key(champion))


def _key(champion: Checkpoint) -> dict[str, Any]:
    return {"checkpoint": champion.pk}


def contamination(gate: Gate, run: EvalRun, target: RunTarget) -> Condition:
    """The share of cases that the candidate or its ancestors may have met in training."""
    label = "Not trained on these cases"
    facts = run.facts.get("targets", {}).get(str(target.index), {})
    if "dirty" not in facts:
        if target.checkpoint_id is None:
            words = "What an endpoint's model was trained on is not known here."
            return Condition("contamination", label, True if gate.contamination >= 1 else None, words)
        return Condition("contamination", label, False, "Not looked at yet; evaluate it again.")
    cases, dirty = cases_in(run), facts["dirty"]
    reasons = Counter(dirty.values())
    share = len(dirty) / cases if cases else 0.0
    said = ", ".join(f"{count:,} with {REASONS[reason]}" for reason, count in sorted(reasons.items()))
    words = f"{len(dirty):,} of {cases:,} cases are in the training data of {target.name} or its ancestors"
    words += f" ({said}); allowed are {share_words(gate.contamination)}." if dirty else "."
    numbers = {"dirty": len(dirty), "cases": cases}
    return Condition("contamination", label, share <= gate.contamination, words, numbers)


def judges(gate: Gate, run: EvalRun) -> list[Condition]:
    """Every judge that decides: of the weighted metrics, of the primary one, and of the guardrails."""
    deciding = {run.primary, *(rail["metric"] for rail in gate.guardrails)}
    numbers = {
        spec["judge"]
        for spec in run.metrics
        if spec.get("judge") and (spec.get("weight") or spec["name"] in deciding)
    }
    conditions = []
    for number in sorted(numbers):
        name = run.spec.get("judges", {}).get(f"judge:{number}", {}).get("words", f"judge {number}")
        holds, words = judging.trusted(number, gate.agreement)
        conditions.append(Condition("judge", f"{name} agrees with people", holds, words))
    return conditions


def missing(gate: Gate, run: EvalRun, targets: Sequence[RunTarget], metric: Metric) -> Condition:
    """The share of cases without a value of their own, of the worse of the two: a champion that failed to answer would
    make any candidate look good."""
    cases, said, worst = max(1, cases_in(run)), [], 0.0
    for target in targets:
        score = Score.objects.get(run=run, target=target, versus=None, metric=metric.name, slice="")
        absent = score.unscorable + score.errors
        worst = max(worst, absent / cases)
        if absent:
            counted = f"{score.errors:,} errors, {score.unscorable:,} unscorable"
            said.append(f"{target.name} has no value of its own on {absent:,} of {cases:,} cases ({counted})")
    if not said:
        words = f"Champion and candidate have a value of their own on all {cases:,} cases."
        return Condition("missing", "Every case scored", True, words, {"share": 0.0})
    words = f"{'; '.join(said)}; allowed are {share_words(gate.missing)}."
    return Condition("missing", "Every case scored", worst <= gate.missing, words, {"share": worst})


def sealed(gate: Gate, run: EvalRun) -> Condition | None:
    """Whether the cases were those that nobody chose by, where the gate asks for them."""
    if not gate.needs_sealed:
        return None
    held = run.split == Split.SEALED
    words = (
        "Measured on the sealed cases."
        if held
        else "Measured on open cases; this gate asks for the sealed ones. Evaluate this candidate on them."
    )
    return Condition("sealed", "On sealed cases", held, words)


def values_of(sides: tuple[Side, Side], metric: Metric) -> Values:
    """Both sides' values on the cases they share, turned so that more is better."""
    lines, first, second = paired_cells(*sides, metric)
    used = shared_cases(lines, second) if metric.versus_half else shared_cases(lines, first, second)
    if metric.scale in (Scale.RATE, Scale.PERPLEXITY):
        a, b = (_rates(cells, used) for cells in (first, second))
    else:
        a, b = pairs(metric, used, first, second)
    sign = 1.0 if metric.higher_is_better else -1.0
    return Values(
        [sign * x for x in a], [sign * x for x in b], [line.unit for line in used], weights_of(used)
    )


def _rates(cells: dict[int, Cell], used: Sequence[Line]) -> list[float]:
    return [cells[line.id].value / cells[line.id].size for line in used]


def margin_of(metric: Metric, margin: float) -> float:
    """A margin as the values have it: perplexity may rise by a share of itself."""
    return math.log1p(margin) if metric.is_ratio else margin


def margin_words(metric: Metric, margin: float) -> str:
    """A margin as its metric is read: 2 points, 5 %, 12 tokens."""
    if metric.is_bounded:
        return f"{margin * 100:g} points"
    return f"{margin * 100:g} %" if metric.is_ratio else f"{margin:g} {metric.unit}".strip()


def bound_words(metric: Metric, found: Bound, alpha: float) -> str:
    """What is seen and its bound, as the metric itself moves: where less is better, the bound is the most it may be."""
    edge = "at least" if metric.higher_is_better else "at most"
    seen, low = moved_words(metric, found.difference), moved_words(metric, found.low)
    return f"{seen}, {edge} {low} with {100 * (1 - alpha):.4g} % confidence"


def moved_words(metric: Metric, gain: float) -> str:
    """A gain as a move of the metric: +1.5 points, 0.97 times, -12.00 tokens."""
    moved = gain if metric.higher_is_better else -gain
    if metric.is_bounded:
        return f"{moved * 100:+.1f} points"
    if metric.is_ratio:
        return f"{math.exp(moved):.2f} times"
    return f"{moved:+,.2f} {metric.unit}".strip()


def share_words(share: float) -> str:
    return f"{share * 100:g} %"


def p_words(p: float | None) -> str:
    return "not known" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
