"""Emma trains a policy in three steps: each waits for what it needs, starts once, and can be started again alone."""

from pathlib import Path
from typing import Any

import pytest

from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project
from tests import world
from tests.training.chains import end, launched, run_of, states
from tests.training.folders import write_adapter, write_model
from tests.training.runs import RESULT, judged_version
from training import pipelines
from training.chaining import Asked, StepRefused
from training.jobs import drive_run
from training.jobs import sweep as sweep_all
from training.models import Checkpoint, Pipeline, TrainingRun
from training.registry import register_base, register_checkpoint
from training.standing import standing, status_of, steps_of

pytestmark = pytest.mark.data_layer


def test_the_policy_waits_for_both_and_starts_from_what_they_made(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    assert states(pipeline) == {"sft": "queued", "reward": "queued", "policy": "waiting"}
    assert run_of(pipeline, "reward").start == root, "an adapter that scores grows on the same base"
    answers = end(run_of(pipeline, "sft"))
    assert states(pipeline)["policy"] == "waiting"
    judge = end(run_of(pipeline, "reward"))
    policy = run_of(pipeline, "policy")
    assert (policy.start, policy.reward, policy.method) == (answers, judge, "ppo")
    assert policy.spec["rollout_size"] == 32
    end(policy)
    assert status_of(pipeline, steps_of(pipeline)) == Status.SUCCEEDED


def test_with_all_weights_the_reward_model_grows_on_the_model_that_answers(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    full = {"dataset_version": version, "values": {"adaptation": "full"}}
    steps = {"sft": Asked("sft", **full), "reward": Asked("reward", **full), "policy": Asked("ppo", **full)}
    pipeline = launched(project, root, version, **steps)
    assert states(pipeline)["reward"] == "waiting"
    answers = end(run_of(pipeline, "sft"), kind="full")
    assert run_of(pipeline, "reward").start == answers


def test_a_message_that_comes_twice_or_never_starts_a_step_once(
    project: Project, root: Checkpoint, version: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = launched(project, root, version)
    end(run_of(pipeline, "sft"))
    monkeypatch.setattr(pipelines, "follow", lambda run_id: None)  # the worker died before it looked
    end(run_of(pipeline, "reward"))
    assert states(pipeline)["policy"] == "waiting"
    for _ in range(3):
        sweep_all()
        pipelines.advance(pipeline)
    assert TrainingRun.objects.filter(method="ppo").count() == 1


def test_two_workers_that_look_at_once_start_one_run(transactional_db: None, tmp_path: Path) -> None:
    project = world.make_project()
    root = register_base(name="small", location=str(write_model(tmp_path / "base")))
    pipeline = launched(project, root, judged_version(project))
    end(run_of(pipeline, "sft"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipelines, "follow", lambda run_id: None)
        end(run_of(pipeline, "reward"))
    world.together([lambda: pipelines.advance(pipeline) for _ in range(4)])
    assert TrainingRun.objects.filter(method="ppo").count() == 1


def test_a_step_that_failed_is_started_again_alone(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    end(run_of(pipeline, "sft"))
    failed = run_of(pipeline, "reward")
    end(failed, Status.FAILED)
    assert states(pipeline) == {"sft": "succeeded", "reward": "failed", "policy": "waiting"}
    assert status_of(pipeline, steps_of(pipeline)) == Status.FAILED
    pipelines.restart(pipeline, "reward")
    again = run_of(pipeline, "reward")
    assert (again.again_of, again.spec) == (failed, failed.spec)
    assert TrainingRun.objects.filter(method="sft").count() == 1
    end(again)
    assert states(pipeline)["policy"] == "queued"


def test_a_step_behind_one_that_was_trained_again_says_so_and_keeps_what_it_made(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    for role in ("sft", "reward", "policy"):
        end(run_of(pipeline, role))
    policy = run_of(pipeline, "policy")
    pipelines.restart(pipeline, "reward")
    judge = end(run_of(pipeline, "reward"))
    assert run_of(pipeline, "policy") == policy
    steps = steps_of(pipeline)
    assert standing(pipeline, steps, "policy").outdated == "The reward model was trained again since."
    pipelines.restart(pipeline, "policy")
    assert run_of(pipeline, "policy").reward == judge
    assert standing(pipeline, steps_of(pipeline), "policy").outdated == ""


def test_a_step_at_work_or_without_what_it_needs_is_not_started_again(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    with pytest.raises(Refused, match="is still queued; cancel it first"):
        pipelines.restart(pipeline, "sft")
    with pytest.raises(Refused, match="start those again first"):
        pipelines.restart(pipeline, "policy")
    assert TrainingRun.objects.count() == 2


def test_a_cancelled_pipeline_starts_nothing_more_until_it_goes_on(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    end(run_of(pipeline, "sft"))
    pipelines.cancel(pipeline)
    assert states(pipeline) == {"sft": "succeeded", "reward": "cancelled", "policy": "cancelled"}
    sweep_all()
    assert TrainingRun.objects.count() == 2
    pipelines.go_on(pipeline)
    assert states(pipeline) == {"sft": "succeeded", "reward": "queued", "policy": "waiting"}
    end(run_of(pipeline, "reward"))
    assert states(pipeline)["policy"] == "queued"
    with pytest.raises(Refused, match="was not cancelled"):
        pipelines.go_on(pipeline)


def test_steps_may_be_checkpoints_that_are_there(
    project: Project, root: Checkpoint, version: DatasetVersion, tmp_path: Path
) -> None:
    write_adapter(tmp_path / "judge", root.base.location, task="SEQ_CLS")
    judge = Checkpoint.objects.create(
        base=root.base,
        parent=root,
        project=project,
        kind="adapter",
        line="reward",
        path=str(tmp_path / "judge"),
    )
    pipeline = launched(
        project, root, version, sft=Asked("sft", given=root), reward=Asked("reward", given=judge)
    )
    policy = run_of(pipeline, "policy")
    assert (policy.start, policy.reward) == (root, judge)
    with pytest.raises(Refused, match="there is nothing to train again"):
        pipelines.restart(pipeline, "reward")


@pytest.mark.parametrize(
    ("role", "values", "words"),
    [
        (
            "policy",
            {"adaptation": "full"},
            "the policy goes on with an adapter of lora; choose lora or qlora",
        ),
        ("sft", {"adaptation": "prompt"}, "no policy can go on with that"),
        ("reward", {"adaptation": "prompt"}, "reward"),
        ("policy", {"rollout_size": 33}, "of each rollout 33 answers are learned from"),
        ("sft", {"epochs": -1}, "epochs"),
    ],
)
def test_steps_that_would_not_fit_are_refused_before_anything_starts(
    project: Project, root: Checkpoint, version: DatasetVersion, role: str, values: dict[str, Any], words: str
) -> None:
    method = {"policy": "ppo"}.get(role, role)
    asked = Asked(method, dataset_version=version, values=values)
    with pytest.raises(StepRefused, match=words) as refused:
        launched(project, root, version, **{role: asked})
    assert refused.value.role == role
    assert not Pipeline.objects.exists()
    assert not TrainingRun.objects.exists()


def test_models_of_the_wrong_sort_are_refused(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    with pytest.raises(StepRefused, match="is not a reward model"):
        launched(project, root, version, reward=Asked("reward", given=root))
    with pytest.raises(StepRefused, match="dataset_version was not given"):
        launched(project, root, version, sft=Asked("sft"))


def test_checkpoints_that_would_not_fit_are_refused_before_anything_starts(
    project: Project, root: Checkpoint, version: DatasetVersion, tmp_path: Path
) -> None:
    def adapter(name: str, task: str, line: str) -> Checkpoint:
        path = write_adapter(tmp_path / name, root.base.location, task=task)
        return Checkpoint.objects.create(
            base=root.base, parent=root, project=project, kind="adapter", line=line, path=str(path), name=name
        )

    writes, judges = adapter("writes", "CAUSAL_LM", "policy"), adapter("judges", "SEQ_CLS", "reward")
    full = Asked("sft", dataset_version=version, values={"adaptation": "full"})
    whole = Asked("ppo", dataset_version=version, values={"adaptation": "full"})
    watched = Asked("ppo", dataset_version=version, gold=root)
    for steps, words in (
        ({"sft": Asked("sft", given=writes), "policy": whole}, "is an adapter of the type LORA"),
        (
            {"sft": full, "reward": Asked("reward", given=judges)},
            "weights that the first step is yet to make",
        ),
        ({"policy": watched}, "gold was given as small, which is no reward model"),
    ):
        with pytest.raises(StepRefused, match=words):
            launched(project, root, version, **steps)
    assert not Pipeline.objects.exists()


def test_what_another_project_learned_is_not_used(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    other = world.make_project("Another")
    foreign = Asked("sft", dataset_version=judged_version(other))
    with pytest.raises(StepRefused, match="which belongs to another project"):
        launched(project, root, version, sft=foreign)
    own = Checkpoint.objects.create(base=root.base, project=other, kind="full", path="x", name="theirs")
    with pytest.raises(Refused, match="theirs belongs to another project"):
        launched(project, own, version)


def test_a_pipeline_that_is_done_cannot_be_cancelled_and_one_that_stops_goes_on_later(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    run_of(pipeline, "sft").claim()
    pipelines.cancel(pipeline)
    with pytest.raises(Refused, match="still stopping; try again in a moment"):
        pipelines.go_on(pipeline)
    sft = run_of(pipeline, "sft")
    sft.finish(Status.CANCELLED)
    pipelines.go_on(pipeline)
    for role in ("sft", "reward", "policy"):
        end(run_of(pipeline, role))
    pipelines.cancel(pipeline)
    assert status_of(pipeline, steps_of(pipeline)) == Status.SUCCEEDED
    pipeline.refresh_from_db()
    assert pipeline.cancelled_at is None


def test_what_keeps_a_step_from_starting_stands_at_the_step(
    project: Project, root: Checkpoint, version: DatasetVersion
) -> None:
    pipeline = launched(project, root, version)
    end(run_of(pipeline, "sft"))
    judge = run_of(pipeline, "reward")
    judge.claim()
    judge.finish(Status.SUCCEEDED)
    write_adapter(judge.path / "final", "elsewhere", task="SEQ_CLS")
    register_checkpoint(run=judge, result=RESULT)
    (judge.path / "final" / "adapter_model.safetensors").unlink()
    drive_run(judge.pk)
    assert states(pipeline)["policy"] == "refused"
    assert "adapter_model.safetensors" in steps_of(pipeline)["policy"].refusal
