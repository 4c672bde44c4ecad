"""Will the steps of a pipeline fit each other when their turn comes? Asked before the first of them starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from labeling.errors import Refused
from labeling.models import DatasetVersion, Project
from training.compatibility import check_files, check_reward, check_start
from training.launching import checked_rows
from training.models import Checkpoint, PipelineStep
from training.registry import trunk
from training.specs import ROLLOUTS, TrainSpec
from training.specs.methods import LOW_RANK

Role = PipelineStep.Role
Rows = tuple[TrainSpec, str]  # a spec, and the shape in which it reads its rows
REWARD_ADAPTATIONS = ("full", *LOW_RANK, "ia3")


@dataclass(frozen=True)
class Asked:
    """A step as it was asked for: a checkpoint that is there, or what to train."""

    method: str
    given: Checkpoint | None = None
    dataset_version: DatasetVersion | None = None
    values: dict[str, Any] | None = None
    gold: Checkpoint | None = None


class StepRefused(Refused):
    """A step of a pipeline cannot be as it was asked for; `role` says which."""

    def __init__(self, role: str, sentence: str) -> None:
        super().__init__(sentence)
        self.role = role


def check_chain(project: Project, start: Checkpoint, asked: dict[Role, Asked]) -> None:
    """Raises Refused, or StepRefused with the step that would not do, as far as can be known before anything ran."""
    _check_ours(project, start)
    if start.line == Checkpoint.Line.REWARD:
        raise Refused(f"{start} is a reward model; begin with a model that answers.")
    rows = {role: _check_alone(project, role, step) for role, step in asked.items()}
    sft, reward, policy = (rows[role] for role in (Role.SFT, Role.REWARD, Role.POLICY))
    if policy is None or asked[Role.POLICY].method not in ROLLOUTS:
        raise StepRefused(Role.POLICY, f"The last step learns from rewards; choose {', '.join(ROLLOUTS)}.")
    _check_adaptations(*(found and found[0].adaptation for found in (sft, reward, policy)))
    answers = asked[Role.SFT].given
    with _of(Role.SFT):
        if sft is not None:
            check_start(start, *sft)
    with _of(Role.POLICY):
        if answers is not None:
            check_start(answers, *policy)
    is_full = sft is not None and sft[0].adaptation == "full"
    with _of(Role.REWARD):
        if reward is not None and not is_full:
            check_start(trunk(answers or start), *reward)
    for role, judge in ((Role.REWARD, asked[Role.REWARD].given), (Role.POLICY, asked[Role.POLICY].gold)):
        with _of(role):
            if judge is not None:
                name = "gold" if role == Role.POLICY else "reward"
                _check_judge(judge, answers or trunk(start), policy[0], name=name, on_new_weights=is_full)


@contextmanager
def _of(role: str) -> Iterator[None]:
    """Say of which step a refusal is."""
    try:
        yield
    except Refused as refusal:
        raise StepRefused(role, refusal.sentence) from refusal


def _check_ours(project: Project, *checkpoints: Checkpoint | None) -> None:
    """What one project learned is not known in another."""
    for checkpoint in checkpoints:
        if checkpoint is not None and checkpoint.project_id not in (None, project.pk):
            raise Refused(f"{checkpoint} belongs to another project; choose a checkpoint of {project}.")


def _check_alone(project: Project, role: str, step: Asked) -> Rows | None:
    """What a step that is trained needs of its rows; None of one that is given."""
    with _of(role):
        _check_ours(project, step.given, step.gold)
        if step.given is not None:
            is_reward = step.given.line == Checkpoint.Line.REWARD
            if is_reward != (role == Role.REWARD):
                wanted = "a reward model" if role == Role.REWARD else "a model that answers"
                raise Refused(f"{step.given} is not {wanted}; choose another checkpoint, or train one.")
            check_files(step.given)
            return None
        version = step.dataset_version
        if version is None:
            raise Refused(f"dataset_version was not given, and this step is to train {step.method}.")
        if version.project_id != project.pk:
            raise Refused(f"dataset_version was given as {version}, which belongs to another project.")
        return checked_rows(method=step.method, dataset_version=version, values=step.values or {})
    raise AssertionError("not reached")


def _check_adaptations(sft: str | None, reward: str | None, policy: str | None) -> None:
    """Those of the steps that are trained."""
    if reward is not None and reward not in REWARD_ADAPTATIONS:
        raise StepRefused(
            Role.REWARD,
            f"adaptation was given as {reward}, and a policy can read reward models trained with "
            f"{', '.join(REWARD_ADAPTATIONS)}; choose one of them.",
        )
    if sft is not None and sft not in ("full", *LOW_RANK):
        raise StepRefused(
            Role.SFT,
            f"adaptation was given as {sft}, and no policy can go on with that; choose lora or full.",
        )
    if sft is not None and sft != "full" and policy not in LOW_RANK:
        raise StepRefused(
            Role.POLICY,
            f"adaptation was given as {policy}, and the policy goes on with an adapter of {sft}; choose lora or "
            "qlora here, or train all weights in the first step.",
        )


def _check_judge(
    judge: Checkpoint, start: Checkpoint, spec: TrainSpec, *, name: str, on_new_weights: bool
) -> None:
    """A reward model that is there, for a policy that starts on the weights of `start` or on ones yet to be made."""
    if on_new_weights and judge.kind == Checkpoint.Kind.ADAPTER:
        raise Refused(
            f"The reward model {judge} is an adapter, and the policy starts on weights that the first step is yet to "
            "make; train a reward model here, or choose lora in the first step."
        )
    check_reward(judge, start, spec, name=name)
