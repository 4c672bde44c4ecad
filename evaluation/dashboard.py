"""Reads all three apps for the overview page; writes nothing."""

from datetime import date, timedelta
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncDate
from django.urls import reverse
from django.utils import timezone

from evaluation.charts import Chart, Row
from evaluation.models import EvalRun
from evaluation.reading import INCONCLUSIVE, TargetLine, target_lines
from evaluation.verdicts import headline
from evaluation.verdicts_charts import Links, overview_chart
from labeling import quality
from labeling.access import EVERYTHING, Can
from labeling.charts import judgments_chart
from labeling.curation.freezing import newer_judgments
from labeling.lifecycle import TERMINAL, Status
from labeling.models import Assignment, DatasetVersion, Item, Judgment, Project
from training.models import TrainingRun

DAYS, SHOWN_AT_LEAST = 30, 14
RECENT = 5


def overview(project: Project, can: Can = EVERYTHING) -> dict[str, Any]:
    """All that the overview page of a project shows."""
    counts = _counts(project)
    latest = (
        EvalRun.objects.filter(project=project, status=Status.SUCCEEDED, arm=None)
        .select_related("version__suite", "suite")
        .first()
    )
    lines = target_lines(latest) if latest else []
    runs = TrainingRun.objects.filter(project=project).defer("spec", "result")
    versions = list(DatasetVersion.objects.filter(project=project)[:RECENT])
    said = headline(latest, lines) if latest and lines else None
    return {
        "counts": counts,
        "agreement": quality.agreement(project).alpha if counts["judgments"] else None,
        "charts": {
            "judgments": _judgments_chart(judgments_by_day(project)),
            "scores": overview_chart(lines, Links(project.slug, latest.pk)) if latest and lines else None,
        },
        "latest": latest,
        "headline": said,
        "measured": _measured_words(lines),
        "recent_runs": list(
            runs.select_related("dataset_version", "dataset_version__project", "base", "start")[:RECENT]
        ),
        "recent_versions": versions,
        "next_steps": _next_steps(project, can, counts, versions, said.kind if said else ""),
        "live": _busy(project),
    }


def _measured_words(lines: list[TargetLine]) -> str:
    """What the latest verdict was measured on: cases, and how many of them are independent."""
    own = lines[0].primary.own if lines else None
    if own is None or not own.n:
        return ""
    return f"Measured on {own.n:,} cases from {own.clusters:,} independent prompts."


def _judgments_chart(days: list[tuple[date, int]]) -> Chart | None:
    """Judgments a day, with files like every chart of this page; None while there is none."""
    if not (made := judgments_chart(days)):
        return None
    rows = tuple(Row(tuple(cells)) for cells in made["table"]["rows"])
    title = made["spec"].pop("title")
    return Chart("judgments", title, "", made["spec"], tuple(made["table"]["columns"]), rows)


def judgments_by_day(project: Project) -> list[tuple[date, int]]:
    """(day, judgments) of the last month, from the first day with one, two weeks at least; idle days count 0."""
    since = timezone.localtime() - timedelta(days=DAYS)
    rows = Judgment.objects.filter(project=project, created_at__gte=since).annotate(
        day=TruncDate("created_at")
    )
    counts = dict(rows.order_by("day").values_list("day").annotate(n=Count("pk")))
    if not counts:
        return []
    today = timezone.localdate()
    first = min(*counts, today - timedelta(days=SHOWN_AT_LEAST - 1))
    days = (first + timedelta(days=step) for step in range((today - first).days + 1))
    return [(day, counts.get(day, 0)) for day in days]


def _counts(project: Project) -> dict[str, int]:
    def count(model: Any, **condition: Any) -> int:
        return int(model.objects.filter(project=project, **condition).count())

    return {
        "items": count(Item),
        "judgments": count(Judgment),
        "left": count(Assignment, person=None),
        "versions": count(DatasetVersion),
        "runs": count(TrainingRun),
        "evaluations": count(EvalRun),
    }


def _busy(project: Project) -> bool:
    kinds = (TrainingRun, EvalRun)
    return any(kind.objects.filter(project=project).exclude(status__in=TERMINAL).exists() for kind in kinds)


def _next_steps(
    project: Project, can: Can, counts: dict[str, int], versions: list[DatasetVersion], kind: str
) -> list[dict[str, str]]:
    """What moves the loop on, the most pressing first; only what this role may do."""
    newer = newer_judgments(versions[0]) if versions else counts["judgments"]
    steps = [
        (can.curate and not counts["items"], "Import the first prompts and responses", "labeling:imports"),
        (
            can.annotate and counts["left"],
            f"{counts['left']:,} judgments are still wanted: rank items",
            "labeling:rank",
        ),
        (can.curate and newer, f"Freeze a dataset version of {newer:,} new judgments", "labeling:datasets"),
        (can.train and versions and not counts["runs"], "Train a first checkpoint", "training:new_run"),
        (
            can.train and counts["runs"] and not counts["evaluations"],
            "Evaluate the checkpoints against the base",
            "evaluation:evaluations",
        ),
        (
            can.curate and kind == INCONCLUSIVE,
            "The latest verdict is open: more judged items would settle it",
            "labeling:imports",
        ),
    ]
    return [{"words": words, "url": reverse(name, args=[project.slug])} for due, words, name in steps if due]
