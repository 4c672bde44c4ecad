"""PPO, RLOO and best-of-n as recipe processes: what they reach, what they tell, and that a kill changes nothing."""

import json
import math
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.tiny_model import tiny_model
from tests.training.forked import (
    call,
    events,
    no_room_for_four,
    result,
    reward_rows,
    run,
    says,
    sft_rows,
    trained,
    write_run,
)

SMALL = {
    "rollout_size": 8,
    "response_length": 8,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "epochs": 1.0,
    "lora_r": 4,
    "warmup": 0.0,
    "save_steps": 1,
}
METHODS = {
    "ppo": {"ppo_epochs": 2},
    "rloo": {"samples_per_prompt": 2},
    "best_of_n": {"samples_per_prompt": 2},
}


def prompts(count: int = 24) -> list[dict]:
    return [{"prompt": row["prompt"]} for row in sft_rows(count)]


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """A reward model's adapter on the tiny model."""
    path = tmp_path_factory.mktemp("judge") / "reward"
    return trained(path, "reward", reward_rows(), learning_rate=1e-2, lora_r=4) / "final"


def write_rl(path, method, judge, rows=None, gold=None, **options):
    write_run(path, method, rows or prompts(), **(SMALL | {"save_steps": 1, "logging_steps": 1} | options))
    spec = json.loads((path / "spec.json").read_text())
    spec["reward"], spec["gold"] = str(judge), gold and str(gold)
    (path / "spec.json").write_text(json.dumps(spec))
    return path


def learned(path, method, judge, fault=None, **options):
    write_rl(path, method, judge, **options)
    code = run(path, fault)
    assert code == (0 if fault is None else {signal.SIGKILL: -9, signal.SIGTERM: 75}[fault[2]]), (
        path / "log"
    ).read_text()
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, judge):
    """A PPO run that nothing disturbed."""
    options = {"gold": judge, "held": prompts(4), "held_steps": 2, "sample_prompts": 3, **METHODS["ppo"]}
    return learned(tmp_path_factory.mktemp("ppo") / "run", "ppo", judge, **options)


def test_a_run_tells_what_its_page_shows(whole):
    logs = events(whole, "log")
    assert [event["step"] for event in logs] == [1, 2, 3]
    shown = set(logs[0]["values"])
    assert shown >= {"reward", "kl", "entropy", "clip_fraction", "ratio", "explained_variance", "value_loss"}
    assert shown >= {"length", "no_end", "kl_coefficient", "learning_rate", "grad_norm", "tokens_per_second"}
    samples = events(whole, "rollout")[0]["values"]["samples"]
    assert len(samples) == 3
    assert samples[0]["reward"] >= samples[-1]["reward"]
    assert samples[0]["prompt"]
    outcome = result(whole)
    assert (outcome["status"], outcome["kind"], outcome["steps"]) == ("succeeded", "adapter", 3)
    assert list((whole / "tensorboard").iterdir())
    assert not list(whole.glob("checkpoint-*"))


def test_a_check_shows_the_prompts_and_times_updates(tmp_path, judge):
    rows = [*prompts(6), *prompts(3), {"prompt": says("user", "stone " * 60)}]
    path = write_rl(tmp_path / "check", "ppo", judge, rows=rows)
    job = json.loads((path / "spec.json").read_text())
    told = {"method": "preflight", "seed": 7, "base": job["base"], "job": job}
    (path / "spec.json").write_text(json.dumps(told))
    assert run(path) == 0, (path / "log").read_text()
    made = result(path)
    assert made["calibration"]["seconds_per_update"] > 0
    assert made["calibration"]["updates"] == 1
    assert made["report"]["counts"]["rows"] == 6
    assert made["report"]["counts"]["dropped"] == 1
    said = {finding["check"]: finding["words"] for finding in made["report"]["findings"]}
    assert said["prompts"].startswith("6 different prompts")
    assert "3 rows repeat a prompt" in said["prompts"]
    assert made["report"]["examples"][0]["answers"][0]["name"] == "query"
    assert not (path / "final").exists()


def test_held_out_prompts_are_judged_by_both_reward_models(whole):
    looks = events(whole, "eval")
    assert [look["step"] for look in looks] == [2, 3]
    for values in (look["values"] for look in looks):
        assert values["prompts"] == 4
        assert values["win_rate_low"] <= values["win_rate"] <= values["win_rate_high"]
        assert values["gold_win_rate"] == values["win_rate"], "they are the same model here"
    assert result(whole)["win_rates"] == looks[-1]["values"]


