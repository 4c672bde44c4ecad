"""The traps of the pinned libraries, each blocked or repaired, and ends that come with a sentence."""

import json
import shutil

import pytest

from tests.tiny_model import tiny_model
from tests.training.forked import (
    call,
    dpo_rows,
    events,
    no_room_at_all,
    no_room_for_four,
    not_a_number,
    result,
    reward_rows,
    run,
    says,
    sft_rows,
    trained,
    write_run,
)  # fmt: skip
from training.recipes import contract
from training.specs import parse_spec

pytestmark = pytest.mark.slow


def error_of(path):
    return events(path, "error")[-1]["values"]["message"]


def report_of(path):
    return json.loads((path / "preflight.json").read_text())


def findings(path):
    return {one["check"]: (one["level"], one["words"]) for one in report_of(path)["findings"]}


def changed(path, **values):
    spec = json.loads((path / "spec.json").read_text())
    (path / "spec.json").write_text(json.dumps(spec | values))
    return path


def test_after_memory_ran_out_the_run_goes_on_in_halves_to_the_same_number_of_steps(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(16), packing="off", held=sft_rows(4))
    assert run(path, ("begin", 0, no_room_for_four)) == contract.STOPPED
    (retry,) = events(path, "retry")
    assert (retry["values"]["batch_size"], retry["values"]["gradient_accumulation"]) == (2, 2)
    assert "goes on with batches of 2" in retry["values"]["message"]
    assert run(path, ("begin", 0, no_room_for_four)) == 0
    assert result(path)["steps"] == 4


def test_memory_that_is_too_small_for_one_row_ends_with_what_to_change(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(4), packing="off", batch_size=1)
    assert run(path, ("begin", 0, no_room_at_all)) == contract.FAILED
    assert "even with batches of 1; lower max_length" in error_of(path)


def test_a_loss_that_is_not_a_number_ends_with_what_to_change(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(8))
    assert run(path, ("begin", 0, not_a_number)) == contract.FAILED
    assert "the loss is not a number at step 1; lower learning_rate" in error_of(path)
    assert not (path / "result.json").exists()


def test_rows_or_a_template_that_changed_since_they_were_checked_are_refused(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(8))
    data = json.loads((path / "spec.json").read_text())["data"]
    changed(path, data=data | {"files": {"data/train.jsonl": "0" * 64}})
    assert run(path) == contract.FAILED
    assert "somebody changed it" in error_of(path)
    changed(path, data=data, template_hash="0" * 64)
    assert run(path) == contract.FAILED
    assert "was checked before launch" in error_of(path)


def test_lora_reaches_every_linear_layer_and_the_report_says_so(tmp_path):
    path = trained(tmp_path / "run", "sft", sft_rows(8))
    reach = report_of(path)["coverage"]
    assert reach["covered_layers"] == reach["linear_layers"] == 14
    assert findings(path)["adapter"][0] == "ok"
    targets = json.loads((path / "final" / "adapter_config.json").read_text())["target_modules"]
    names = {target.rpartition(".")[2] for target in targets}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "gate_proj", "down_proj"}


def test_precision_is_chosen_and_never_left_to_a_default(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(4))
    found = call(decided, str(path))
    assert found == {
        "bf16": False,
        "use_cpu": True,
        "loaded": "torch.float32",
        "lora on a GPU": "torch.bfloat16",
        "full on a GPU": "torch.float32",
        "4-bit": ("nf4", True, "torch.bfloat16"),
    }


def test_activations_are_recomputed_where_the_estimate_says_that_they_do_not_fit(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(4))
    assert call(recomputed, str(path)) == [False, True, False, True, True]


def recomputed(path):
    from training.recipes import tuning

    plan, found = tuning.prepare(contract.open_run(path)), []
    for asked, room in (("auto", 10**12), ("auto", 10**6), ("off", 10**6), ("on", 10**12)):
        plan.spec = parse_spec("sft", {"gradient_checkpointing": asked})
        tuning.device_bytes = lambda cuda, room=room: room
        found.append(tuning.recomputes(plan, cuda=False))
    plan.spec, plan.origin = parse_spec("sft", {}), tuning.adapting.Origin("nobody/has-this", None)
    return [*found, tuning.recomputes(plan, cuda=True)]


def decided(path):
    from training.recipes import adapting, tuning

    plan = tuning.prepare(contract.open_run(path))
    arguments = tuning.arguments(plan)
    four = adapting.quantization(parse_spec("sft", {"adaptation": "qlora"}))
    return {
        "bf16": arguments["bf16"],
        "use_cpu": arguments["use_cpu"],
        "loaded": str(next(plan.model.parameters()).dtype),
        "lora on a GPU": str(adapting.precision(parse_spec("sft", {}), cuda=True)),
        "full on a GPU": str(adapting.precision(parse_spec("sft", {"adaptation": "full"}), cuda=True)),
        "4-bit": (four.bnb_4bit_quant_type, four.bnb_4bit_use_double_quant, str(four.bnb_4bit_compute_dtype)),
    }


