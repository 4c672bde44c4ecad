"""Begin a study: checked, frozen, its prompts protected from training, its answers asked for."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from evaluation.candidates import keep_prompts, name_of
from evaluation.judges import who
from evaluation.models import Judge, JudgeVersion, Study
from evaluation.outlook import MOST_ITEMS, Wanted, spec_of
from evaluation.prompts import Prompt, Prompts, with_system
from evaluation.specs import GenerationSpec
from evaluation.studies.design import FEWEST_PROMPTS, MOST_MODELS, Design, comparisons
from evaluation.studies.lineage import SeenInTraining, seen_in_training
from labeling.access import opened
from labeling.errors import Refused
from labeling.models import Project, Task, User
from labeling.protection import fingerprints, protect


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What is asked of whom: `wanted` names the models and how all of them are sampled, once each."""

    prompts: Prompts
    wanted: Wanted
    design: Design
    judge: JudgeVersion | None = None
    queue: Project | None = None
    leave_out: bool = False


def start_study(*, project: Project, plan: StudyPlan, person: User | None, name: str = "") -> Study:
    """Queue the answers of a study; its pairs come to people when they are there.

    Its prompts are protected from training from now on. Raises Refused for what cannot be compared, and SeenInTraining
    with a list where a checkpoint was trained on prompts; with `leave_out` those are left out.
    """
    queue = plan.queue or project
    _refuse_queue(queue, person)
    spec = _spec_of(project, plan)
    prompts, plain = _untrained(plan, spec)
    names = " or ".join(target["name"] for target in spec.targets)
    study = Study(
        project=project,
        queue=queue,
        name=name_of(name, f"{names} on {prompts.words}"),
        spec=spec.model_dump(mode="json"),
        design=plan.design.model_dump(mode="json"),
        judge=plan.judge,
        prompts=len(prompts.found),
        folder=uuid.uuid4().hex,
        created_by=person,
        facts={
            "from": prompts.words,
            "left_out": len(plan.prompts.found) - len(plain),
            "sealed": prompts.sealed,
            "sources": [{"kind": each._meta.model_name, "id": each.pk} for each in plan.wanted.targets],
        },
    )
    keep_prompts(study, prompts.found)
    hidden = fingerprints(one.messages for one in (*plain, *prompts.found))
    with transaction.atomic():
        for owner in {project.pk: project, queue.pk: queue}.values():
            protect(project=owner, prompts=hidden, reason=f"study {study.name}"[:200])
        study.save()
        study.enqueue()
    return study


def _refuse_queue(queue: Project, person: User | None) -> None:
    if queue.task != Task.PAIRWISE:
        raise Refused(
            f"People in {queue} are asked to {queue.get_task_display().lower()}, and a study asks which of two "
            "responses is better. Choose a project that compares two responses to ask its people, or start one."
        )
    if person is not None and opened(person, queue.slug, "train") is None:
        raise Refused(f"You may not ask the people of {queue}; ask an owner of it for a role that may.")


def _spec_of(project: Project, plan: StudyPlan) -> GenerationSpec:
    """The frozen spec. Raises Refused with what cannot be."""
    models, prompts = len(plan.wanted.targets), len(plan.prompts.found)
    if not 2 <= models <= MOST_MODELS:
        raise Refused(f"{models} models were chosen; a study compares 2 to {MOST_MODELS}.")
    spec = spec_of(project, replace(plan.wanted, samples=1, temperatures=plan.wanted.temperatures[:1]))
    _refuse_twins(spec)
    if prompts < FEWEST_PROMPTS:
        raise Refused(
            f"There are {prompts} prompts; a study needs {FEWEST_PROMPTS} at least, and its planner says how many find "
            "what you look for."
        )
    pairs = prompts * comparisons(models)
    if pairs > MOST_ITEMS:
        raise Refused(f"That would be {pairs:,} pairs; up to {MOST_ITEMS:,} fit. Choose fewer prompts.")
    if plan.judge is not None:
        _refuse_judge(project, plan.judge, plan.wanted)
    return spec


def _refuse_twins(spec: GenerationSpec) -> None:
    known: dict[str, dict[str, Any]] = {}
    for target in spec.targets:
        first = known.setdefault(target["identity"], target)
        if first is not target:
            raise Refused(
                f"{first['name']} and {target['name']} are the same model, so their answers would be too; choose two "
                "different ones."
            )


def _refuse_judge(project: Project, version: JudgeVersion, wanted: Wanted) -> None:
    if version.judge.project_id != project.pk or version.judge.kind != Judge.Kind.PAIRWISE:
        raise Refused(
            f"{version} does not compare two answers in this project; choose a pairwise judge of it."
        )
    if (answers := who(version)) in wanted.targets:
        raise Refused(f"{version} is answered by {answers}, which the study compares; ask another.")


def _untrained(plan: StudyPlan, spec: GenerationSpec) -> tuple[Prompts, list[Prompt]]:
    """The prompts as they are asked, and as they were without a system message; those that were trained on are left out
    where that is wanted. Raises SeenInTraining where it is not."""
    asked = with_system(plan.prompts, spec.system)
    seen = seen_in_training(plan.prompts.found, plan.wanted.checkpoints)
    if spec.system:
        seen += seen_in_training(asked.found, plan.wanted.checkpoints)
    numbers = {one.number for one in seen}
    left = len(asked.found) - len(numbers)
    if numbers and (not plan.leave_out or left < FEWEST_PROMPTS):
        raise SeenInTraining(seen, len(asked.found))
    kept = [number for number in range(len(asked.found)) if number not in numbers]
    plain = [plan.prompts.found[number] for number in kept]
    return replace(asked, found=[asked.found[number] for number in kept]), plain
