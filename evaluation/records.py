"""Decision records: Markdown that stands by itself, and the same as a PDF."""

import re

from django.utils import timezone

from evaluation.findings import Findings, gate_of
from evaluation.models import Decision, EvalRun, Gate, RunTarget
from evaluation.planning import trained_on
from evaluation.reading import Reading, TargetLine, difference_words, target_lines, worded
from labeling.models import Project, User
from training.models import Checkpoint

MARKS = {True: "holds", False: "does not hold", None: "not known"}
SPECIAL = re.compile(r"([\\`*<|]|\](?=\())")


def record_of(
    run: EvalRun,
    target: RunTarget,
    findings: Findings,
    champion: Checkpoint | None,
    promoted: bool,
    person: User | None,
    reason: str,
) -> str:
    """What was decided and what it rests on. Every number has its n and its interval."""
    lines = {line.target.pk: line for line in target_lines(run)}
    baseline = next(line for line in lines.values() if line.is_baseline)
    candidate = target.checkpoint
    assert candidate is not None
    action = f"promoted {target.name}" if promoted else f"kept {champion.name if champion else baseline.name}"
    passed = "passed" if findings.passed else "did not pass"
    if promoted and not findings.passed:
        passed += "; promoted despite it"
    data = ", ".join(f"{version} ({version.content_hash[:16]})" for version in trained_on(candidate))
    parts = [
        f"# Decision: {plain(action)}",
        plain(findings.sentence),
        table(["Field", "Value"], [
            ["Project", run.project.name],
            ["Decided", f"{_now()} by {_who(person)}"],
            ["Reason", reason or "as the gate says"],
            ["Gate", passed],
            ["Evaluation", f"{run.name} (number {run.pk})"],
            ["Suite", f"{run.version}, {run.get_split_display().lower()}, hash {run.version.content_hash}"],
            ["Candidate", f"{target.name}, hash {candidate.content_hash or 'not known'}"],
            ["Measured against", baseline.name],
            ["In production before", champion.name if champion else "nothing"],
            ["Trained on", data or "nothing here"],
        ]),
        "## Conditions",
        table(["Condition", "Outcome", "Numbers"], [
            [each.label, MARKS[each.passed], each.words] for each in findings.conditions
        ]),
        "## Numbers, with 95 % intervals",
        table(["Metric", baseline.name, target.name, "Difference", "Fixed", "Broken"],
               _numbers(baseline, lines[target.pk])),
        "## How it was measured",
        plain(_settings(run)),
        plain(_gate_words(gate_of(run.suite))),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def rollback_record(
    project: Project, checkpoint: Checkpoint, before: Checkpoint, person: User | None, reason: str
) -> str:
    """What was taken out of production, what came back, and why."""
    rows = [
        ["Project", project.name],
        ["Decided", f"{_now()} by {_who(person)}"],
        ["Reason", reason],
        ["Out of production", f"{checkpoint.name}, hash {checkpoint.content_hash or 'not known'}"],
        ["Back in production", f"{before.name}, hash {before.content_hash or 'not known'}"],
    ]
    return f"# Decision: rolled back to {plain(before.name)}\n\n{table(['Field', 'Value'], rows)}\n"


def plain(text: str) -> str:
    """Text in one line that Markdown reads as it stands."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _numbers(baseline: TargetLine, line: TargetLine) -> list[list[str]]:
    rows = []
    for first, second in zip(baseline.readings, line.readings, strict=True):
        delta = second.delta
        rows.append(
            [
                second.metric.name,
                _with_interval(first),
                _with_interval(second),
                difference_words(second.metric, second.difference),
                "" if delta is None or delta.fixed is None else f"{delta.fixed:,}",
                "" if delta is None or delta.broken is None else f"{delta.broken:,}",
            ]
        )
    return rows


def _with_interval(reading: Reading) -> str:
    estimate = reading.estimate
    if estimate is None:
        return "not enough data"
    if reading.metric.is_bounded:
        return f"{estimate.value * 100:.1f} % [{estimate.low * 100:.1f}, {estimate.high * 100:.1f}], n {estimate.n:,}"
    return f"{worded(reading.metric, estimate)} [{estimate.low:,.2f}, {estimate.high:,.2f}], n {estimate.n:,}"


def _settings(run: EvalRun) -> str:
    sampling = run.spec.get("sampling") or {}
    said = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in sampling.items() if value not in ([], None)
    )
    scorers = "; ".join(f"{spec['name']} by {spec['scorer']} v{spec['version']}" for spec in run.metrics)
    return f"Engine {run.engine}. Sampling: {said or 'none'}. Scorers: {scorers}."


def _gate_words(gate: Gate) -> str:
    rails = ", ".join(f"{rail['metric']} by {rail['margin']:g}" for rail in gate.guardrails)
    return (
        f"Gate: alpha {gate.alpha:g}, margin {gate.margin:g}, guardrails {rails or 'none'}, forgetting suite "
        f"{gate.forgetting or 'none'} by {gate.forgetting_margin:g}, contamination up to {gate.contamination:g}, "
        f"missing up to {gate.missing:g}, agreement of judges from {gate.agreement:g}, sealed cases "
        f"{'needed' if gate.needs_sealed else 'not needed'}."
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [[plain(cell) for cell in row] for row in [head, *rows]]
    lines.insert(1, ["---"] * len(head))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _who(person: User | None) -> str:
    return str(person) if person else "the operator of the machine"


def _now() -> str:
    return timezone.localtime().strftime("%Y-%m-%d %H:%M %Z")


def pdf_of(decision: Decision) -> bytes:
    """The record as a PDF on A4."""
    from evaluation.pdf import from_markdown

    footer = f"Decision {decision.pk}. SHA-256 of the record: {decision.content_hash}"
    return from_markdown(decision.record, title=str(decision), footer=footer)
