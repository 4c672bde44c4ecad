"""Every method with every adaptation that makes sense learns, and what it saves is what it trained."""

import json
import math
import signal

import pytest

from tests.tiny_model import tiny_model
from tests.training.forked import (
    call,
    dpo_rows,
    events,
    kto_rows,
    result,
    reward_rows,
    run,
    sft_rows,
    text_rows,
    trained,
    write_run,
)  # fmt: skip

pytestmark = pytest.mark.slow

ROWS = {"sft": sft_rows, "reward": reward_rows, "dpo": dpo_rows, "kto": kto_rows}
RATES = {"full": 2e-3, "lora": 1e-2, "qlora": 1e-2, "prompt": 5e-2, "prefix": 5e-2, "ia3": 5e-2}
CORE = {
    ("reward", "lora"),
    ("dpo", "full"),
    ("dpo", "lora"),
    ("kto", "lora"),
}  # beside all adaptations of SFT
GRID = [
    pytest.param(
        method, adaptation, marks=() if method == "sft" or (method, adaptation) in CORE else pytest.mark.heavy
    )
    for method in ROWS
    for adaptation in RATES
    if method != "reward" or adaptation not in ("prompt", "prefix")
]


def checks(path):
    return {event["values"]["name"]: event["values"] for event in events(path, "check")}


@pytest.mark.parametrize(("method", "adaptation"), GRID)
def test_the_held_out_loss_falls_and_the_saved_weights_give_the_same_logits(tmp_path, method, adaptation):
    rows = ROWS[method](12)
    path = trained(
        tmp_path / "run",
        method,
        rows,
        held=rows[:4],
        adaptation=adaptation,
        learning_rate=RATES[adaptation],
        epochs=2.0,
        save_steps=50,
    )
    losses = [event["values"]["loss"] for event in events(path, "eval")]
    assert losses[-1] < losses[0] - 1e-3
    assert checks(path)["reload"]["ok"]
    assert checks(path)["reload"]["error"] <= 1e-3
    assert checks(path)["trainable_moved"]["moved"] == checks(path)["trainable_moved"]["total"]
    if method == "dpo" and adaptation in ("full", "lora"):
        assert checks(path)["first_loss"]["loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert (result(path)["kind"] == "full") == (adaptation == "full")


@pytest.mark.parametrize(
    ("loss_type", "first", "options"),
    [
        ("ipo", 25.0, {}),
        pytest.param("hinge", 1.0, {}, marks=pytest.mark.heavy),
        ("robust", math.log(2), {"label_smoothing": 0.1}),
        pytest.param("sigmoid_norm", math.log(2), {}, marks=pytest.mark.heavy),
        ("sigmoid", math.log(2), {"label_smoothing": 0.1, "precompute_reference": False}),
    ],
)
def test_every_loss_of_the_dpo_family_begins_where_policy_and_reference_are_one(
    tmp_path, loss_type, first, options
):
    rows = dpo_rows(8)
    path = trained(
        tmp_path / "run", "dpo", rows, loss_type=loss_type, learning_rate=1e-2, epochs=2.0, **options
    )
    losses = [event["values"]["loss"] for event in events(path, "log")]
    assert losses[0] == pytest.approx(first, rel=1e-3)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("options", [{"dora": True}, {"rslora": True, "lora_r": 64}])
def test_the_options_of_lora_are_what_is_trained_and_saved(tmp_path, options):
    path = trained(tmp_path / "run", "sft", sft_rows(8), learning_rate=1e-3, **options)
    config = json.loads((path / "final" / "adapter_config.json").read_text())
    assert (config["use_dora"], config["use_rslora"]) == (
        bool(options.get("dora")),
        bool(options.get("rslora")),
    )
    assert config["lora_alpha"] == 2 * config["r"]


def test_plain_text_is_learned_whole_and_split_where_it_is_too_long(tmp_path):
    rows = [*text_rows(8), {"text": "A very long line that goes on and on. " * 8}]
    path = trained(
        tmp_path / "run", "sft", rows, held=rows[:2], overlong="split", learning_rate=1e-2, epochs=2.0
    )
    report = json.loads((path / "preflight.json").read_text())
    assert report["tokens"]["share"] == 1
    assert report["counts"]["split"] == 1
    assert report["counts"]["rows"] > len(rows)
    losses = [event["values"]["loss"] for event in events(path, "eval")]
    assert losses[-1] < losses[0]


@pytest.mark.heavy  # test_recipes has full weights and LoRA
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("sft", {"adaptation": "qlora"}),
        ("sft", {"adaptation": "prompt"}),
        ("sft", {"packing": "off", "epochs": 3.0}),
        ("reward", {"adaptation": "lora"}),
        ("kto", {"adaptation": "lora"}),
    ],
)
def test_killed_and_started_again_gives_the_same_weights_bit_for_bit(tmp_path, method, options):
    rows, options = ROWS[method](20), {"learning_rate": 1e-3, **options}
    whole = trained(tmp_path / "whole", method, rows, **options)
    last = result(whole)["steps"]
    killed = trained(tmp_path / "killed", method, rows, ("log", last - 1, signal.SIGKILL), **options)
    assert run(killed) == 0
    assert 0 < events(killed, "resume")[0]["step"] < last
    assert result(killed)["content_hash"] == result(whole)["content_hash"]


def test_a_reward_model_says_how_often_it_agrees_with_people_and_how_sure_it_is(tmp_path):
    rows = reward_rows(24)
    path = trained(tmp_path / "run", "reward", rows, held=rows[:8], learning_rate=1e-2, epochs=2.0)
    held = result(path)["held_out"]
    assert held["pairs"] == 8
    assert held["accuracy_low"] <= held["accuracy"] <= held["accuracy_high"]
    assert sum(part["n"] for part in held["bins"]) == 8
    facts = json.loads((path / "final" / "reward.json").read_text())
    assert facts["reward_mean"] == pytest.approx(held["reward_mean"])
    assert abs(facts["reward_mean"]) < facts["reward_std"]


def test_the_saved_reward_model_scores_a_text_alike_alone_and_beside_a_longer_one(tmp_path):
    path = trained(tmp_path / "run", "reward", reward_rows(12), learning_rate=1e-2)
    alone, beside = call(rewards_alone_and_beside, str(tiny_model()), str(path / "final"))
    assert alone == pytest.approx(beside, abs=1e-5)


def rewards_alone_and_beside(base, folder):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    bare = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    model = PeftModel.from_pretrained(bare, folder).eval()
    texts = ["red stone", "a much longer text about a river of paper and bread, and a lamp"]
    with torch.no_grad():
        alone = model(**tokenizer(texts[:1], return_tensors="pt")).logits[0, 0].item()
        both = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
        beside = model(**both).logits[0, 0].item()
    return alone, beside


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adaptation": "full"}, "start is a lora adapter and adaptation is full"),
        ({"adaptation": "prompt"}, "start is a lora adapter and adaptation is prompt"),
        ({"method": "reward"}, "was trained for CAUSAL_LM and reward trains SEQ_CLS"),
        ({"base": "elsewhere"}, "start is an adapter of"),
    ],
)
def test_an_adapter_that_does_not_belong_is_refused_with_a_sentence(tmp_path, options, words):
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 16,
        "base_model_name_or_path": str(tiny_model()),
    }
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "adapter_config.json").write_text(json.dumps(config))
    method = options.pop("method", "sft")
    path = write_run(tmp_path / "run", method, ROWS[method](4), start=tmp_path / "start", **options)
    assert run(path) == 1
    assert words in events(path, "error")[0]["values"]["message"]
