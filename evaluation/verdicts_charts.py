"""The charts of the first screen, from stored numbers: which marks, which lines, and the address behind each mark."""

from collections.abc import Callable
from dataclasses import dataclass

from evaluation.charts import Chart, Mark, causes_chart, curve_chart, dots_chart, forest_chart
from evaluation.charts_parts import BASELINE, BETTER, OPEN, OTHER, SPOKEN, WORSE, Line
from evaluation.leaderboard import numbers_of, runs_on, sides_on
from evaluation.models import EvalRun, Score, Split
from evaluation.reading import ALPHA, Reading, TargetLine, gain_of, standing_of
from evaluation.scorers import find_scorer
from evaluation.sheets import Metric, metrics_of
from evaluation.verdicts_cases import Behind, share
from labeling import quality
from labeling.estimates import Estimate
from labeling.lifecycle import Status
from training.models import Checkpoint

DRAWN = 12  # slices
CaseLink = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks to look at: a metric, a slice, a candidate. Each falls back on that of the verdict."""

    metric: Metric
    slice: str
    line: TargetLine | None


def charts_of(
    run: EvalRun, lines: list[TargetLine], asked: Asked, found: Behind | None, link: CaseLink
) -> dict[str, Chart | None]:
    return {
        "primary": _primary(run, lines, asked, link),
        "slices": _slices(run, asked, link) if asked.line else None,
        "causes": _causes(asked, found, link) if asked.line and found else None,
        "curve": _curve(run, asked, link),
    }


def reading_of(line: TargetLine, metric: Metric) -> Reading:
    return next(reading for reading in line.readings if reading.metric.name == metric.name)


def _primary(run: EvalRun, lines: list[TargetLine], asked: Asked, link: CaseLink) -> Chart | None:
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
            link(
                "failing" if line.is_baseline else "different",
                line.target.index,
                metric=asked.metric.name,
                slice=asked.slice,
            ),
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


def overview_chart(lines: list[TargetLine]) -> Chart | None:
    """The primary metric of a run's targets, for pages that show nothing else of it."""
    metric = lines[0].primary.metric
    marks = [
        Mark(line.name, line.primary.estimate, BASELINE if line.is_baseline else OTHER)
        for line in lines
        if line.primary.estimate
    ]
    own = lines[0].primary.estimate
    return dots_chart(
        marks, metric, title=metric.name, lines=[Line(own.value, baseline_word(lines[0]))] if own else []
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


def _slices(run: EvalRun, asked: Asked, link: CaseLink) -> Chart | None:
    line, metric = asked.line, metrics_of(run)[0]
    assert line is not None
    if asked.metric != metric:
        return None
    rows = Score.objects.filter(
        run=run, target=line.target, versus__isnull=False, metric=metric.name
    ).exclude(slice="")
    found = [(row, gain) for row in rows if (gain := gain_of(metric, row.estimate)) is not None]
    found.sort(key=lambda pair: pair[0].p_value if pair[0].p_value is not None else 2.0)
    drawn = sorted(found[:DRAWN], key=lambda pair: -pair[1].value) + found[DRAWN:]
    marks = [
        Mark(
            row.slice,
            row.estimate,  # type: ignore[arg-type]
            {"better": BETTER, "worse": WORSE}.get(standing_of(gain, row.p_value, 0), OPEN),
            link("different", line.target.index, metric=metric.name, slice=row.slice),
            note="" if row.p_value is None else f"{row.p_value:.3f}{' *' if row.p_value < ALPHA else ''}",
        )
        for row, gain in drawn
    ]
    return forest_chart(marks, metric, title=f"{line.name} less {baseline_name(run)} by slice", most=DRAWN)


def baseline_name(run: EvalRun) -> str:
    return run.targets.all()[0].name


def _causes(asked: Asked, found: Behind, link: CaseLink) -> Chart | None:
    line, metric = asked.line, asked.metric
    assert line is not None
    marks = [
        Mark(
            tag,
            share(count, found.failing),
            url=link("failing", line.target.index, metric=metric.name, slice=tag),
            at=count,
            expected=everywhere / found.scored,
        )
        for tag, count, everywhere in found.tags
        if found.failing
    ]
    of = f"share of its {found.failing or 0:,} failing cases"
    return causes_chart(marks, title=f"Where {line.name} fails in {metric.name}", of=of)


def _curve(run: EvalRun, asked: Asked, link: CaseLink) -> Chart | None:
    if run.status != Status.SUCCEEDED or run.split == Split.SEALED:
        return None
    metric = asked.metric
    sides = sides_on(runs_on(run.version), metric.name)
    known = numbers_of(sides, metric.name)
    marks = []
    for side in sorted(sides, key=lambda side: side.run.pk):
        checkpoint, estimate = side.target.checkpoint, known.get(side.target.pk)
        rows = rows_behind(checkpoint)
        if estimate is not None and rows is not None:
            role = BASELINE if side.target.is_baseline else OTHER
            if asked.line and side.target.identity == asked.line.target.identity:
                role = SPOKEN
            marks.append(Mark(side.name, estimate, role, at=rows))
    title = f"{metric.name} by amount of training data"
    return curve_chart(marks, metric, title=title, unit="rows of the dataset version it was trained on")


def rows_behind(checkpoint: Checkpoint | None) -> int | None:
    """How many rows the dataset version of a checkpoint has; 0 for a base, None where that is not known."""
    if checkpoint is None:
        return None
    if checkpoint.kind == Checkpoint.Kind.BASE:
        return 0
    return checkpoint.run.dataset_version.rows if checkpoint.run is not None else None
