"""The first screen of an evaluation, assembled: the sentence, what supports it, what changed, how far to trust it.

Everything is read from stored numbers; the marks of the cases of one run are read once and kept. No SciPy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.charts import Chart
from evaluation.models import EvalRun, Score, Split
from evaluation.reading import FEWEST, TargetLine, spoken_of, target_lines, verdict
from evaluation.sheets import metrics_of
from evaluation.verdicts_cases import Behind, Example, behind, examples
from evaluation.verdicts_charts import Asked, Links, baseline_word, charts_of, reading_of
from evaluation.verdicts_rails import SIGNS, Rail, rails
from evaluation.verdicts_trust import Fact, counted, remarks, trust, why_none
from evaluation.winrates import JudgedRate, rates_of

WORDS = {"better": "Better", "not_worse": "Not worse", "worse": "Worse", "inconclusive": "Inconclusive",
         "same": "No difference", "": "No verdict"}  # fmt: skip

NO_LINKS = Links()


@dataclass(frozen=True, slots=True)
class Headline:
    """The verdict as it is shown: by sign, word and sentence."""

    kind: str
    sentence: str

    @property
    def sign(self) -> str:
        return SIGNS.get(self.kind, "–")

    @property
    def word(self) -> str:
        return WORDS[self.kind]


@dataclass(frozen=True, slots=True)
class Screen:
    """All that the page of one evaluation shows. `choices` are what its filters offer."""

    run: EvalRun
    lines: list[TargetLine]
    headline: Headline
    asked: Asked
    charts: dict[str, Chart]
    rails: list[Rail]
    worse: list[Example]
    better: list[Example]
    changed: str
    causes: str
    reasons: list[tuple[str, str]]
    trust: list[Fact]
    remarks: list[str]
    choices: dict[str, list[Any]]
    win_rates: list[JudgedRate]

    @property
    def line(self) -> TargetLine | None:
        return self.asked.line

    @property
    def baseline(self) -> TargetLine:
        return self.lines[0]

    @property
    def baseline_word(self) -> str:
        return baseline_word(self.lines[0])

    @property
    def sealed(self) -> bool:
        return self.run.split == Split.SEALED


def screen(run: EvalRun, wanted: Mapping[str, str], *, links: Links = NO_LINKS, texts: bool = True) -> Screen:
    """The first screen of a finished run. `wanted` has metric, slice and target as they stand in the address."""
    lines = target_lines(run)
    spoken = spoken_of(lines)
    tags = slices_of(run, lines)
    asked = _asked(run, lines, spoken, tags, wanted)
    found = behind(run, asked.metric, asked.line.target.index, asked.slice) if asked.line else None
    charts = charts_of(run, lines, asked, found, links)
    worse, better = _read(run, asked, found) if found and texts else ([], [])
    return Screen(
        run=run,
        lines=lines,
        headline=headline(run, lines),
        asked=asked,
        charts={name: chart for name, chart in charts.items() if chart is not None},
        rails=_rails(lines[0], asked.line, links) if asked.line else [],
        worse=worse,
        better=better,
        changed=_changed_words(asked),
        causes=_causes_words(asked, found),
        reasons=_reasons(asked, found, links),
        trust=trust(run, lines, asked.line),
        remarks=remarks(run, lines, asked.line),
        choices={
            "metrics": [each.metric for each in lines[0].readings] if lines else [],
            "slices": tags,
            "targets": lines[1:],
        },
        win_rates=rates_of(asked.line) if asked.line else [],
    )


def headline(run: EvalRun, lines: list[TargetLine]) -> Headline:
    """The verdict, or why there is none; two targets that never differ are told apart from too little data."""
    said = verdict(lines)
    if not said or said.line is None:
        return Headline("", why_none(run, lines))
    reading, first = said.line.primary, lines[0].name
    if reading.is_same and reading.delta is not None and reading.delta.n < FEWEST:
        return Headline(
            "", f"No verdict: {counted(reading.delta.n)} cannot tell {said.line.name} from {first}."
        )
    return Headline(said.kind, said.sentence)


def slices_of(run: EvalRun, lines: list[TargetLine]) -> list[str]:
    """The slices that have numbers, the largest first."""
    if not lines:
        return []
    rows = Score.objects.filter(run=run, target=lines[0].target, versus=None).exclude(slice="")
    return list(rows.order_by("-n", "slice").values_list("slice", flat=True))


def _asked(
    run: EvalRun,
    lines: list[TargetLine],
    spoken: TargetLine | None,
    tags: list[str],
    wanted: Mapping[str, str],
) -> Asked:
    metrics = metrics_of(run)
    tag = wanted.get("slice", "")
    metric = next((each for each in metrics if each.name == wanted.get("metric", "")), metrics[0])
    chosen = next((line for line in lines[1:] if str(line.target.index) == wanted.get("target", "")), spoken)
    return Asked(
        metric,
        tag if tag in tags and metric == metrics[0] else "",
        chosen or (lines[1] if len(lines) > 1 else None),
    )


def _read(run: EvalRun, asked: Asked, found: Behind) -> tuple[list[Example], list[Example]]:
    """The cases that changed most, read in one go."""
    assert asked.line is not None
    read = examples(run, asked.metric, asked.line.target.index, found.worse + found.better)
    return read[: len(found.worse)], read[len(found.worse) :]


def _rails(baseline: TargetLine, line: TargetLine, links: Links) -> list[Rail]:
    return rails(baseline, line, lambda name: links.cases("different", line.target.index, metric=name))


def _reasons(asked: Asked, found: Behind | None, links: Links) -> list[tuple[str, str]]:
    """Why cases have no value, each with how many and the address of those cases."""
    if found is None or asked.line is None:
        return []
    address = links.cases("errors", asked.line.target.index, metric=asked.metric.name)
    return [(f"{count:,} of {found.cases:,} {words}", address) for words, count in found.reasons[:3]]


def _changed_words(asked: Asked) -> str:
    """How many cases changed, for the head of the list of examples."""
    if asked.line is None:
        return ""
    delta = reading_of(asked.line, asked.metric).delta
    if delta is None or delta.fixed is None or delta.broken is None:
        return ""
    same = delta.n - delta.fixed - delta.broken
    return f"{delta.fixed:,} got better, {delta.broken:,} worse, {same:,} stayed, of {delta.n:,}"


def _causes_words(asked: Asked, found: Behind | None) -> str:
    """What to say where there is nothing to draw of failures."""
    if found is None or asked.line is None:
        return ""
    if found.failing is None:
        return f"{asked.metric.name} has no passing and failing: it is a number without a bound."
    if not found.failing:
        return f"{asked.line.name} fails no case."
    more = " Ticks: the share of all cases." if found.tags else ""
    return f"{found.failing:,} of {found.cases:,} cases fail.{more}" + (
        "" if found.tags else " No failing case has a tag."
    )
