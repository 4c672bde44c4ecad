"""Judges: a rubric, and who answers by it. A version is never changed; a change makes the next one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from evaluation.engines import ENGINES, default_engine
from evaluation.models import Endpoint, Judge, JudgeVersion
from evaluation.scorers import find_scorer, read_params
from evaluation.targets import SERVICES, frozen_target
from labeling.errors import Refused
from labeling.models import Project, User
from training.models import Checkpoint

NAME_LENGTH = 80
RUBRICS = {
    Judge.Kind.RUBRIC: (
        "Judge whether the answer serves the person who asked.\n\n"
        "- Right: what it states is true, and it follows from what was asked.\n"
        "- Complete: it answers all that was asked, and says so where it cannot.\n"
        "- Fit: it keeps to the form, the language and the limits that were asked for.\n\n"
        "good: all three hold. fair: usable, with a fault that does no harm. poor: wrong, harmful or off the point.\n"
        "Length, politeness and confidence are no merits by themselves."
    ),
    Judge.Kind.PAIRWISE: (
        "Decide which answer serves the person who asked better.\n\n"
        "1. Right before wrong: a false statement loses against a true one, however well it is put.\n"
        "2. Then complete: the answer that leaves less of the question open.\n"
        "3. Then fit: the form, the language and the limits that were asked for.\n\n"
        "Length, politeness and confidence are no merits by themselves. "
        "Where nothing of this tells the answers apart, it is a tie."
    ),
}
LABELS = {"good": 1.0, "fair": 0.5, "poor": 0.0}


class Overtaken(Refused):
    """Somebody else made a version meanwhile. `current` is theirs; nothing of what was sent was stored."""

    def __init__(self, sentence: str, current: JudgeVersion) -> None:
        super().__init__(sentence)
        self.current = current


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """What a version is to say, and who answers: a checkpoint by an engine, or an endpoint. `labels` is for rubrics."""

    rubric: str
    labels: Mapping[str, float]
    checkpoint: Checkpoint | None = None
    endpoint: Endpoint | None = None
    engine: str = ""


@transaction.atomic
def create_judge(
    *, project: Project, name: str, kind: str, draft: VersionDraft, person: User | None
) -> JudgeVersion:
    """A judge with its first version. Raises Refused for a name that is taken and for what cannot judge."""
    if kind not in Judge.Kind.values:
        raise Refused(f"The kind is {kind[:40]!r}; choose one of {', '.join(Judge.Kind.values)}.")
    values = _checked(project, kind, draft)
    words = " ".join(name.split())
    if not words or len(words) > NAME_LENGTH:
        raise Refused(f"The name has {len(words)} letters; give 1 to {NAME_LENGTH}.")
    try:
        with transaction.atomic():
            judge = Judge.objects.create(project=project, name=words, kind=kind, created_by=person)
    except IntegrityError as error:
        raise Refused(f"There is a judge named {words} already; open it and save a new version.") from error
    return JudgeVersion.objects.create(judge=judge, number=1, created_by=person, **values)


@transaction.atomic
def save_version(
    *, judge: Judge, draft: VersionDraft, person: User | None, base: int | None = None
) -> JudgeVersion:
    """The next version; what the newest one says already makes no new one.

    `base` is the number that the writer began from: where there is a newer one, Overtaken is raised.
    """
    judge = Judge.objects.select_for_update(no_key=True).get(pk=judge.pk)
    values = _checked(judge.project, judge.kind, draft)
    newest = judge.versions.select_related("created_by").first()
    if newest is not None and all(getattr(newest, name) == value for name, value in values.items()):
        return newest
    if newest is not None and base is not None and base != newest.number:
        raise Overtaken(
            f"{newest.created_by or 'Somebody'} saved version {newest.number} while you were writing. Your text is "
            f"still here; take over what you want, then save it as version {newest.number + 1}.",
            newest,
        )
    number = newest.number + 1 if newest else 1
    return JudgeVersion.objects.create(judge=judge, number=number, created_by=person, **values)


def archive_judge(*, judge: Judge, archived: bool = True) -> None:
    """Put a judge away, or bring it back. Its versions and cards stay."""
    judge.archived_at = timezone.now() if archived else None
    judge.save(update_fields=["archived_at"])


def find_judge_version(*, project: Project, name: str) -> JudgeVersion:
    """A version written as NAME for the newest one, or NAME:2. Raises Refused with the judges there are."""
    rows = JudgeVersion.objects.filter(judge__project=project).select_related(
        "judge__project", "checkpoint__base", "checkpoint__parent", "endpoint"
    )
    found = rows.filter(judge__name=name).order_by("-number").first()
    judge, _, number = name.rpartition(":")
    number = number.removeprefix("v")
    if found is None and judge and number.isascii() and number.isdigit() and len(number) < 10:
        found = rows.filter(judge__name=judge, number=int(number)).first()
    if found is None:
        known = Judge.objects.filter(project=project).values_list("name", flat=True)[:20]
        raise Refused(f"There is no judge {name[:120]!r} here. Known: {', '.join(known) or 'none yet'}.")
    return found


def params_of(version: JudgeVersion) -> Any:
    """The settings of the scorer that asks this judge."""
    return read_params(
        find_scorer(version.judge.kind), _params(version.judge.kind, version.rubric, version.labels)
    )


def who(version: JudgeVersion) -> Checkpoint | Endpoint:
    """Who answers."""
    source = version.endpoint or version.checkpoint
    assert source is not None
    return source


def identity_of(version: JudgeVersion) -> str:
    """A hash of what answers today: an endpoint that was pointed elsewhere is somebody else."""
    return frozen_target(who(version), index=0).identity


def _checked(project: Project, kind: str, draft: VersionDraft) -> dict[str, Any]:
    """The fields of a version. Raises Refused with what is wrong."""
    rubric = "\n".join(line.rstrip() for line in draft.rubric.splitlines()).strip()
    if not rubric:
        raise Refused("The rubric is empty; write by what the judge decides.")
    if "\0" in rubric:
        raise Refused("The rubric holds a NUL character, which databases refuse; remove it.")
    labels = (
        {} if kind == Judge.Kind.PAIRWISE else {word: float(value) for word, value in draft.labels.items()}
    )
    read_params(find_scorer(kind), _params(kind, rubric, labels))
    return {"rubric": rubric, "labels": labels, **_answering(project, draft)}


def _params(kind: str, rubric: str, labels: Mapping[str, float]) -> dict[str, Any]:
    return {"rubric": rubric} if kind == Judge.Kind.PAIRWISE else {"rubric": rubric, "labels": dict(labels)}


def _answering(project: Project, draft: VersionDraft) -> dict[str, Any]:
    checkpoint, endpoint = draft.checkpoint, draft.endpoint
    if (checkpoint is None) == (endpoint is None):
        raise Refused("Choose one who answers for the judge: a checkpoint or an endpoint.")
    if endpoint is not None:
        if endpoint.project_id != project.pk or endpoint.archived_at is not None:
            raise Refused(f"{endpoint.name} is not an endpoint in use here; choose another.")
        return {"checkpoint": None, "endpoint": endpoint, "engine": SERVICES}
    assert checkpoint is not None
    if checkpoint.project_id not in (None, project.pk):
        raise Refused(f"{checkpoint.name} belongs to another project; choose a checkpoint of this one.")
    if checkpoint.line == Checkpoint.Line.REWARD:
        raise Refused(f"{checkpoint.name} is a reward model, which says no words; choose one that answers.")
    engine = draft.engine or default_engine()
    known = [name for name in ENGINES if name != SERVICES]
    if engine not in known:
        raise Refused(f"The engine given is {engine[:40]!r}; choose one of {', '.join(known)}.")
    return {"checkpoint": checkpoint, "endpoint": None, "engine": engine}
