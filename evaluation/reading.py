"""The numbers of a run in the words and rows of a page or a command. Reads what was stored; no statistics."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from evaluation.models import EvalRun, RunTarget, Score
from evaluation.sheets import Metric, metrics_of
from labeling.estimates import Estimate

ALPHA, POWER = 0.05, 0.8
MARGIN = 0.02
FEW_CLUSTERS = 20
BETTER, NOT_WORSE, WORSE, INCONCLUSIVE, SAME = "better", "not_worse", "worse", "inconclusive", "same"
FEWEST = 5  # cases, below which nothing is said
STANDING_WORDS = {
    BETTER: "better",
    NOT_WORSE: "not worse",
    WORSE: "worse",
    INCONCLUSIVE: "no difference can be told",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric of one target: its number, its paired difference from the baseline, and how many answers have a value,
    by the state of their marks; runs of before did not count that."""

    metric: Metric
    own: Score | None
    delta: Score | None
    states: Mapping[str, int] = field(default_factory=dict)

    @property
    def estimate(self) -> Estimate | None:
        return self.own.estimate if self.own else None

    @property
    def difference(self) -> Estimate | None:
        """The difference from the baseline in the metric's own unit; for perplexity the ratio."""
        return self.delta.estimate if self.delta else None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Answers in error, unscorable ones, and how many there are; of a run of before its cases."""
        if self.states or self.own is None:
            error, unscorable = (self.states.get(name, 0) for name in ("error", "unscorable"))
            return error, unscorable, sum(self.states.values())
        own = self.own
        return own.errors, own.unscorable, own.n + own.errors + own.unscorable

    @property
    def gain(self) -> Estimate | None:
        """The difference turned so that above 0 is better."""
        return gain_of(self.metric, self.difference)

    @property
    def standing(self) -> str:
        """better, not_worse, worse or inconclusive, by the interval and the corrected p value; empty for a baseline."""
        if self.delta is None:
            return ""
        return standing_of(self.gain, self.delta.p_value, MARGIN if self.metric.is_bounded else 0.0)

    @property
    def is_same(self) -> bool:
        """Whether no case differs from the baseline's."""
        delta = self.delta
        return delta is not None and delta.n > 0 and delta.fixed == 0 and delta.broken == 0

    @property
    def standing_words(self) -> str:
        if self.delta is None:
            return ""
        return STANDING_WORDS[self.standing] if self.difference else "not enough data"