def test_before_the_first_update_policy_is_reference(whole):
    checks = {event["values"]["name"]: event["values"] for event in events(whole, "check")}
    assert checks["policy_is_reference"]["kl"] == 0
    assert checks["policy_is_reference"]["ratio"] == pytest.approx(1, abs=1e-5)
    moved = checks["trainable_moved"]
    assert moved["ok"]
    assert checks["reload"]["error"] < 1e-3


@pytest.mark.parametrize(
    ("method", "event", "step", "sign"),
    [
        ("ppo", "log", 2, signal.SIGKILL),
        pytest.param("ppo", "checkpoint", 1, signal.SIGKILL, marks=pytest.mark.heavy),
        pytest.param("ppo", "rollout", 2, signal.SIGTERM, marks=pytest.mark.heavy),
        pytest.param("rloo", "log", 2, signal.SIGKILL, marks=pytest.mark.heavy),
        pytest.param("best_of_n", "checkpoint", 1, signal.SIGKILL, marks=pytest.mark.heavy),
    ],
)
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path, judge, method, event, step, sign):
    options = METHODS[method] | {"normalize_rewards": True, "sample_prompts": 2}
    options |= {"held": prompts(4), "held_steps": 1}
    calm = learned(tmp_path / "calm", method, judge, **options)
    cut = learned(tmp_path / "cut", method, judge, fault=(event, step, sign), **options)
    assert list(cut.glob("checkpoint-*"))
    assert run(cut) == 0, (cut / "log").read_text()
    assert result(cut)["content_hash"] == result(calm)["content_hash"]
    assert result(cut)["win_rates"] == result(calm)["win_rates"]
    told = {e["step"]: {**e["values"], **dict.fromkeys(TIMES, 0)} for e in events(cut, "log")}
    assert told == {e["step"]: {**e["values"], **dict.fromkeys(TIMES, 0)} for e in events(calm, "log")}


TIMES = ("tokens_per_second", "rollout_share", "memory_bytes")


@pytest.mark.parametrize(
    "options",
    [
        {"value": "head"},
        {"value_start": "fresh", "kl_estimator": "k3", "kl_target": 5.0, "entropy_weight": 0.01},
        {"adaptation": "full", "learning_rate": 1e-4},
        {"adaptation": "qlora"},
        {"gradient_checkpointing": "on", "cache": "static"},
    ],
    ids=["head", "fresh", "full", "qlora", "recomputed"],
)
def test_every_way_of_holding_the_roles_trains(tmp_path, judge, options):
    path = learned(tmp_path / "run", "ppo", judge, rows=prompts(8), **options)
    outcome = result(path)
    assert outcome["status"] == "succeeded"
    assert outcome["kind"] == ("full" if options.get("adaptation") == "full" else "adapter")


def test_a_policy_that_starts_from_an_adapter_keeps_it_as_its_reference(tmp_path, judge):
    start = trained(tmp_path / "sft", "sft", sft_rows(), learning_rate=1e-2, lora_r=4) / "final"
    path = learned(tmp_path / "run", "ppo", judge, rows=prompts(8), start=start)
    checks = {event["values"]["name"]: event["values"] for event in events(path, "check")}
    assert checks["policy_is_reference"]["kl"] == 0


def test_a_reward_model_that_is_no_lora_is_a_model_of_its_own(tmp_path):
    ia3 = trained(tmp_path / "ia3", "reward", reward_rows(), learning_rate=1e-2, adaptation="ia3") / "final"
    path = learned(tmp_path / "run", "ppo", ia3, rows=prompts(8))
    assert result(path)["status"] == "succeeded"
    assert events(path, "log")[0]["values"]["reward_std"] > 0


def test_recomputing_activations_changes_nothing(tmp_path, judge, whole):
    path = learned(tmp_path / "run", "ppo", judge, gradient_checkpointing="on", **METHODS["ppo"])
    first, second = (events(p, "log")[-1]["values"]["loss"] for p in (whole, path))
    assert second == pytest.approx(first, rel=1e-4)


