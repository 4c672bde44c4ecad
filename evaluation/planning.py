"""What a run owes: a suite frozen from held-out rows, and the checkpoints to be scored on it."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from evaluation.engines import ENGINES
from evaluation.models import Case, EvalRun, Suite
from labeling.curation import exporting, rowfile
from labeling.curation.recipe import PAIRED
from labeling.curation.rows import prompt_text
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, User
from labeling.protection import protect
from training.models import Checkpoint
from training.registry import foundation

NAME_LENGTH = 120


def create_suite(*, version: DatasetVersion, split: str = "test") -> Suite:
    """Freeze the held-out rows of a version into a suite, and protect its prompts from ever being trained on.

    The same split again gives the suite that exists. Raises Refused where the split is empty.
    """
    found = Suite.objects.filter(dataset_version=version, split=split).first()
    if found is not None:
        return found
    if version.kind not in PAIRED:
        raise Refused(
            f"{version} holds rows of the kind {version.kind}; a suite needs pairs of chosen and rejected, "
            f"of the kind {' or '.join(PAIRED)}."
        )
    if not version.splits.get(split):
        raise Refused(
            f"{version} has no rows in its {split} split; freeze a version with a larger test share."
        )
    exporting.verify(version)
    rows = list(rowfile.read(version.path, split=split))
    try:
        with transaction.atomic():
            suite = Suite.objects.create(
                project=version.project, name=f"{version} {split}", dataset_version=version, split=split
            )
            Case.objects.bulk_create(
                (
                    Case(
                        suite=suite,
                        index=index,
                        prompt_hash=row["prompt_hash"],
                        prompt=row["prompt"],
                        chosen=row["chosen"],
                        rejected=row["rejected"],
                    )
                    for index, row in enumerate(rows)
                ),
                batch_size=500,
            )
            protect(
                project=version.project,
                prompts={row["prompt_hash"]: prompt_text(row["prompt"]) for row in rows},
                reason=f"suite {suite.name}"[:200],
            )
    except IntegrityError:
        return Suite.objects.get(dataset_version=version, split=split)
    return suite


def plan_evaluation(
    *,
    project: Project,
    suite: Suite,
    checkpoints: Sequence[Checkpoint],
    person: User | None,
    engine: str = "transformers",
    name: str = "",
) -> EvalRun:
    """Freeze the plan and queue it. The base model of the checkpoints is always scored too: it is the baseline.

    Raises Refused where the checkpoints do not share a base model or the engine is unknown.
    """
    if engine not in ENGINES:
        raise Refused(f"The engine given is {engine!r}; choose one of {', '.join(ENGINES)}.")
    if len(name) > NAME_LENGTH:
        raise Refused(f"The name has {len(name)} characters; up to {NAME_LENGTH} are allowed.")
    if not checkpoints:
        raise Refused("No checkpoint was chosen; choose at least one.")
    for checkpoint in checkpoints:
        if checkpoint.line == Checkpoint.Line.REWARD:
            raise Refused(
                f"{checkpoint.name} is a reward model, which gives numbers and no text; its agreement with people "
                "stands on the page of its run. Choose checkpoints that answer."
            )
    bases = {checkpoint.base_id for checkpoint in checkpoints}
    if len(bases) > 1:
        raise Refused("The checkpoints have different base models; evaluate those of one base at a time.")
    _refuse_other_foundations(checkpoints)
    root = Checkpoint.objects.get(base=bases.pop(), kind=Checkpoint.Kind.BASE)
    chosen = list({checkpoint.pk: checkpoint for checkpoint in (root, *checkpoints)}.values())
    _refuse_leak(suite, chosen)
    with transaction.atomic():
        run = EvalRun.objects.create(
            project=project,
            suite=suite,
            name=name or f"{suite.name}: {', '.join(checkpoint.name for checkpoint in chosen)}"[:NAME_LENGTH],
            engine=engine,
            plan=[checkpoint.pk for checkpoint in chosen],
            folder=uuid.uuid4().hex,
            created_by=person,
        )
        run.checkpoints.set(chosen)
        run.enqueue()
    return run


@transaction.atomic
def plan_on_held_out(
    *, version: DatasetVersion, checkpoints: Sequence[Checkpoint], **options: Any
) -> EvalRun:
    """Plan a run on the held-out rows of a version. Where it is refused, no suite is left and nothing is protected."""
    suite = create_suite(version=version)
    return plan_evaluation(project=version.project, suite=suite, checkpoints=checkpoints, **options)


def _refuse_other_foundations(checkpoints: Sequence[Checkpoint]) -> None:
    """An adapter is scored on the base model; one that sits on other weights would get numbers that are not its own."""
    for checkpoint in checkpoints:
        if (
            checkpoint.kind == Checkpoint.Kind.ADAPTER
            and foundation(checkpoint)[0] != checkpoint.base.location
        ):
            raise Refused(
                f"{checkpoint.name} is an adapter on weights that were trained here, and not on "
                f"{checkpoint.base.name}; merge it, and evaluate the merged checkpoint."
            )


def _refuse_leak(suite: Suite, checkpoints: Sequence[Checkpoint]) -> None:
    """No checkpoint may have seen a case in training, neither itself nor by its ancestors."""
    cases = set(Case.objects.filter(suite=suite).values_list("prompt_hash", flat=True))
    for checkpoint in checkpoints:
        for version in trained_on(checkpoint):
            exporting.verify(version)
            seen = cases & {row["prompt_hash"] for row in rowfile.read(version.path, split="train")}
            if seen:
                raise Refused(
                    f"{checkpoint.name} was trained on {version}, which holds {len(seen)} of this suite's prompts; "
                    "its score would be too good. Choose another suite or checkpoint."
                )


def trained_on(checkpoint: Checkpoint) -> list[DatasetVersion]:
    """The dataset versions behind a checkpoint and all its ancestors, the latest first."""
    versions = []
    step: Checkpoint | None = checkpoint
    while step is not None:
        if step.run is not None:
            versions.append(step.run.dataset_version)
        step = step.parent
    return versions


def planned(run: EvalRun) -> list[Checkpoint]:
    """The planned checkpoints in the order of the plan, the baseline first."""
    rows = Checkpoint.objects.select_related("base").in_bulk(run.plan)
    return [rows[pk] for pk in run.plan]
