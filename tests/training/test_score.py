"""Scoring: exact, whatever the batch, and gone on with where it stopped."""

import json
import math
import shutil
import signal
from pathlib import Path

import pytest

from tests.tiny_model import tiny_model
from tests.training.forked import events, result, run, says, sft_rows, trained
from training.recipes import contract

REQUESTS = [
    {
        "id": f"r{i}",
        "messages": says("user", "Tell me " + "more " * (i * 3 % 17)),
        "completion": "and so " * (i % 5),
    }
    for i in range(13)
]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("s") / "run", "sft", sft_rows(), learning_rate=1e-2) / "final"


def write_score(path: Path, checkpoints: list[dict], **settings) -> Path:
    path.mkdir()
    spec = {"method": "score", "base": str(tiny_model()), "checkpoints": checkpoints} | settings
    (path / "spec.json").write_text(json.dumps(spec))
    (path / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in REQUESTS))
    return path


def scores(path: Path) -> dict[tuple[str, str], dict]:
    rows = contract.read_lines(path / "scores.jsonl")
    assert len({(r["id"], r["checkpoint"]) for r in rows}) == len(rows), "a request was scored twice"
    return {(r["id"], r["checkpoint"]): r for r in rows}


@pytest.fixture(scope="module")
def scored(tmp_path_factory, adapter):
    path = tmp_path_factory.mktemp("s") / "score"
    both = [
        {"id": "base"},
        {"id": "tuned", "adapter": str(adapter)},
        {"id": "again", "adapter": str(adapter)},
    ]
    write_score(path, both, batch_size=5)
    assert run(path) == 0, (path / "log").read_text()
    return path


def test_batching_and_padding_change_nothing(scored, tmp_path, adapter):
    alone = write_score(
        tmp_path / "one", [{"id": "base"}, {"id": "tuned", "adapter": str(adapter)}], batch_size=1
    )
    assert run(alone) == 0
    together = scores(scored)
    for key, row in scores(alone).items():
        assert row["logprob"] == pytest.approx(together[key]["logprob"], abs=1e-4)
        assert row["tokens"] == together[key]["tokens"]


def test_a_score_is_what_a_plain_forward_pass_gives(scored):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model())
    model = AutoModelForCausalLM.from_pretrained(tiny_model()).eval()
    for request in REQUESTS:
        prompt = tokenizer.apply_chat_template(
            request["messages"], add_generation_prompt=True, tokenize=False
        )
        answer = tokenizer(request["completion"] + tokenizer.eos_token)["input_ids"]
        ids = torch.tensor([tokenizer(prompt)["input_ids"] + answer])
        with torch.no_grad():
            log_probs = model(ids).logits[0, -len(answer) - 1 : -1].log_softmax(-1)
        expected = sum(log_probs[i, token].item() for i, token in enumerate(answer))
        row = scores(scored)[request["id"], "base"]
        assert row["logprob"] == pytest.approx(expected, abs=1e-4)
        assert row["tokens"] == len(answer)


def test_an_empty_completion_has_its_end_of_turn_token(scored):
    row = scores(scored)["r0", "base"]
    assert (row["tokens"], row["truncated"]) == (1, False)
    assert -math.inf < row["logprob"] < 0


def test_an_adapter_taken_off_and_put_on_again_scores_the_same(scored):
    found = scores(scored)
    for request in REQUESTS:
        assert found[request["id"], "tuned"]["logprob"] == found[request["id"], "again"]["logprob"]
        assert found[request["id"], "tuned"]["logprob"] != found[request["id"], "base"]["logprob"]
    assert not events(scored, "warning")


def test_an_adapter_that_does_nothing_is_called_out(tmp_path, adapter):
    from safetensors.numpy import load_file, save_file

    idle = tmp_path / "idle"
    idle.mkdir()
    for file in adapter.iterdir():
        (idle / file.name).write_bytes(file.read_bytes())
    weights = load_file(idle / "adapter_model.safetensors")
    save_file(
        {name: value * ("lora_A" in name) for name, value in weights.items()},
        idle / "adapter_model.safetensors",
    )
    path = write_score(tmp_path / "score", [{"id": "idle", "adapter": str(idle)}])
    assert run(path) == 0
    assert "idle" in events(path, "warning")[0]["values"]["message"]


def test_a_killed_run_scores_only_what_is_left(tmp_path, scored, adapter):
    both = [{"id": "base"}, {"id": "tuned", "adapter": str(adapter)}]
    path = write_score(tmp_path / "score", both, batch_size=5)
    assert run(path, ("progress", 10, signal.SIGKILL)) == -signal.SIGKILL
    whole = (path / "scores.jsonl").read_bytes()
    (path / "scores.jsonl").write_bytes(whole[:-9])  # the last line is torn
    assert run(path) == 0
    assert events(path, "start")[1]["values"]["skipped"] == 9
    assert result(path)["scored"] == 2 * len(REQUESTS) - 9
    assert {key: row["tokens"] for key, row in scores(path).items()} == {
        key: row["tokens"] for key, row in scores(scored).items() if key[1] != "again"
    }


def test_a_long_prompt_loses_its_start_and_a_long_completion_its_end(tmp_path):
    path = write_score(tmp_path / "score", [{"id": "base"}], max_length=16)
    rows = [
        {"id": "prompt", "messages": says("user", "Tell me more. " * 20), "completion": "yes"},
        {"id": "answer", "messages": says("user", "Hi"), "completion": "and so on " * 40},
    ]
    (path / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(path) == 0
    found = scores(path)
    assert found["prompt", "base"]["truncated"]
    assert found["prompt", "base"]["tokens"] < 8
    assert found["answer", "base"]["truncated"]
    assert found["answer", "base"]["tokens"] == 15


def test_a_full_checkpoint_is_scored_by_itself(tmp_path, scored):
    path = write_score(tmp_path / "score", [{"id": "full", "model": str(tiny_model())}])
    assert run(path) == 0
    for request in REQUESTS:
        expected = scores(scored)[request["id"], "base"]["logprob"]
        assert scores(path)[request["id"], "full"]["logprob"] == pytest.approx(expected, abs=1e-4)


def test_a_checkpoint_that_diverged_is_refused_with_a_sentence(tmp_path, adapter):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(adapter, broken)
    weights = load_file(broken / "adapter_model.safetensors")
    save_file(
        {name: value * math.nan for name, value in weights.items()}, broken / "adapter_model.safetensors"
    )
    path = write_score(tmp_path / "run", [{"id": "broken", "adapter": str(broken)}])
    assert run(path) == 1
    assert "it diverged in training" in events(path, "error")[-1]["values"]["message"]
