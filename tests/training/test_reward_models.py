"""A run that learns from rewards: which reward model fits it, where it is named, and what is traced through it."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.errors import Refused
from labeling.models import Project, User
from tests import world
from tests.training.folders import write_adapter, write_model
from tests.training.runs import RESULT, judged_version, launched, pretend
from training import checking, launching
from training.checking import run_check, start_check
from training.forms import RunForm
from training.launching import drive
from training.lineage import checkpoints_of
from training.models import Checkpoint, RunEvent, TrainingRun
from training.registry import register_base

HTMX = {"HX-Request": "true"}


@pytest.fixture
def root(project: Project, tmp_path: Path) -> Checkpoint:
    return register_base(name="small", location=str(write_model(tmp_path / "base")))


def reward_model(root: Checkpoint, path: Path, *, on: str = "", **fields: Any) -> Checkpoint:
    write_adapter(path, on or root.base.location, task="SEQ_CLS")
    fields = {"kind": "adapter", "line": "reward", "name": "judge", "parent": root, **fields}
    return Checkpoint.objects.create(base=root.base, path=str(path), **fields)


@pytest.fixture
def judge(project: Project, root: Checkpoint, tmp_path: Path) -> Checkpoint:
    return reward_model(root, tmp_path / "judge", project=project)


def refusal(project: Project, start: Checkpoint, **options: Any) -> str:
    with pytest.raises(Refused) as refused:
        launched(project, start=start, **options)
    assert not TrainingRun.objects.exists()
    return refused.value.sentence


@pytest.mark.parametrize("method", ["ppo", "rloo", "best_of_n"])
def test_the_process_is_told_where_the_reward_model_is(
    project: Project, root: Checkpoint, judge: Checkpoint, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    run = launched(project, start=root, method=method, reward=judge)
    monkeypatch.setattr(launching, "run_recipe", pretend(result=RESULT))
    drive(run)
    job = json.loads((run.path / "spec.json").read_text())
    assert (job["reward"], job["gold"]) == (judge.path, None)
    first = json.loads((run.path / job["data"]["train"]).read_text().splitlines()[0])
    assert list(first) == ["prompt"]


def test_without_a_reward_model_nothing_is_started(project: Project, root: Checkpoint) -> None:
    assert "reward was not given, and ppo learns from the scores" in refusal(project, root, method="ppo")


def test_a_model_that_answers_judges_nothing(project: Project, root: Checkpoint) -> None:
    assert "which is no reward model" in refusal(project, root, method="ppo", reward=root)


def test_a_method_without_rewards_takes_no_reward_model(
    project: Project, root: Checkpoint, judge: Checkpoint
) -> None:
    assert "sft learns from no rewards; leave it out" in refusal(project, root, reward=judge)


def test_a_reward_adapter_of_another_base_is_refused(
    project: Project, root: Checkpoint, tmp_path: Path
) -> None:
    other = register_base(name="other", location=str(write_model(tmp_path / "other")))
    judge = reward_model(other, tmp_path / "judge", project=project)
    assert "train a reward model on that" in refusal(project, root, method="ppo", reward=judge)


def test_a_whole_reward_model_must_read_the_same_words(
    project: Project, root: Checkpoint, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "judge", head="ForSequenceClassification")
    whole = {"kind": "full", "line": "reward", "name": "whole", "project": project}
    judge = Checkpoint.objects.create(base=root.base, path=str(folder), **whole)
    assert launched(project, start=root, method="ppo", reward=judge).reward == judge
    TrainingRun.objects.all().delete()
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))
    assert "has another tokenizer" in refusal(project, root, method="ppo", reward=judge)


def test_a_reward_model_whose_files_are_gone_is_refused(
    project: Project, root: Checkpoint, judge: Checkpoint
) -> None:
    (Path(judge.path) / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors" in refusal(project, root, method="ppo", reward=judge)


def test_the_form_asks_for_a_reward_model_where_one_is_learned_from(
    project: Project, emma: User, root: Checkpoint
) -> None:
    judged_version(project)
    assert "gold" not in RunForm({"method": "dpo"}, project=project).fields
    assert "reward" not in RunForm({"method": "dpo"}, project=project).fields
    url = reverse("training:new_run", args=[project.slug])
    client = world.sign_in(emma)
    assert "no reward model yet" in client.get(url + "?method=ppo").text
    assert "no reward model yet" not in client.get(url + "?method=dpo").text


def test_a_policy_does_not_begin_at_the_newest_reward_model(
    project: Project, emma: User, root: Checkpoint, judge: Checkpoint
) -> None:
    judged_version(project)
    url, client = reverse("training:new_run", args=[project.slug]), world.sign_in(emma)
    chosen = {
        method: client.get(f"{url}?method={method}").context["form"]["start"].value()
        for method in ("sft", "ppo", "reward")
    }
    assert chosen == {"sft": root.pk, "ppo": root.pk, "reward": judge.pk}


def test_emma_starts_ppo_in_the_browser_and_again_with_changes(
    project: Project, emma: User, root: Checkpoint, judge: Checkpoint
) -> None:
    version = judged_version(project)
    url, client = reverse("training:new_run", args=[project.slug]), world.sign_in(emma)
    sent = {"method": "ppo", "adaptation": "lora", "dataset_version": version.pk, "start": root.pk}
    refused = client.post(url, sent)
    assert refused.status_code == 422
    assert client.post(url, {**sent, "reward": judge.pk, "gold": judge.pk}).status_code == 302
    run = TrainingRun.objects.get()
    assert (run.method, run.reward, run.gold) == ("ppo", judge, judge)
    again = client.get(f"{url}?again={run.pk}")
    assert f'<option value="{judge.pk}" selected' in again.text
    page = client.get(reverse("training:run", args=[project.slug, run.pk]))
    assert "<dt>Reward model</dt><dd>judge</dd>" in page.text
    assert "<dt>Second reward model</dt><dd>judge</dd>" in page.text


def test_a_program_names_the_reward_model(
    project: Project, emma: User, root: Checkpoint, judge: Checkpoint
) -> None:
    version = judged_version(project)
    client = world.sign_in(emma)
    asked = {"method": "rloo", "dataset_version": version.number, "start": "small", "reward": "judge"}
    asked |= {"gold": "judge"}
    reply = client.post(
        reverse("api-runs", args=[project.slug]), json.dumps(asked), content_type="application/json"
    )
    assert reply.status_code == 202, reply.text
    assert (reply.json()["reward"], reply.json()["gold"]) == ("judge", "judge")


def test_a_second_reward_model_must_be_one_too(project: Project, root: Checkpoint, judge: Checkpoint) -> None:
    words = refusal(project, root, method="ppo", reward=judge, gold=root)
    assert "gold was given as small, which is no reward model" in words


def test_leo_is_told_when_the_reward_is_being_gamed(
    project: Project, leo: User, root: Checkpoint, judge: Checkpoint
) -> None:
    run = launched(project, start=root, method="ppo", reward=judge, gold=judge)
    url = reverse("training:run", args=[project.slug, run.pk])
    for step, gold in enumerate((0.5, 0.7, 0.65, 0.62, 0.4), 1):
        assert "what is wrong with the reward model" not in world.sign_in(leo).get(url).text
        values = {"win_rate": 0.5 + step / 20, "gold_win_rate": gold}
        RunEvent.objects.create(run=run, seq=step, type="eval", step=step, time=timezone.now(), values=values)
    assert "fell from 70% to 40% while that of the first rose to 75%" in world.sign_in(leo).get(url).text


def test_a_check_and_its_run_have_the_same_reward_model(
    project: Project, emma: User, root: Checkpoint, judge: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = judged_version(project)
    check = start_check(
        project=project,
        method="ppo",
        dataset_version=version,
        start=root,
        values={},
        person=emma,
        reward=judge,
    )
    found = {"status": "succeeded", "report": {"findings": []}, "calibration": {}}
    monkeypatch.setattr(checking, "run_recipe", pretend(result=found))
    run_check(check)
    assert json.loads((check.path / "spec.json").read_text())["job"]["reward"] == judge.path
    assert checking.launch_checked(check, person=emma).reward == judge


def test_what_a_reward_model_learned_from_reached_the_policy_too(
    project: Project, root: Checkpoint, tmp_path: Path
) -> None:
    first, second = judged_version(project), judged_version(project, items=4)
    of_reward = launched(project, first, start=root, method="reward")
    judge = reward_model(root, tmp_path / "judge", project=project, run=of_reward)
    of_policy = launched(project, second, start=root, method="ppo", reward=judge)
    policy = Checkpoint.objects.create(
        base=root.base, kind="adapter", name="policy", parent=root, run=of_policy, path="x", project=project
    )
    assert checkpoints_of([first.pk])[first.pk] == [judge, policy]


def test_sampled_answers_stand_with_their_scores_the_latest_first(
    project: Project, leo: User, root: Checkpoint, judge: Checkpoint
) -> None:
    run = launched(project, start=root, method="ppo", reward=judge)
    for step in range(1, 20):
        answer = {"prompt": "Why?", "completion": f"because {step} <b>", "reward": step / 2, "kl": 0.5}
        RunEvent.objects.create(
            run=run, seq=step, type="rollout", step=step, time=timezone.now(), values={"samples": [answer]}
        )
    page = world.sign_in(leo).get(reverse("training:run", args=[project.slug, run.pk])).text
    assert "What was rewarded" in page
    assert "because 19 &lt;b&gt;" in page
    assert "9.50" in page
    assert page.index("Update 19") < page.index("Update 18")
    assert "Update 11" not in page


def test_vllm_samples_only_where_it_is_installed(
    project: Project, root: Checkpoint, judge: Checkpoint, settings: Any
) -> None:
    settings.PREFLOOP_VLLM = ""
    words = refusal(project, root, method="ppo", reward=judge, values={"sampler": "vllm"})
    assert "this installation has none; set PREFLOOP_VLLM" in words
    settings.PREFLOOP_VLLM = "vllm"
    TrainingRun.objects.all().delete()
    assert launched(project, start=root, method="ppo", reward=judge, values={"sampler": "vllm"}).pk
