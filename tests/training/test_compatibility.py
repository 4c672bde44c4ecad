"""What does not belong together is refused before anything is stored, with a sentence that says what to do."""

from pathlib import Path
from typing import Any

import pytest

from labeling.errors import Refused
from labeling.models import DatasetVersion, Project
from tests import world
from tests.training.folders import write_adapter, write_model
from tests.training.runs import judged_version, launched
from training import launching
from training.compatibility import shape_for
from training.launching import drive
from training.models import Checkpoint, TrainingRun
from training.registry import register_base
from training.weights import template_hash


@pytest.fixture
def root(project: Project, tmp_path: Path) -> Checkpoint:
    return register_base(name="small", location=str(write_model(tmp_path / "base")))


def checkpoint(root: Checkpoint, kind: str, path: Path, **fields: Any) -> Checkpoint:
    fields = {"parent": root, "name": f"an {kind}", **fields}
    return Checkpoint.objects.create(base=root.base, kind=kind, path=str(path), **fields)


def adapter(root: Checkpoint, path: Path, base: str = "", **options: Any) -> Checkpoint:
    return checkpoint(root, "adapter", write_adapter(path, base or root.base.location, **options))


def refusal(project: Project, start: Checkpoint, **options: Any) -> str:
    with pytest.raises(Refused) as refused:
        launched(project, start=start, **options)
    assert TrainingRun.objects.count() == 0
    return refused.value.sentence


@pytest.mark.parametrize(
    ("method", "kind", "shape"),
    [
        ("sft", "sft", "sft"),
        ("sft", "preference", "sft"),
        ("sft", "text", "text"),
        ("reward", "reward", "reward"),
        ("reward", "preference", "preference"),
        ("dpo", "preference", "preference"),
        ("dpo", "reward", "preference"),
        ("kto", "unpaired", "unpaired"),
        ("ppo", "prompts", "prompts"),
        ("rloo", "preference", "prompts"),
        ("best_of_n", "sft", "prompts"),
    ],
)
def test_each_method_reads_the_fullest_shape_of_a_version(method: str, kind: str, shape: str) -> None:
    assert shape_for(method, DatasetVersion(kind=kind)) == shape


@pytest.mark.parametrize(
    ("method", "kind"),
    [("sft", "unpaired"), ("reward", "sft"), ("dpo", "text"), ("kto", "preference"), ("ppo", "text")],
)
def test_a_version_that_a_method_cannot_read_is_refused(project: Project, method: str, kind: str) -> None:
    with pytest.raises(
        Refused, match=rf"rows of the kind {kind}, which can be given as .* which {method} reads"
    ):
        shape_for(method, DatasetVersion(project=project, number=1, kind=kind))


def test_a_run_goes_on_with_an_adapter_of_its_kind_on_its_base(
    project: Project, root: Checkpoint, tmp_path: Path
) -> None:
    launched(project, start=adapter(root, tmp_path / "lora"))
    launched(project, start=root, values={"adaptation": "qlora"})
    assert TrainingRun.objects.count() == 2


@pytest.mark.parametrize("adaptation", ["full", "prompt", "ia3"])
def test_an_adapter_of_another_kind_than_the_run_trains_is_refused(
    project: Project, root: Checkpoint, tmp_path: Path, adaptation: str
) -> None:
    words = refusal(project, adapter(root, tmp_path / "lora"), values={"adaptation": adaptation})
    assert f"type LORA and adaptation is {adaptation}; choose lora or qlora, or merge the adapter" in words


def test_an_adapter_on_another_base_is_refused(project: Project, root: Checkpoint, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other")
    words = refusal(project, adapter(root, tmp_path / "lora", str(other)))
    assert f"sits on {other}, and the base of this run is {root.base.location}; merge" in words


def test_an_adapter_on_full_weights_trained_here_is_refused(
    project: Project, root: Checkpoint, tmp_path: Path
) -> None:
    full = checkpoint(root, "full", write_model(tmp_path / "full"))
    on_top = checkpoint(root, "adapter", write_adapter(tmp_path / "lora", root.base.location), parent=full)
    assert f"sits on {full.path}" in refusal(project, on_top)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_reward_model_is_no_start_for_a_language_model(
    project: Project, root: Checkpoint, tmp_path: Path, method: str
) -> None:
    full = checkpoint(root, "full", write_model(tmp_path / "r", head="ForSequenceClassification"))
    scorer = adapter(root, tmp_path / "lora", task="SEQ_CLS")
    for start in (full, scorer):
        assert f"is a reward model, which gives numbers and no text, so {method}" in refusal(
            project, start, method=method
        )


def test_a_reward_model_starts_from_a_model_or_a_reward_model_and_from_no_adapter_that_writes(
    project: Project, root: Checkpoint, tmp_path: Path
) -> None:
    words = refusal(project, adapter(root, tmp_path / "lora"), method="reward")
    assert "is an adapter that generates text, and a reward model cannot go on with it" in words
    launched(project, start=root, method="reward")
    launched(project, start=adapter(root, tmp_path / "scorer", task="SEQ_CLS"), method="reward")
    assert TrainingRun.objects.count() == 2


def test_conversations_need_a_chat_template_and_plain_text_does_not(project: Project, tmp_path: Path) -> None:
    plain = register_base(name="plain", location=str(write_model(tmp_path / "plain", template="")))
    assert "has no chat template, and the rows are conversations" in refusal(project, plain)
    text = world.frozen(project, kind="text", test_share=0)
    launched(project, text, start=plain)
    assert TrainingRun.objects.get().dataset_version == text


def test_a_base_that_is_damaged_is_refused(project: Project, root: Checkpoint) -> None:
    (Path(root.path) / "model.safetensors").write_bytes(b"\x00" * 20)
    assert "copy that file again." in refusal(project, root)


def test_a_base_that_is_gone_when_its_turn_comes_fails_the_run_before_its_process(
    project: Project, root: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project, start=root)
    Path(root.path).rename(Path(root.path).with_name("moved"))
    monkeypatch.setattr(launching, "run_recipe", lambda *_: pytest.fail("the recipe must not start"))
    drive(run)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "is not a folder; give the folder of a saved model" in run.error


def test_the_template_that_was_checked_is_told_to_the_recipe(
    project: Project, root: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.training.test_launching import spec_of

    assert spec_of(launched(project, judged_version(project), start=root), monkeypatch)[
        "template_hash"
    ] == template_hash("{{ messages }}")
