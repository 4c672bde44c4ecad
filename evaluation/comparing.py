"""What the compare page shows of two sides or more: their numbers, what they were told differently, and in words what
follows. Statistics are computed on demand and kept; see evaluation.comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from evaluation.charts import Chart, Mark, forest_chart
from evaluation.charts_parts import BETTER, OPEN, WORSE
from evaluation.comparison import Comparison, Side, compare_all, shared_metrics, why_not
from evaluation.measured import prompted_otherwise, template
from evaluation.reading import FEW_CLUSTERS, INCONCLUSIVE, NOT_WORSE, difference_words, gain_of, worded
from evaluation.sheets import Metric, metrics_of
from evaluation.specs import CONTEXT_WORDS
from evaluation.statistics.checking import MIN_CASES
from labeling.estimates import Estimate

LETTERS = "ABCDEF"
CHURN = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """One side as the page lists it: its letter, and what is known of its answers."""

    letter: str
    side: Side
    facts: dict[str, Any]

    def _estimate(self, name: str) -> Estimate | None:
        found = self.facts.get(name)
        return Estimate(**found) if found else None

    @property
    def tokens(self) -> Estimate | None:
        return self._estimate("tokens")

    @property
    def latency(self) -> Estimate | None:
        return self._estimate("ms_p50")

    @property
    def latency_p95(self) -> Estimate | None:
        return self._estimate("ms_p95")

    @property
    def cost(self) -> Estimate | None:
        return self._estimate("cost_per_1000")


@dataclass(frozen=True, slots=True)
class Against:
    """One other side in one metric: its comparison, or the reason why there is none."""

    told: Told
    comparison: Comparison | None
    reason: str = ""

    @property
    def value(self) -> str:
        found = self.comparison
        return worded(found.metric, found.estimates[1]) if found else ""

    @property
    def difference(self) -> str:
        found = self.comparison
        return difference_words(found.metric, found.difference) if found else ""


@dataclass(frozen=True, slots=True)
class MetricLine:
    metric: Metric
    others: list[Against]

    @property
    def first(self) -> Estimate | None:
        return next((each.comparison.estimates[0] for each in self.others if each.comparison), None)

    @property
    def value(self) -> str:
        return worded(self.metric, self.first)


@dataclass(frozen=True, slots=True)
class Closer:
    """One comparison in the chosen metric, looked at closely."""

    told: Told
    comparison: Comparison
    remarks: list[str]
    forest: Chart | None

    @property
    def broken(self) -> str:
        """The address of the cases that got worse with this one; `fixed` of those that got better."""
        return _cases(self.comparison, "broken")

    @property
    def fixed(self) -> str:
        return _cases(self.comparison, "fixed")


@dataclass(frozen=True, slots=True)
class Screen:
    sides: list[Told]
    metric: Metric
    names: list[str]
    lines: list[MetricLine]
    closer: list[Closer]
    reasons: list[str]
    properties: list[tuple[str, list[str]]]

    @property
    def headline(self) -> str:
        """One sentence on the chosen metric."""
        first = self.sides[0].side.name
        if not self.closer:
            return f"{', '.join(each.side.name for each in self.sides[1:])} against {first}"
        if len(self.closer) > 1:
            better = [
                each.comparison.second.name for each in self.closer if each.comparison.standing == "better"
            ]
            who = ", ".join(better) if better else "None"
            return f"{who} {'are' if len(better) > 1 else 'is'} better than {first} in {self.metric.name}"
        found = self.closer[0].comparison
        words = {"better": "is better than", "worse": "is worse than", NOT_WORSE: "is not worse than"}
        said = words.get(found.standing, "cannot be told from")
        return f"{found.second.name} {said} {first} in {self.metric.name}"


def screen(sides: Sequence[Side], wanted: str) -> Screen | None:
    """The page of these sides; `wanted` is the metric to look at closely. None where they share no metric."""
    names = shared_metrics(sides)
    if not names:
        return None
    chosen = wanted if wanted in names else names[0]
    told = [Told(letter, side, _facts(side)) for letter, side in zip(LETTERS, sides, strict=False)]
    found = compare_all(sides, names, slices_of=[chosen])
    metrics = {metric.name: metric for metric in metrics_of(sides[0].run)}
    lines = [MetricLine(metrics[name], _others(told, name, found[name])) for name in names]
    here = next(line for line in lines if line.metric.name == chosen)
    return Screen(
        sides=told,
        metric=metrics[chosen],
        names=names,
        lines=lines,
        closer=[
            Closer(each.told, each.comparison, remarks(each.comparison), _forest(each))
            for each in here.others
            if each.comparison
        ],
        reasons=list(dict.fromkeys(each.reason for each in here.others if each.reason)),
        properties=_differing(sides),
    )


def _others(told: Sequence[Told], name: str, found: Sequence[Comparison]) -> list[Against]:
    by_key = {each.second.key: each for each in found}
    others = []
    for each in told[1:]:
        comparison = by_key.get(each.side.key)
        reason = "" if comparison else why_not(told[0].side, each.side, name)
        others.append(Against(each, comparison, reason))
    return others


def remarks(found: Comparison) -> list[str]:
    """What the numbers alone do not say."""
    first, second = found.first.name, found.second.name
    said = []
    if found.first.target.identity == found.second.target.identity:
        said.append(f"{first} and {second} are the same model: whatever differs is chance.")
    told = [_contexts(side) for side in (found.first, found.second)]
    if told[0] != told[1]:
        words = f"{first}: {told[0].lower()}; {second}: {told[1].lower()}"
        said.append(f"Their prompts hold other texts ({words}): the difference is that of the texts too.")
    if prompted_otherwise(found.first, found.second):  # of one run, which chose to ask them so
        said.append(
            f"{first} and {second} were given different prompt tokens (another chat template or tokenizer): the "
            "difference is that of the templates too."
        )
    if found.n == 0:
        return [*said, "No case has a value of both."]
    if found.n < MIN_CASES:
        count = "One case is" if found.n == 1 else f"{found.n} cases are"
        said.append(f"{count} too few for an interval; it takes {MIN_CASES} or more.")
    said += _alike(found)
    if found.unpaired:
        said.append(f"{found.unpaired:,} cases have a value of one of them only and are left out.")
    if found.clusters < min(found.n, FEW_CLUSTERS) and found.n >= MIN_CASES:
        said.append(f"The cases come from {found.clusters} prompts or clusters only; the interval is rough.")
    settled = found.standing not in (INCONCLUSIVE, NOT_WORSE)
    if not settled and found.churn is not None and found.churn >= CHURN:
        said.append(
            f"On average there is little between them, but {found.churn * 100:.0f} % of the cases changed: "
            "read some before you call them alike."
        )
    return said


def _alike(found: Comparison) -> list[str]:
    if found.constant is not None and found.metric.is_bounded and found.constant in (0.0, 1.0):
        passed = (found.constant == 1.0) == found.metric.higher_is_better
        what, kind = ("pass", "harder") if passed else ("fail", "easier")
        return [f"Both {what} all {found.n:,} cases: these cannot tell them apart; add {kind} ones."]
    if found.fixed + found.broken == 0:
        return [f"They have the same value on all {found.n:,} cases."]
    return []


def _forest(against: Against) -> Chart | None:
    found, marks = against.comparison, []
    assert found is not None
    for each in found.slices:
        gain = gain_of(found.metric, each.estimate)
        if each.estimate is None or gain is None:
            continue
        role = OPEN if not each.marked else BETTER if gain.value > 0 else WORSE
        p = "" if each.p_value is None else f"{each.p_value:.3f}"
        marks.append(Mark(each.tag, each.estimate, role, _cases(found, "different", each.tag), note=p))
    title = f"{found.second.name} less {found.first.name} by slice, in {found.metric.name}"
    name = f"slices-{against.told.letter}"
    return forest_chart(marks, found.metric, title=title, most=20, name=name)


def _cases(found: Comparison, show: str, tag: str = "") -> str:
    """Where some cases of these two stand on this page; with a tag those of a slice."""
    query: dict[str, Any] = {"s": [found.first.key, found.second.key], "metric": found.metric.name}
    query |= {"slice": tag, "show": show} if tag else {"show": show}
    return f"?{urlencode(query, doseq=True)}#cases-title"


def _facts(side: Side) -> dict[str, Any]:
    found: dict[str, Any] = side.run.facts.get("targets", {}).get(str(side.target.index), {})
    return found


def _differing(sides: Sequence[Side]) -> list[tuple[str, list[str]]]:
    """What was set differently: only the rows in which the sides are not all alike."""
    rows = {
        "Evaluation": [f"{side.run.name} ({side.run.pk})" for side in sides],
        "Suite": [str(side.run.version) for side in sides],
        "Cases": [side.run.get_split_display() for side in sides],
        "Engine": [side.run.engine for side in sides],
        "Kind": [_kind(side) for side in sides],
        "Weights": [side.target.identity[:12] for side in sides],
        "System message": [side.run.spec.get("system") or "none" for side in sides],
        "Contexts": [_contexts(side) for side in sides],
        "Prompt tokens, hash": [template(side.run, side.target.index)[:12] or "not known" for side in sides],
    }
    keys = dict.fromkeys(key for side in sides for key in side.run.spec.get("sampling") or {})
    for key in keys:
        rows[key.replace("_", " ").capitalize()] = [
            str((side.run.spec.get("sampling") or {}).get(key)) for side in sides
        ]
    return [(label, values) for label, values in rows.items() if len(set(values)) > 1]


def _contexts(side: Side) -> str:
    spec = side.run.spec
    seed = f", seed {spec.get('contexts_seed', 0)}" if spec.get("contexts") == "shuffled" else ""
    return f"{CONTEXT_WORDS[spec.get('contexts', 'apart')]}{seed}"


def _kind(side: Side) -> str:
    checkpoint = side.target.checkpoint
    return str(checkpoint.get_kind_display()) if checkpoint else "Endpoint"


def picks(keys: Sequence[str]) -> list[dict[str, Any]]:
    """The fields of the picker with what is chosen in each."""
    words = ["Baseline", "Against", "And against", "And against"]
    words += words[-1:] * (len(keys) - len(words))
    chosen = [*keys, *[""] * len(words)]
    return [
        {"id": f"side-{place}", "words": said, "needed": place < 2, "key": key}
        for place, (said, key) in enumerate(zip(words, chosen, strict=False))
    ]
