"""Everything but the primary metric: the other metrics with what they let one say, and length, latency, cuts, cost."""

from collections.abc import Callable
from dataclasses import dataclass

from evaluation.charts import number
from evaluation.reading import BETTER, INCONCLUSIVE, NOT_WORSE, WORSE, Reading, TargetLine, difference_words
from evaluation.verdicts_cases import share
from labeling.estimates import Estimate

SIGNS = {BETTER: "▲", NOT_WORSE: "≥", WORSE: "▼", INCONCLUSIVE: "◇", "same": "="}
SHORT = {BETTER: "better", NOT_WORSE: "not worse", WORSE: "worse", INCONCLUSIVE: "open", "same": "the same"}
Link = Callable[[str], str]  # from a metric's name to the address of the cases behind it


@dataclass(frozen=True, slots=True)
class Rail:
    """A row: what it is, the baseline's number, the candidate's, the difference in words, and what that means by word
    and sign. `kind` is empty where nothing is claimed."""

    name: str
    before: str
    after: str
    interval: str
    n: int | None
    change: str = ""
    kind: str = ""
    url: str = ""

    @property
    def sign(self) -> str:
        return SIGNS.get(self.kind, "")

    @property
    def word(self) -> str:
        return SHORT.get(self.kind, "")

    @property
    def change_value(self) -> str:
        return self.change.partition(" [")[0].removesuffix(" points")

    @property
    def change_unit(self) -> str:
        return " points" if " points" in self.change else ""

    @property
    def change_interval(self) -> str:
        _, bracket, rest = self.change.partition(" [")
        return bracket.strip() + rest


def rails(baseline: TargetLine, line: TargetLine, link: Link) -> list[Rail]:
    """A row for each metric but the primary, and for each fact of the answers that is known."""
    metrics = [
        _of_metric(first, second, link)
        for first, second in zip(baseline.guardrails, line.guardrails, strict=True)
    ]
    facts = [
        _of_numbers("Answer length", baseline.tokens, line.tokens, "{:,.0f} tokens"),
        _of_numbers("Latency p50", baseline.latency, line.latency, "{:,.0f} ms"),
        _of_numbers("Latency p95", baseline.latency_p95, line.latency_p95, "{:,.0f} ms"),
        _of_numbers("Truncated", truncated(baseline), truncated(line), "{:.1f} %", by=100),
        _of_numbers("Cost per 1,000", baseline.cost, line.cost, "{:,.2f}"),
    ]
    return metrics + [rail for rail in facts if rail is not None]


def truncated(line: TargetLine) -> Estimate | None:
    """The share of answers that ended at the limit of tokens; None where nothing was generated."""
    answers = line.facts.get("answers") or 0
    return share(line.facts.get("truncated", 0), answers) if answers and line.tokens else None


def kind_of(reading: Reading) -> str:
    """What a metric lets one say; "same" where no case differs, which no interval can tell."""
    delta = reading.delta
    if delta is None:
        return ""
    return "same" if reading.is_same else reading.standing


def _of_metric(first: Reading, second: Reading, link: Link) -> Rail:
    metric, delta = second.metric, second.delta
    same = second.is_same
    said = "no case differs" if same else difference_words(metric, second.difference)
    return Rail(
        name=metric.name + (f", {metric.unit}" if metric.unit else ""),
        before=number(metric, first.estimate.value) if first.estimate else "no number",
        after=number(metric, second.estimate.value) if second.estimate else "no number",
        interval=_between(
            second.estimate, "{:.1f}" if metric.is_bounded else "{:,.2f}", 100 if metric.is_bounded else 1
        ),
        n=delta.n if delta else (second.own.n if second.own else None),
        change=said.removesuffix(" to compare"),
        kind=kind_of(second),
        url=link(metric.name),
    )


def _of_numbers(
    name: str, before: Estimate | None, after: Estimate | None, form: str, by: float = 1
) -> Rail | None:
    if before is None and after is None:
        return None
    first, second = (form.format(e.value * by) if e else "not known" for e in (before, after))
    return Rail(name, first, second, _between(after, form.partition(" ")[0], by), after.n if after else None)


def _between(e: Estimate | None, form: str, by: float) -> str:
    return f"[{form.format(e.low * by)}, {form.format(e.high * by)}]" if e else ""
