"""Merging as a process: the merged weights say what the adapter says, or nothing is kept; a stop changes nothing."""

import json
import signal
from pathlib import Path

import pytest

from tests.training.adapters import carry, half_base, last_words, make_adapter, result, write_merge
from training.recipes import contract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter("lora", tmp_path_factory.mktemp("adapters") / "lora")


@pytest.fixture(scope="module")
def merged(adapter: Path) -> Path:
    path = write_merge(adapter.parent / "whole", adapter)
    assert carry(path) == 0
    return path


def test_a_merged_model_says_what_the_adapter_said_and_carries_its_template(
    merged: Path, adapter: Path
) -> None:
    found = result(merged)
    assert 0 < found["exact"]["difference"] < 1e-4
    assert found["saved"]["difference"] < 1e-4
    assert 0 <= found["saved"]["kl"] < 1e-9
    assert (found["kind"], found["dtype"], found["rows"], found["quantized"]) == (
        "full",
        "torch.float32",
        4,
        None,
    )
    assert found["content_hash"] == contract.content_hash(merged / "final")
    names = {path.name for path in (merged / "final").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names
    assert "adapter_config.json" not in names
    assert (merged / "final" / "chat_template.jinja").read_text() == (
        adapter / "chat_template.jinja"
    ).read_text()


@pytest.mark.parametrize("kind", ["dora", "rslora", "ia3", "reward"])
def test_other_adapters_that_change_weights_are_merged_too(kind: str, tmp_path: Path) -> None:
    path = write_merge(tmp_path / "run", make_adapter(kind, tmp_path / kind))
    assert carry(path) == 0, (path / "log").read_text()
    found = result(path)
    assert found["saved"]["difference"] < 1e-4
    assert (found["saved"]["kl"] is None) == (kind == "reward")
    config = json.loads((path / "final" / "config.json").read_text())
    assert ("SequenceClassification" in config["architectures"][0]) == (kind == "reward")


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_vectors_before_the_prompt_cannot_be_merged_and_it_is_said_why(kind: str, tmp_path: Path) -> None:
    path = write_merge(tmp_path / "run", make_adapter(kind, tmp_path / kind))
    assert carry(path) == 1
    assert "vectors before the prompt and changes no weight, so it cannot be merged" in last_words(path)


def test_a_half_precision_base_stays_one_and_is_rounded_once(adapter: Path, tmp_path: Path) -> None:
    path = write_merge(tmp_path / "run", adapter, half_base(tmp_path / "half"))
    assert carry(path) == 0, (path / "log").read_text()
    found = result(path)
    assert found["dtype"] == "torch.bfloat16"
    assert found["exact"]["difference"] < 1e-4 < found["saved"]["difference"]
    assert 0 < found["saved"]["kl"] < found["limits"]["kl"]
    assert (path / "final" / "model.safetensors").stat().st_size < 300_000, "127,296 parameters of two bytes"


def test_a_qlora_adapter_is_merged_into_the_weights_as_they_came(
    adapter: Path, merged: Path, tmp_path: Path
) -> None:
    path = write_merge(tmp_path / "run", adapter, adaptation="qlora")
    assert carry(path) == 0, (path / "log").read_text()
    found = result(path)
    assert found["quantized"]["kl"] > 1000 * found["saved"]["kl"], "the adapter learned beside other weights"
    assert found["content_hash"] == result(merged)["content_hash"]


@pytest.mark.parametrize(
    "moment",
    [
        ("progress", 1),
        pytest.param(("progress", 2), marks=pytest.mark.heavy),
        pytest.param(("check", 3), marks=pytest.mark.heavy),
    ],
)
def test_a_killed_merge_begins_again_and_ends_with_the_same_bytes(
    moment: tuple[str, int], adapter: Path, merged: Path, tmp_path: Path
) -> None:
    path = write_merge(tmp_path / "run", adapter)
    assert carry(path, fault=(*moment, signal.SIGKILL)) == -signal.SIGKILL
    assert not (path / "final").exists()
    assert carry(path) == 0
    assert result(path)["content_hash"] == result(merged)["content_hash"]
    assert not list(path.glob("*.tmp"))


def test_a_merge_that_is_asked_to_stop_stops_before_it_writes(adapter: Path, tmp_path: Path) -> None:
    path = write_merge(tmp_path / "run", adapter)
    assert carry(path, fault=("progress", 1, signal.SIGTERM)) == contract.STOPPED
    assert not list(path.glob("final*"))


def test_weights_that_say_something_else_are_not_kept(adapter: Path, tmp_path: Path) -> None:
    path = write_merge(tmp_path / "run", adapter)
    assert carry(path, EXACT=0.0) == 1
    assert "the merged weights give other logits than the adapter" in last_words(path)
    assert not (path / "final").exists()
    assert not (path / "result.json").exists()


def test_a_folder_without_adapter_and_a_probe_without_text_are_refused(adapter: Path, tmp_path: Path) -> None:
    path = write_merge(tmp_path / "none", tmp_path)
    assert carry(path) == 1
    assert "holds no adapter" in last_words(path)
    path = write_merge(tmp_path / "mute", adapter)
    (path / "probe.jsonl").write_text("")
    assert carry(path) == 1
    assert "without one the merge cannot be checked" in last_words(path)
