"""Rounds are made from a version or a decision, filled in by lineage, and changed by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from evaluation.models import Decision, EvalRun, Round, Study
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, User
from training.lineage import checkpoints_of
from training.models import Checkpoint, TrainingRun

NAME_LENGTH = 120
LONGEST_NOTE = 20_000
RECENT = 50
MANY = ("runs", "checkpoints", "evaluations")
ONE = ("dataset_version", "decision", "study")


@dataclass(slots=True)
class Tied:
    """What belongs together, as lineage says."""

    dataset_version: DatasetVersion | None = None
    decision: Decision | None = None
    study: Study | None = None
    runs: list[TrainingRun] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    evaluations: list[EvalRun] = field(default_factory=list)


def rounds_of(project: Project) -> QuerySet[Round]:
    """The rounds of a project with what pages show of them."""
    return Round.objects.filter(project=project).select_related(
        "project", "dataset_version__project", "decision__candidate", "study", "created_by"
    )


def by_version(version: DatasetVersion) -> Tied:
    """The runs on a version, the checkpoints that learned from it, their evaluations and the newest decision."""
    checkpoints = checkpoints_of([version.pk])[version.pk]
    mine = [checkpoint for checkpoint in checkpoints if checkpoint.project_id == version.project_id]
    decision = Decision.objects.filter(project=version.project, candidate__in=mine).first()
    runs = list(version.training_runs.filter(project=version.project).order_by("pk"))
    runs += [each.run for each in mine if each.run is not None and each.run not in runs]
    study = _study(version.project, mine)
    return Tied(version, decision, study, runs, mine, _evaluations(version.project, mine))


def by_decision(decision: Decision) -> Tied:
    """What a decision was about: its candidate, the run and the version behind it, and what measured it."""
    candidate = decision.candidate
    run = candidate.run
    found = _evaluations(decision.project, [candidate])
    if decision.run is not None and decision.run not in found:
        found.append(decision.run)
    version = run.dataset_version if run is not None else None
    study = _study(decision.project, [candidate])
    return Tied(version, decision, study, [run] if run is not None else [], [candidate], found)


def _study(project: Project, checkpoints: Sequence[Checkpoint]) -> Study | None:
    """The newest study that asked people about one of these checkpoints."""
    keys = {checkpoint.pk for checkpoint in checkpoints}
    rows = Study.objects.filter(project=project)[:RECENT]
    return next((study for study in rows if not keys.isdisjoint(study.checkpoints)), None)


def _evaluations(project: Project, checkpoints: Iterable[Checkpoint]) -> list[EvalRun]:
    rows = EvalRun.objects.filter(project=project, checkpoints__in=list(checkpoints), arm=None)
    return list(rows.distinct().order_by("pk"))


def start_round(
    *,
    project: Project,
    person: User | None,
    version: DatasetVersion | None = None,
    decision: Decision | None = None,
    name: str = "",
) -> Round:
    """The round of a version or of a decision: that which is there already, else a new one."""
    if (version is None) == (decision is None):
        raise Refused("A round begins with a dataset version or with a decision; name one of them.")
    with transaction.atomic():
        _lock(project)
        about = {"decision": decision} if version is None else {"dataset_version": version}
        there = Round.objects.filter(project=project, **about).first()
        if there is not None:
            return there
        tied = _tied(version, decision)
        made = Round.objects.create(
            project=project,
            name=_named(project, name) if name else _free_name(project),
            dataset_version=tied.dataset_version,
            decision=tied.decision,
            study=tied.study,
            created_by=person,
        )
        for each in MANY:
            getattr(made, each).set(getattr(tied, each))
    return made


@transaction.atomic
def change_round(*, round: Round, values: dict[str, Any]) -> Round:
    """Change what is given: name, note, and what is tied. Raises Refused for what is of another project."""
    _lock(round.project)
    found = Round.objects.select_related("project").get(pk=round.pk)
    if "name" in values:
        found.name = _named(found.project, values["name"], found)
    if len(values.get("note", "")) > LONGEST_NOTE:
        raise Refused(f"The note has {len(values['note']):,} characters; up to {LONGEST_NOTE:,} are allowed.")
    found.note = values.get("note", found.note)
    for name in ONE:
        if name in values:
            _refuse_foreign(found.project, [values[name]] if values[name] is not None else [])
            setattr(found, name, values[name])
    found.save()
    for name in MANY:
        if name in values:
            _refuse_foreign(found.project, values[name])
            getattr(found, name).set(values[name])
    return found


@transaction.atomic
def fill_in(*, round: Round) -> int:
    """Add what lineage says belongs to the round by now; nothing is taken out. Returns how many links are new."""
    if round.dataset_version is None and round.decision is None:
        raise Refused("The round has neither a version nor a decision yet; choose one, then fill it in.")
    tied, new = _tied(round.dataset_version, round.decision), 0
    for name in MANY:
        links = getattr(round, name)
        there = set(links.values_list("pk", flat=True))
        fresh = [each for each in getattr(tied, name) if each.pk not in there]
        links.add(*fresh)
        new += len(fresh)
    for name in ONE:
        if getattr(round, name) is None and getattr(tied, name) is not None:
            setattr(round, name, getattr(tied, name))
            new += 1
    round.save(update_fields=[*ONE, "changed_at"])
    return new


def _tied(version: DatasetVersion | None, decision: Decision | None) -> Tied:
    if version is not None:
        return by_version(version)
    assert decision is not None
    return by_decision(decision)


def _lock(project: Project) -> None:
    """Whoever else makes or names a round of the project waits until this transaction has ended."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _refuse_foreign(project: Project, rows: Iterable[Any]) -> None:
    for row in rows:
        if row.project_id not in (project.pk, None):
            raise Refused(f"{row} is of another project; choose what is of this one.")


def _named(project: Project, name: str, own: Round | None = None) -> str:
    words = " ".join(name.split())
    if not words or len(words) > NAME_LENGTH:
        raise Refused(f"The name has {len(words)} letters; give 1 to {NAME_LENGTH}.")
    others = Round.objects.filter(project=project, name=words)
    if (others.exclude(pk=own.pk) if own else others).exists():
        raise Refused(f"There is a round named {words} in this project already; choose another name.")
    return words


def _free_name(project: Project) -> str:
    number = Round.objects.filter(project=project).count() + 1
    while Round.objects.filter(project=project, name=f"Round {number}").exists():
        number += 1
    return f"Round {number}"
