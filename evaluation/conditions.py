"""The conditions of a gate beside the primary metric: guardrails, contamination, judges, missing cases.

Imports SciPy, as evaluation.gates does: pages import them when they are asked for.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from evaluation.comparison import Side, paired_cells
from evaluation.contamination import REASONS
from evaluation.findings import Condition, cases_in, gate_over
from evaluation.models import EvalRun, Gate, RunTarget, Split
from evaluation.numbers import pairs, weights_of
from evaluation.scorers.base import Scale
from evaluation.sheets import Cell, Line, Metric, read_sheet, shared_cases
from evaluation.statistics import Gate as Bound
from evaluation.targets import identity_of
from evaluation.trusting import judged_in, trusted_for
from evaluation.weighing import Rail, Values, weigh_rails
from training.models import Checkpoint
from training.registry import ancestors
from training.staging import in_production


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


def production(baseline: RunTarget, target: RunTarget) -> Condition:
    """The candidate must have been measured against what it would replace; where that is nothing, against what it grew
    from, as anything looks good beside something bad."""
    label = "Measured against what is in production"
    candidate = target.checkpoint
    champion = in_production(candidate) if candidate is not None else None
    if champion is None:
        grew = candidate is not None and _grew_from(candidate, baseline.checkpoint)
        words = f"Nothing is in production there; {baseline.name} is what it was measured by"
        words += (
            "." if grew else f", and {target.name} did not grow from it; evaluate it against its base model."
        )
        return Condition("production", label, True if grew else None, words)
    if champion.pk == baseline.checkpoint_id or identity_of(champion) == baseline.identity:
        return Condition("production", label, True, f"{champion.name} is in production.", _key(champion))
    words = (
        f"{champion.name} is in production, and this run measured against {baseline.name}; evaluate {target.name} "
        f"against {champion.name} first."
    )
    return Condition("production", label, False, words, _key(champion))


def where_set(gate: Gate, target: RunTarget) -> Condition | None:
    """Where somebody has set a gate in the project, the usual conditions of another suite decide nothing."""
    words = gate_over(target.checkpoint) if target.checkpoint is not None and gate.pk is None else ""
    if not words:
        return None
    words += f" {gate.suite} has none of its own; evaluate {target.name} there."
    return Condition("gate", "Measured where a gate was set", False, words)


def _grew_from(candidate: Checkpoint, other: Checkpoint | None) -> bool:
    """Whether the other is the candidate's base model or an ancestor."""
    is_root = other is not None and (other.kind, other.base_id) == (Checkpoint.Kind.BASE, candidate.base_id)
    return is_root or other in ancestors(candidate)


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


def deciding(gate: Gate, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics that decide, of a run's: the primary one and the guardrails."""
    rails = {rail["metric"] for rail in gate.guardrails}
    return [metrics[0], *(metric for metric in metrics[1:] if metric.name in rails)]


def judges(gate: Gate, run: EvalRun, metrics: Sequence[Metric]) -> list[Condition]:
    """Every judge that decides: of these metrics, and of those that the primary one is made of."""
    names = {metric.name for metric in metrics}
    conditions = []
    for judged in judged_in(run, decides=lambda spec: bool(spec.get("weight")) or spec["name"] in names):
        frozen = run.spec.get("judges", {}).get(f"judge:{judged.number}", {})
        name = frozen.get("words", f"judge {judged.number}")
        holds, words = trusted_for(run, judged, gate.agreement)
        conditions.append(Condition("judge", f"{name} agrees with people", holds, words))
    return conditions


def missing(gate: Gate, sides: tuple[Side, Side], metrics: Sequence[Metric]) -> Condition:
    """The share of cases without a value of their own, the largest of both sides and of the metrics that decide: a
    champion that failed to answer would make any candidate look good. The first metric is to be read on every case."""
    run, said, full, worst = sides[0].run, [], [], 0.0
    label = "Every case scored" if run.suite_id == gate.suite_id else f"Every case of {run.suite} scored"
    sheet = read_sheet(run, metrics=metrics, targets={side.target.index for side in sides})
    for metric in metrics:
        columns = [(side, sheet.cells.get((side.target.index, metric.name), {})) for side in sides]
        cases = [line.id for line in sheet.lines]
        if metric.versus_half:
            columns = columns[1:]  # the baseline is not compared with itself
        elif metric != metrics[0]:
            cases = _readable(cases, [cells for _, cells in columns])
        full.append(f"{len(cases):,} of {metric.name}")
        for side, cells in columns:
            share, words = _absent(cells, cases)
            worst = max(worst, share)
            if share:
                said.append(f"{side.name} has no value of its own in {metric.name} on {words}")
    words = f"Champion and candidate have a value of their own on all cases: {', '.join(full)}."
    if said:
        words = f"{'; '.join(said)}; allowed are {share_words(gate.missing)}."
    return Condition("missing", label, worst <= gate.missing, words, {"share": worst})


def _absent(cells: dict[int, Cell], cases: Sequence[int]) -> tuple[float, str]:
    """The share of these cases without a value of their own, and how many they are."""
    absent = [cell for case in cases if (cell := cells.get(case)) is None or cell.errors or not cell.scored]
    errors = sum(cell is None or cell.errors > 0 for cell in absent)
    counted = f"{errors:,} error{'s' if errors != 1 else ''}, {len(absent) - errors:,} unscorable"
    return len(absent) / max(1, len(cases)), f"{len(absent):,} of {len(cases):,} cases ({counted})"


def _readable(cases: Sequence[int], columns: Sequence[dict[int, Cell]]) -> list[int]:
    """The cases that a guardrail is about: it may read what not every case has, as checks or a reference. Those on
    which it is unscorable for both are left out."""
    nothing = Cell(errors=1)  # no mark at all
    found = [(case, [cells.get(case, nothing) for cells in columns]) for case in cases]
    return [case for case, both in found if any(cell.scored or cell.errors for cell in both)]


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
