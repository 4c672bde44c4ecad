"""Every kind of export goes into TRL's trainers as it is, and they take two steps on it."""

import os
from pathlib import Path
from typing import Any

import pytest

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}

from labeling.curation.exporting import export
from labeling.curation.shapes import STYLES
from labeling.models import Project, User
from labeling.queue import claim_next
from labeling.values import PairwiseAnswer
from tests import world
from tests.tiny_model import tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # what the libraries warn of is theirs
COMMON: dict[str, Any] = {
    "max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "use_cpu": True, "bf16": False,
    "report_to": "none", "save_strategy": "no", "max_length": 128, "learning_rate": 1e-3,
    "gradient_checkpointing": False, "disable_tqdm": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def base() -> Path:
    return tiny_model()


@pytest.fixture
def judged(ben: User) -> Project:
    """Forty pairs with strengths, some ties and some of which both are bad."""
    project = world.make_project(ask_strength=True)
    world.fill(project, 40)
    for number in range(40):
        slot = claim_next(project=project, person=ben)
        label = ("0", "1", "0", "tie", "both_bad")[number % 5]
        verdict = world.verdict_for(label, slot)
        given: dict[str, Any] = {"verdict": verdict, "strength": 1 + number % 3}
        given = given if label in ("0", "1") else {"verdict": verdict}
        world.send(slot, ben, PairwiseAnswer.model_validate(given))
    return project


def trainer(shape: str, base: Path, data: Any, out: Path) -> Any:
    import trl
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    if shape in ("sft", "text"):
        config = trl.SFTConfig(output_dir=str(out), **COMMON)
        return trl.SFTTrainer(str(base), args=config, train_dataset=data, processing_class=tokenizer)
    if shape == "preference":
        config = trl.DPOConfig(output_dir=str(out), **COMMON)
        return trl.DPOTrainer(str(base), args=config, train_dataset=data, processing_class=tokenizer)
    if shape == "unpaired":
        config = trl.KTOConfig(output_dir=str(out), **COMMON)
        return trl.KTOTrainer(str(base), args=config, train_dataset=data, processing_class=tokenizer)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    config = trl.RewardConfig(output_dir=str(out), **COMMON)
    return trl.RewardTrainer(model, args=config, train_dataset=data, processing_class=tokenizer)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", ["sft", "text", "preference", "reward", "unpaired"])
@pytest.mark.django_db
def test_a_trainer_takes_two_steps_on_what_was_exported(
    judged: Project, base: Path, tmp_path: Path, shape: str, style: str
) -> None:
    datasets = pytest.importorskip("datasets")
    keeping = {"ties": "unpaired", "both_bad": "unpaired"} if shape == "unpaired" else {}
    version = world.frozen(judged, kind=shape, test_share=0.1, **keeping)
    format = {"conversational": "datasets", "explicit": "jsonl"}[style]
    paths = {path.stem: path for path in export(version, tmp_path / "data", format=format, style=style)}
    if format == "datasets":
        data = datasets.load_from_disk(str(paths["train"]))
    else:
        data = datasets.Dataset.from_json(str(paths["train"]), cache_dir=str(tmp_path / "cache"))
    made = trainer(shape, base, data, tmp_path / "out")
    made.train()
    losses = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
    assert made.state.global_step == 2
    assert len(losses) == 2
    assert all(0 < loss < 50 for loss in losses)