@pytest.fixture(scope="module")
def base_that_pads_with_its_end(tmp_path_factory):
    """The tiny model with its end-of-sequence token as padding, as many base models come."""
    folder = tmp_path_factory.mktemp("pads") / "base"
    shutil.copytree(tiny_model(), folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"pad_token": config["eos_token"]}))
    return folder


def test_a_reward_model_sees_the_end_where_padding_was_the_end(tmp_path, base_that_pads_with_its_end):
    path = trained(
        tmp_path / "run", "reward", reward_rows(12), base=base_that_pads_with_its_end, learning_rate=1e-2
    )
    level, words = findings(path)["padding"]
    assert (level, "Padding was the end-of-sequence token" in words) == ("repaired", True)
    with_end, without = call(
        rewards_with_and_without_end, str(base_that_pads_with_its_end), str(path / "final")
    )
    assert with_end != pytest.approx(without, abs=1e-6)


def rewards_with_and_without_end(base, folder):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    bare = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    model = PeftModel.from_pretrained(bare, folder).eval()
    ids = tokenizer("red stone")["input_ids"]
    with torch.no_grad():
        both = [model(torch.tensor([[*ids, tokenizer.eos_token_id]])), model(torch.tensor([ids]))]
    return [out.logits[0, 0].item() for out in both]


def test_a_reward_adapter_keeps_its_head(tmp_path):
    path = trained(tmp_path / "run", "reward", reward_rows(8))
    config = json.loads((path / "final" / "adapter_config.json").read_text())
    assert config["task_type"] == "SEQ_CLS"
    assert "score" in config["modules_to_save"]


def test_a_reference_that_is_not_what_training_starts_from_is_found_at_the_first_step(tmp_path):
    path = write_run(tmp_path / "run", "dpo", dpo_rows(8), adaptation="full", precompute_reference=False)
    assert call(trained_from_other_weights, str(path)) == contract.FAILED
    assert "policy and reference differ before training" in error_of(path)


def trained_from_other_weights(path):
    """Change the weights in memory after they were loaded: TRL then takes the reference from disk."""
    import torch

    from training.recipes import adapting, dpo

    load = adapting.load_model

    def other(*args):
        model = load(*args)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.3)
        return model

    adapting.load_model = other
    return contract.process(["dpo", path], "dpo", dpo.train)


def test_a_run_that_would_not_learn_to_stop_does_not_begin(tmp_path):
    rows = [*sft_rows(8), *({**row, "completion": says("assistant", "word " * 60)} for row in sft_rows(4))]
    path = write_run(tmp_path / "run", "sft", rows, overlong="cut")
    assert run(path) == contract.FAILED
    assert "the end-of-turn token is learned in 8 of 12 responses" in error_of(path)
    assert findings(path)["end"][0] == "blocked"
    assert not events(path, "begin")


def test_a_check_makes_the_report_and_times_steps_without_training(tmp_path):
    path = write_run(tmp_path / "check", "dpo", dpo_rows(12), held=dpo_rows(4))
    job = json.loads((path / "spec.json").read_text())
    (path / "spec.json").write_text(
        json.dumps({"method": "preflight", "seed": 7, "base": job["base"], "job": job})
    )
    assert run(path) == 0, (path / "log").read_text()
    outcome = result(path)
    assert outcome["calibration"]["seconds_per_token"] > 0
    assert outcome["report"]["counts"] | {"rows": 12, "eval_rows": 4} == outcome["report"]["counts"]
    shown = outcome["report"]["examples"][0]["answers"]
    assert [answer["name"] for answer in shown] == ["chosen", "rejected"]
    text = "".join(token for token, learned in shown[0]["tokens"] if learned)
    assert text.startswith(dpo_rows(1)[0]["chosen"][0]["content"])
    assert not (path / "final").exists()
    assert not list(path.glob("checkpoint-*"))


def test_what_the_model_forgets_is_measured_on_texts_that_it_knew(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(12), adaptation="full", learning_rate=5e-3)
    texts = [f"The {word} is old and the river is wide." for word in ("mill", "bridge", "road", "town")]
    (path / "data" / "known.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    data = json.loads((path / "spec.json").read_text())["data"]
    changed(path, data=data | {"retention": "data/known.jsonl"})
    assert run(path) == 0
    kept = result(path)["retention"]
    assert kept["texts"] == 4
    assert kept["ratio"] == pytest.approx(kept["after"] / kept["before"])
    assert kept["low"] <= kept["ratio"] <= kept["high"]
    assert kept["ratio"] != pytest.approx(1, abs=1e-3)
