"""A pipeline from a shell: launched, carried to its end, and refused with a sentence."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from labeling.models import DatasetVersion, Project
from tests.training.folders import write_adapter
from tests.training.runs import RESULT
from training import launching
from training.models import Checkpoint, Pipeline, TrainingRun


@pytest.fixture
def flags(project: Project, root: Checkpoint, version: DatasetVersion) -> dict[str, str]:
    name = f"{project.slug}:{version.number}"
    return {"base": root.name, "sft": name, "reward": name, "policy": name}


def told(**options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("train_pipeline", json=True, stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the processes: each leaves an adapter of its kind; PPO on request fails."""

    def run_recipe(recipe: str, run_dir: Path, watch: Callable[[], None], *_: Any) -> int:
        spec = json.loads((run_dir / "spec.json").read_text())
        task = "SEQ_CLS" if recipe == "reward" else "CAUSAL_LM"
        write_adapter(run_dir / "final", spec["base"], task=task)
        watch()
        if spec["train"].get("kl_coefficient") == 1.0:
            event = {
                "type": "error",
                "step": 0,
                "time": "2026-01-01T00:00:00Z",
                "values": {"message": "It ran away."},
            }
            (run_dir / "events.jsonl").write_text(json.dumps(event) + "\n")
            return 1
        (run_dir / "result.json").write_text(json.dumps(RESULT))
        return 0

    monkeypatch.setattr(launching, "run_recipe", run_recipe)


def test_a_shell_sees_a_pipeline_to_its_end(flags: dict[str, str], recipes: None) -> None:
    found = told(**flags, wait=True, set=["policy.rollout_size=16", "sft.epochs=2"], name="from a shell")
    assert found["status"] == "succeeded"
    assert [step["status"] for step in found["steps"].values()] == ["succeeded"] * 3
    policy = TrainingRun.objects.get(pk=found["steps"]["policy"]["run"])
    assert policy.spec["rollout_size"] == 16
    assert policy.reward_id == found["steps"]["reward"]["checkpoint"]


def test_a_step_that_fails_ends_the_command_with_its_sentence(flags: dict[str, str], recipes: None) -> None:
    with pytest.raises(CommandError, match="policy: It ran away"):
        told(**flags, wait=True, set=["policy.kl_coefficient=1.0"])


def test_checkpoints_that_are_there_stand_for_steps(flags: dict[str, str], root: Checkpoint) -> None:
    found = told(**flags | {"sft": f"checkpoint={root.name}"})
    assert found["steps"]["sft"] == {"run": None, "status": "done", "checkpoint": root.pk}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("epochs=2", "write it as STEP.SETTING=VALUE with a step of sft, reward, policy"),
        ("sft.epochs=none", "sft: epochs"),
        ("policy.adaptation=full", "policy: adaptation was given as full"),
    ],
)
def test_settings_that_do_not_do_are_refused(flags: dict[str, str], given: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        told(**flags, set=[given])
    assert not Pipeline.objects.exists()
