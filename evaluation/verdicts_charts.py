"""The charts of the first screen, from stored numbers: which marks, which lines, and the address behind each mark."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from evaluation.charts import Chart, Mark, causes_chart, curve_chart, dots_chart, forest_chart
from evaluation.charts_parts import BASELINE, BETTER, OPEN, OTHER, SPOKEN, WORSE, Line
from evaluation.leaderboard import learned_from
from evaluation.models import EvalRun, Score, Split
from evaluation.reading import ALPHA, Reading, TargetLine, gain_of, standing_of
from evaluation.scorers import find_scorer
from evaluation.sheets import Metric
from evaluation.verdicts_cases import Behind, share
from labeling import quality
from labeling.estimates import Estimate
from labeling.lifecycle import Status
from training.models import Checkpoint

DRAWN = 12  # slices


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of what is behind a number, for those who may follow them; without a slug there are none."""

    slug: str = ""
    run: int = 0

    def cases(self, show: str, b: int, **also: str) -> str:
        if not self.slug:
            return ""
        query = {"show": show, "a": 0, "b": b, **{name: value for name, value in also.items() if value}}
        return f"{reverse('evaluation:cases', args=[self.slug, self.run])}?{urlencode(query)}"

    def evaluation(self, run: int) -> str:
        return reverse("evaluation:evaluation", args=[self.slug, run]) if self.slug else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks to look at: a metric, a slice, a candidate. Each falls back on that of the verdict."""

    metric: Metric
    slice: str
    line: TargetLine | None

    @property
    def query(self) -> str:
        """The same in the address of a list of cases, or of a case."""
        asked = {"a": 0, "b": self.line.target.index if self.line else 0, "metric": self.metric.name}
        return urlencode(asked | ({"slice": self.slice} if self.slice else {}))


def charts_of(
    run: EvalRun, lines: list[TargetLine], asked: Asked, found: Behind | None, links: Links
) -> dict[str, Chart | None]:
    return {
        "primary": _primary(run, lines, asked, links),
        "slices": _slices(run, lines[0], asked, links) if lines else None,
        "causes": _causes(asked, found, links) if asked.line and found else None,
        "curve": _curve(run, asked, links),
    }


def reading_of(line: TargetLine, metric: Metric) -> Reading:
    return next(reading for reading in line.readings if reading.metric.name == metric.name)


def _primary(run: EvalRun, lines: list[TargetLine], asked: Asked, links: Links) -> Chart | None:
    known: dict[int, Estimate] = {}
    if asked.slice:
        rows = Score.objects.filter(run=run, versus=None, metric=asked.metric.name, slice=asked.slice)
        known = {row.target_id: row.estimate for row in rows if row.estimate}
    else:
        known = {line.target.pk: e for line in lines if (e := reading_of(line, asked.metric).estimate)}
    marks = [
        Mark(
            line.name,
            known[line.target.pk],
            BASELINE if line.is_baseline else SPOKEN if line is asked.line else OTHER,
            _cases(line, asked.metric, links, asked.slice),
            note=baseline_word(line) if line.is_baseline else "",
        )
        for line in lines
        if line.target.pk in known
    ]
    where = f" on {asked.slice}" if asked.slice else ""
    return dots_chart(
        marks,
        asked.metric,
        title=f"{asked.metric.name}{where}: each target with its 95 % interval",
        lines=_lines(run, asked, lines, known),
    )


def _cases(line: TargetLine, metric: Metric, links: Links, slice: str = "") -> str:
    show = "failing" if line.is_baseline else "different"
    return links.cases(show, line.target.index, metric=metric.name, slice=slice)


def overview_chart(lines: list[TargetLine], links: Links) -> Chart | None:
    """The primary metric of a run's targets, for pages that show nothing else of it."""
    metric = lines[0].primary.metric
    marks = [
        Mark(
            line.name,
            line.primary.estimate,
            BASELINE if line.is_baseline else OTHER,
            _cases(line, metric, links),
        )
        for line in lines
        if line.primary.estimate
    ]
    own = lines[0].primary.estimate
    return dots_chart(
        marks,
        metric,
        title=metric.name,
        lines=[Line(own.value, baseline_word(lines[0]))] if own else [],
        name="scores",
    )