def test_after_memory_ran_out_a_minibatch_stays_as_large(tmp_path, judge):
    path = write_rl(tmp_path / "run", "ppo", judge, rows=prompts(8))
    assert run(path, ("begin", 0, no_room_for_four)) == 75
    (retry,) = events(path, "retry")
    assert (retry["values"]["batch_size"], retry["values"]["gradient_accumulation"]) == (2, 2)
    assert run(path) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reward": None}, "needs a reward model"),
        ({"reward": "sft"}, "is not a reward model"),
        ({"other": True}, "train a reward model on this base"),
        ({"max_kl": 1e-9}, "above max_kl"),
        ({"max_length": 16, "response_length": 15}, "leaves room for response_length"),
    ],
    ids=["none", "not a reward", "other base", "far", "long prompts"],
)
def test_what_cannot_work_ends_with_a_sentence(tmp_path, judge, change, words):
    options = {name: value for name, value in change.items() if name not in ("reward", "other")}
    path = write_rl(tmp_path / "run", "ppo", judge, rows=prompts(32), learning_rate=1e-2, **options)
    spec = json.loads((path / "spec.json").read_text())
    if "reward" in change:
        spec["reward"] = change["reward"] and str(
            trained(tmp_path / "sft", "sft", sft_rows(4), lora_r=4) / "final"
        )
    if "other" in change:
        spec["base"] = str(shutil.copytree(tiny_model(), tmp_path / "elsewhere"))
    (path / "spec.json").write_text(json.dumps(spec))
    assert run(path) == 1
    assert words in events(path, "error")[-1]["values"]["message"]


def test_a_reward_that_says_nothing_ends_the_run(tmp_path, judge):
    path = write_rl(tmp_path / "run", "ppo", judge)
    assert run(path, ("start", 0, same_score)) == 1
    assert "the same score" in events(path, "error")[-1]["values"]["message"]
    path = write_rl(tmp_path / "nan", "ppo", judge)
    assert run(path, ("start", 0, no_score)) == 1
    assert "not a number" in events(path, "error")[-1]["values"]["message"]


def same_score():
    from training.recipes.rl import rollouts

    rollouts.judged = lambda role, part, tail: part.ids.new_zeros(len(part)).float()


def no_score():
    from training.recipes.rl import rollouts

    rollouts.judged = lambda role, part, tail: part.ids.new_zeros(len(part)).float() * float("nan")


BETA = 0.5


def prefer(liked: list[int]) -> None:
    """From now on the reward is 1 for an answer whose token is one of these, else 0."""
    from training.recipes.rl import rollouts

    rollouts.judged = lambda role, part, tail: sum(part.ids[:, -1] == token for token in liked).float()


def sharpened(base: str, folder: str) -> None:
    """The tiny model with larger weights in its head, so that it can be sure of a token at all."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.get_output_embeddings().weight.data *= 3
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def on_another_base(judge: Path, base: Path, folder: Path) -> Path:
    """The reward model as if it had been trained on that base."""
    shutil.copytree(judge, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    return folder


def next_token(base: str, prompt: list[dict], adapter: str = "") -> list[float]:
    """The distribution of the first token of an answer."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(base).apply_chat_template(
        prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
    with torch.no_grad():
        return model(ids).logits[0, -1].softmax(-1).tolist()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("ppo", {"epochs": 64.0 * 30, "value_start": "fresh"}),
        ("rloo", {"epochs": 16.0 * 60, "samples_per_prompt": 4}),
    ],
)
def test_under_a_kl_penalty_the_policy_reaches_the_known_optimum(tmp_path, judge, method, more):
    """p(y) is proportional to p_ref(y) exp(r(y) / beta): total variation to it at most 0.12."""
    asked, base = says("user", "Say a word."), tmp_path / "base"
    call(sharpened, str(tiny_model()), str(base))
    judge = on_another_base(judge, base, tmp_path / "judge")
    options = {
        "base": base,
        "rollout_size": 64,
        "batch_size": 64,
        "response_length": 1,
        "learning_rate": 5e-3,
        "kl_coefficient": BETA,
        "no_end_penalty": 0.0,
        "save_steps": 1000,
        "scheduler": "linear",
        **more,
    }
    reference = call(next_token, str(base), asked)
    liked = sorted(range(len(reference)), key=lambda token: -reference[token])[1:40:2]
    path = write_rl(tmp_path / "run", method, judge, rows=[{"prompt": asked}], **options)
    assert run(path, ("start", 0, partial(prefer, liked))) == 0, events(path, "error")
    policy = call(next_token, str(base), asked, str(path / "final"))
    best = [p * math.exp((token in liked) / BETA) for token, p in enumerate(reference)]
    best = [p / sum(best) for p in best]
    assert distance(reference, best) > 0.25
    assert distance(policy, best) <= 0.12


def distance(first: list[float], second: list[float]) -> float:
    """The total variation between two distributions."""
    return sum(abs(p - q) for p, q in zip(first, second, strict=True)) / 2
