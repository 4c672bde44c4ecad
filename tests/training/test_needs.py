"""What a run will need, told in the form, and what came of it, told on its page."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project, User
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint, Device, TrainingRun
from training.needs import needs
from training.registry import register_base
from training.specs import parse_spec

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "quantization_config": {},  # so that its shape is read from this file, and no weights are needed
}


@pytest.fixture
def large(project: Project, tmp_path: Path) -> Checkpoint:
    """A base model of 1.1 billion parameters, by its configuration."""
    checkpoint = root_checkpoint("large")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    checkpoint.base.location = str(tmp_path)
    checkpoint.base.save()
    return checkpoint


@pytest.fixture
def version(project: Project) -> DatasetVersion:
    return judged_version(project)


def test_a_lora_run_trains_little_and_fits_where_a_full_one_does_not(
    large: Checkpoint, version: DatasetVersion
) -> None:
    Device.objects.create(host="here", kind="gpu", number=0, name="RTX 3060", memory=11 * 2**30)
    lora = needs(start=large, spec=parse_spec("sft", {"batch_size": 1}), version=version)
    full = needs(
        start=large, spec=parse_spec("sft", {"batch_size": 1, "adaptation": "full"}), version=version
    )
    assert lora is not None
    assert full is not None
    assert (lora.trainable, full.trainable) == (12_615_680, full.parameters)
    assert [fits for _, fits in lora.devices] == [True]
    assert [fits for _, fits in full.devices] == [False]
    assert sum(size for _, size in lora.terms) - lora.in_turn == lora.total


def test_lengths_that_a_check_found_tighten_the_estimate(large: Checkpoint, version: DatasetVersion) -> None:
    spec = parse_spec("sft", {"packing": "off"})
    report = {
        "lengths": {"longest": 60, "mean": 30.0},
        "tokens": {"learned": 200, "total": 600},
        "counts": {"rows": 20},
    }
    bound, known = (needs(start=large, spec=spec, version=version, report=found) for found in (None, report))
    assert bound is not None
    assert known is not None
    assert known.total < bound.total


def test_a_model_that_is_not_here_has_no_estimate(version: DatasetVersion) -> None:
    hub = register_base(name="hub model", location="someone/model")
    assert needs(start=hub, spec=parse_spec("sft", {}), version=version) is None


def test_emma_reads_in_the_form_what_the_run_will_need(
    large: Checkpoint, version: DatasetVersion, emma: User
) -> None:
    client = Client()
    client.force_login(emma)
    address = reverse("training:run_needs", args=[version.project.slug])
    typed = {
        "method": "sft",
        "dataset_version": version.pk,
        "start": large.pk,
        "adaptation": "lora",
        "preset": "",
    }
    text = client.post(address, typed, headers={"HX-Request": "true"}).content.decode()
    assert "12,615,680" in text
    assert "Memory at the fullest moment" in text
    assert "H100" in text
    text = client.post(address, typed | {"epochs": "-1"}, headers={"HX-Request": "true"}).content.decode()
    assert "told when every setting has a value that is allowed" in text


def finished(run: TrainingRun, **result: Any) -> TrainingRun:
    run.claim()
    run.finish(Status.SUCCEEDED, result=RESULT | result)
    return run


def test_the_page_of_a_run_says_what_came_of_it(project: Project, large: Checkpoint, emma: User) -> None:
    held = {
        "accuracy": 0.75, "accuracy_low": 0.6, "accuracy_high": 0.85, "pairs": 40, "ece": 0.1, "log_loss": 0.5,
        "reward_mean": 0.0, "reward_std": 1.0, "bins": [{"from": 0.5, "n": 40, "confidence": 0.7, "accuracy": 0.75}],
    }  # fmt: skip
    kept = {"texts": 12, "before": 10.0, "after": 11.0, "ratio": 1.1, "low": 1.05, "high": 1.15}
    memory = {"peak_bytes": 8 * 2**30, "device": "cpu"}
    run = launched(project, method="reward", start=root_checkpoint())
    TrainingRun.objects.filter(pk=run.pk).update(start=large, base=large.base)
    run.refresh_from_db()
    finished(run, held_out=held, retention=kept, memory=memory)
    client = Client()
    client.force_login(emma)
    text = (
        client.get(reverse("training:run", args=[project.slug, run.pk]))
        .content.decode()
        .replace("\u00a0", " ")
    )
    assert "in 75 % of 40 held-out pairs (60 % to 85 %)" in text
    assert "1.100 times (1.050 to 1.150). It has forgotten some of it." in text
    assert "At most 8.0 GB while it trained; the estimate was" in text
    assert "Agreement with people by confidence, 40 held-out pairs" in text