def baseline_word(line: TargetLine) -> str:
    """What the baseline is: the champion in production, the base model, or just what is compared with."""
    checkpoint = line.target.checkpoint
    if checkpoint is not None and checkpoint.stage == Checkpoint.Stage.PRODUCTION:
        return "champion"
    return "base" if line.is_base else "baseline"


def _lines(run: EvalRun, asked: Asked, lines: list[TargetLine], known: dict[int, Estimate]) -> list[Line]:
    found = []
    if first := known.get(lines[0].target.pk) if lines else None:
        found.append(Line(first.value, baseline_word(lines[0])))
    elif asked.metric.versus_half:
        found.append(Line(0.5, f"even with {lines[0].name}"))
    ceiling = None if asked.slice else human_ceiling(run, asked.metric)
    if ceiling is not None:
        found.append(Line(ceiling.value, f"two people agree: {100 * ceiling.value:.0f} %", [1, 3]))
    return found


def human_ceiling(run: EvalRun, metric: Metric) -> Estimate | None:
    """How often two people say the same of a pair, where the metric asks whether a model says what people said."""
    spec = next((spec for spec in run.metrics if spec["name"] == metric.name), None)
    if spec is None or find_scorer(spec["scorer"]).key != "preference":
        return None
    measure = quality.latest(run.project).measure
    return measure.estimate("agrees") if measure is not None else None


def _slices(run: EvalRun, baseline: TargetLine, asked: Asked, links: Links) -> Chart | None:
    """The surest slices first, and of those that are drawn the largest gain."""
    line, metric = asked.line, baseline.primary.metric
    if line is None or line.is_baseline or asked.metric != metric:
        return None
    rows = Score.objects.filter(run=run, target=line.target, versus__isnull=False, metric=metric.name)
    found = [
        (row, estimate, gain)
        for row in rows.exclude(slice="")
        if (estimate := row.estimate) is not None and (gain := gain_of(metric, estimate)) is not None
    ]
    found.sort(key=lambda each: each[0].p_value if each[0].p_value is not None else 2.0)
    drawn = sorted(found[:DRAWN], key=lambda each: -each[2].value) + found[DRAWN:]
    marks = [
        Mark(
            row.slice,
            estimate,
            {"better": BETTER, "worse": WORSE}.get(standing_of(gain, row.p_value, 0), OPEN),
            links.cases("different", line.target.index, metric=metric.name, slice=row.slice),
            note="" if row.p_value is None else f"{row.p_value:.3f}{' *' if row.p_value < ALPHA else ''}",
        )
        for row, estimate, gain in drawn
    ]
    return forest_chart(
        marks, metric, title=f"{line.name} less the {baseline_word(baseline)}, by slice", most=DRAWN
    )


def _causes(asked: Asked, found: Behind, links: Links) -> Chart | None:
    line, metric = asked.line, asked.metric
    assert line is not None
    marks = [
        Mark(
            tag,
            share(count, found.failing),
            url=links.cases("failing", line.target.index, metric=metric.name, slice=tag),
            at=count,
            expected=everywhere / found.scored,
        )
        for tag, count, everywhere in found.tags
        if found.failing
    ]
    of = f"share of its {found.failing or 0:,} failing cases"
    return causes_chart(marks, title=f"Where {line.name} fails in {metric.name}", of=of)


def _curve(run: EvalRun, asked: Asked, links: Links) -> Chart | None:
    if run.status != Status.SUCCEEDED or run.split == Split.SEALED:
        return None
    metric = asked.metric
    spoken = asked.line.target.identity if asked.line else ""
    marks = [
        Mark(
            target.name,
            estimate,
            SPOKEN if target.identity == spoken else BASELINE if target.is_baseline else OTHER,
            links.evaluation(target.run_id),
            at=judgments,
        )
        for target, estimate, judgments in learned_from(run, metric.name)
    ]
    return curve_chart(marks, metric, title=f"{metric.name} by the judgments it was trained on")