@dataclass(frozen=True, slots=True)
class TargetLine:
    """One target's numbers, the primary metric first. `facts` are tokens, latency and cost, as scoring wrote them."""

    target: RunTarget
    readings: list[Reading]
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def is_baseline(self) -> bool:
        return self.target.is_baseline

    @property
    def is_base(self) -> bool:
        """Whether this is the base model itself."""
        checkpoint = self.target.checkpoint
        return checkpoint is not None and checkpoint.kind == checkpoint.Kind.BASE

    @property
    def primary(self) -> Reading:
        return self.readings[0]

    @property
    def guardrails(self) -> list[Reading]:
        return self.readings[1:]

    def fact(self, name: str) -> Estimate | None:
        """One of the facts that are numbers with an interval."""
        found = self.facts.get(name)
        return Estimate(**found) if found else None

    @property
    def latency(self) -> Estimate | None:
        return self.fact("ms_p50")

    @property
    def latency_p95(self) -> Estimate | None:
        return self.fact("ms_p95")

    @property
    def tokens(self) -> Estimate | None:
        return self.fact("tokens")

    @property
    def cost(self) -> Estimate | None:
        return self.fact("cost_per_1000")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run lets one say. `more` is about how many more cases would settle what is open."""

    kind: str
    sentence: str
    line: TargetLine | None = None
    more: int | None = None

    def __bool__(self) -> bool:
        return bool(self.sentence)

    def __str__(self) -> str:
        return self.sentence


def target_lines(run: EvalRun) -> list[TargetLine]:
    """A line for each target, the baseline first; empty before the run has ended."""
    return lines_of_runs([run]).get(run.pk, [])


def lines_of_runs(runs: Sequence[EvalRun]) -> dict[int, list[TargetLine]]:
    """The lines of each of the runs that have numbers, by the run's key. Where `facts` was deferred it stays
    unread, and the lines have none."""
    found: dict[int, dict[tuple[int, str, bool], Score]] = defaultdict(dict)
    for score in Score.objects.filter(run__in=runs, slice=""):
        found[score.run_id][score.target_id, score.metric, score.versus_id is not None] = score
    targets: dict[int, list[RunTarget]] = defaultdict(list)
    for target in RunTarget.objects.filter(run__in=found).select_related("checkpoint", "endpoint"):
        targets[target.run_id].append(target)
    return {run.pk: _lines(run, targets[run.pk], found[run.pk]) for run in runs if run.pk in found}


def _lines(
    run: EvalRun, targets: list[RunTarget], found: Mapping[tuple[int, str, bool], Score]
) -> list[TargetLine]:
    metrics = metrics_of(run)
    facts = {} if "facts" in run.get_deferred_fields() else run.facts.get("targets", {})
    return [
        TargetLine(
            target,
            [
                Reading(
                    metric,
                    found.get((target.pk, metric.name, False)),
                    found.get((target.pk, metric.name, True)),
                    of.get("states", {}).get(metric.name, {}),
                )
                for metric in metrics
            ],
            of,
        )
        for target in targets
        for of in [facts.get(str(target.index), {})]
    ]


def gain_of(metric: Metric, difference: Estimate | None) -> Estimate | None:
    """A difference, or the logarithm of a ratio, turned so that above 0 is better."""
    if difference is None:
        return None
    value, low, high = difference.value, difference.low, difference.high
    if metric.is_ratio:
        value, low, high = (math.log(number) for number in (value, low, high))
    if not metric.higher_is_better:
        value, low, high = -value, -high, -low
    return Estimate(value, low, high, difference.n)


def standing_of(gain: Estimate | None, p_value: float | None, margin: float) -> str:
    """What a gain lets one say: settled only where the interval and the corrected p value both leave out nothing."""
    if gain is None:
        return INCONCLUSIVE
    settled = p_value is None or p_value < ALPHA
    if gain.low > 0 and settled:
        return BETTER
    if gain.high < 0 and settled:
        return WORSE
    return NOT_WORSE if margin > 0 and gain.low > -margin else INCONCLUSIVE


def verdict(lines: list[TargetLine]) -> Verdict:
    """One sentence that a product lead can forward; empty before there are numbers."""
    line = spoken_of(lines)
    if line is None:
        return Verdict("", "")
    baseline = lines[0]
    reading = line.primary
    found = f"{worded(reading.metric, reading.estimate)}" if reading.estimate else "no number"
    difference = difference_words(reading.metric, reading.difference)
    if reading.is_same and reading.delta is not None and reading.delta.n >= FEWEST:
        same = f"{line.name} and {baseline.name} have the same value on all {reading.delta.n:,} cases"
        interval = f": {difference}" if reading.difference else ""
        return Verdict(SAME, f"No difference in {reading.metric.name}: {same}{interval}.", line)
    if reading.gain is None:
        sentence = f"Inconclusive: {line.name} has {found} in {reading.metric.name}; too few cases to compare it with "
        return Verdict(INCONCLUSIVE, f"{sentence}{baseline.name}.", line)
    kind, versus = reading.standing, f"{baseline.name} in {reading.metric.name}: {found}, {difference}"
    if kind == BETTER:
        return Verdict(kind, f"{line.name} is better than {versus}.", line)
    if kind == NOT_WORSE:
        return Verdict(kind, f"{line.name} is not worse than {versus}, within {MARGIN * 100:g} points.", line)
    if kind == WORSE:
        others = len(lines) > 2
        start = (
            f"No candidate beats {baseline.name}; the best, {line.name}, is worse"
            if others
            else (f"{line.name} is worse than {baseline.name}")
        )
        return Verdict(kind, f"{start} in {reading.metric.name}: {found}, {difference}.", line)
    more = cases_more(reading)
    wanted = settles(more) if more else "more cases are needed"
    return Verdict(kind, f"Inconclusive: {line.name} against {versus}; {wanted}.", line, more)


def spoken_of(lines: list[TargetLine]) -> TargetLine | None:
    """The candidate whose gain over the baseline is the surest: that with the highest lower bound."""
    candidates = [line for line in lines[1:] if not line.is_base] or lines[1:]
    scored = [line for line in candidates if line.primary.estimate is not None]
    return max(
        scored, key=lambda line: line.primary.gain.low if line.primary.gain else -math.inf, default=None
    )


def cases_more(reading: Reading) -> int | None:
    """How many more cases a two-sided test needs to tell a difference of the size that was seen, at 80 % power."""
    gain, delta = reading.gain, reading.delta
    if gain is None or delta is None or not delta.spread or gain.value == 0:
        return None
    quantiles = NormalDist().inv_cdf(1 - ALPHA / 2) + NormalDist().inv_cdf(POWER)
    needed = math.ceil(quantiles**2 * delta.spread / abs(gain.value) ** 2)
    return rounded(needed - delta.n) if needed > delta.n else None


def settles(more: int) -> str:
    return f"about {more:,} more cases would settle a difference of this size"


def rounded(count: int) -> int:
    """A planned number without false precision: two digits."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / step) * step


def worded(metric: Metric, estimate: Estimate | None) -> str:
    """A number as its metric is read: 71.2 % or 12.31."""
    if estimate is None:
        return "not enough data"
    if metric.is_bounded:
        return f"{estimate.value * 100:.1f} %"
    return f"{estimate.value:,.2f}{f' {metric.unit}' if metric.unit else ''}"


def difference_words(metric: Metric, difference: Estimate | None) -> str:
    """A difference as its metric is read: +3.1 points [-1.2, +7.4], or 0.94 times [0.90, 0.98]."""
    if difference is None:
        return "not enough data to compare"
    if metric.is_bounded:
        return points(difference)
    if metric.is_ratio:
        return f"{difference.value:.2f} times [{difference.low:.2f}, {difference.high:.2f}]"
    return f"{difference.value:+,.2f} [{difference.low:+,.2f}, {difference.high:+,.2f}]"


def points(delta: Estimate) -> str:
    """A difference of shares in points: +3.1 points [-1.2, +7.4]."""
    return f"{delta.value * 100:+.1f} points [{delta.low * 100:+.1f}, {delta.high * 100:+.1f}]"
