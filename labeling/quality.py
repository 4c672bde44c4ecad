"""How far people agree and how each of them judges: measured once for each state of the data, and kept.

A small project is measured when its page is asked for. A large one is measured by a worker: the page shows what was
found last, says so, and asks again in a while. What was found lies in a file below PREFLOOP_VAR.
"""

import json
import os
import uuid
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone
from pydantic import TypeAdapter, ValidationError

from labeling.broker import send
from labeling.estimates import Estimate
from labeling.measures import Measure
from labeling.models import Gold, Judgment, Project, Review

if TYPE_CHECKING:
    from labeling.agreement import PairAgreement


SMALL = 3_000
JOB = "labeling.jobs.measure_quality"
ASK_AGAIN = timedelta(seconds=60)
REST = 20
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """What was found, when, in how many seconds, and in which state of the data."""

    measure: Measure
    state: str
    at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Latest:
    """What a page may show: the last that was found, None before the first time; whether anything has changed since;
    and whether a worker has been asked to measure anew."""

    measure: Measure | None
    at: datetime | None
    stale: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of a project: Cohen's kappa of every pair of people, Krippendorff's alpha over all."""

    pairs: "list[PairAgreement]"
    alpha: Estimate | None
    n_items: int


KEPT = TypeAdapter(Kept)


def measured(project: Project) -> Measure:
    """The measure of the project as it is now; computed if it is not known, however long that takes."""
    state, kept = state_of(project), _read(project)
    return kept.measure if kept is not None and kept.state == state else _measure(project, state).measure


def latest(project: Project) -> Latest:
    """What is known without making anybody wait: measured at once where that takes no time, and by a worker where it
    does. A large measure that is still young is not made anew for a few more answers."""
    state, kept = state_of(project), _read(project)
    if kept is not None and kept.state == state:
        return Latest(kept.measure, kept.at, stale=False, waiting=False)
    if _is_small(project):
        kept = _measure(project, state)
        return Latest(kept.measure, kept.at, stale=False, waiting=False)
    if kept is not None and timezone.now() < kept.at + timedelta(seconds=max(60.0, REST * kept.seconds)):
        return Latest(kept.measure, kept.at, stale=True, waiting=False)
    _ask(project)
    return Latest(
        kept.measure if kept else None, kept.at if kept else None, stale=kept is not None, waiting=True
    )


def refresh(project: Project) -> None:
    """Measure the project unless its state is measured already: what a worker does when a page has asked."""
    measured(project)
    _asked(project).unlink(missing_ok=True)


def agreement(project: Project) -> Agreement:
    """Agreement over all current judgments, of a large project as it was measured last."""
    from labeling.agreement import PairAgreement

    found = latest(project).measure
    if found is None:
        return Agreement([], None, 0)
    pairs = [PairAgreement(p.a, p.b, p.values.get("kappa"), p.values.get("raw")) for p in found.pairs]
    return Agreement(
        sorted(pairs, key=lambda p: (str(p.rater_a), str(p.rater_b))), found.estimate("alpha"), found.items
    )


def state_of(project: Project) -> str:
    """A word that changes whenever something that the measure is made of changes."""
    judged = Judgment.objects.filter(project=project).order_by("-created_at", "-pk")
    newest = judged.values_list("pk", flat=True).first() or 0
    reviewed = Review.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    golds = list(Gold.objects.filter(project=project).order_by("item_id").values_list("item_id", "label"))
    rules = [project.task, project.ask_strength, project.attributes, project.gold_pass]
    return f"{FORMAT}.{newest}.{reviewed}.{zlib.crc32(json.dumps([golds, rules]).encode()):08x}"


def _measure(project: Project, state: str) -> Kept:
    from labeling.measuring import measure

    start = timezone.now()
    found = measure(project)
    kept = Kept(found, state, timezone.now(), (timezone.now() - start).total_seconds())
    path = _path(project)
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    building.write_bytes(KEPT.dump_json(kept))
    building.replace(path)
    return kept


def _read(project: Project) -> Kept | None:
    try:
        return KEPT.validate_json(_path(project).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _path(project: Project) -> Path:
    return Path(settings.PREFLOOP_VAR) / "quality" / f"{project.pk}.json"


def _asked(project: Project) -> Path:
    return _path(project).with_suffix(".asked")


def _is_small(project: Project) -> bool:
    return Judgment.objects.filter(project=project)[: SMALL + 1].count() <= SMALL


def _ask(project: Project) -> None:
    """Send the job, not more often than once in ASK_AGAIN: a lost message only delays."""
    mark = _asked(project)
    mark.parent.mkdir(parents=True, exist_ok=True)
    try:
        asked = datetime.fromtimestamp(mark.stat().st_mtime, tz=timezone.get_current_timezone())
        if timezone.now() < asked + ASK_AGAIN:
            return
    except FileNotFoundError:
        pass
    mark.touch()
    os.utime(mark)
    send(JOB, project.pk)
