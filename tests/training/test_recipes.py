"""Recipe processes: what they write, how they stop, and that a stop changes nothing.

Runs are forked from one server that has imported torch and trl once; `python -m` is exercised by the tests of
refusals and locks.
"""

import json
import math
import signal
import subprocess
import sys

import pytest

from tests.tiny_model import ROOT, tiny_model
from tests.training.forked import (
    call,
    command,
    dpo_rows,
    events,
    result,
    run,
    says,
    sft_rows,
    trained,
    write_run,
)
from training.recipes import contract

HOLD = """
import sys
from training.recipes.contract import open_run
run = open_run(sys.argv[1])
print("held", flush=True)
input()
"""

WAIT_FOR_TERM = """
import os, signal, sys
os.environ["PREFLOOP_DIE_WITH_PARENT"] = "1"
from training.recipes.contract import open_run
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
run = open_run(sys.argv[1])
print("held", flush=True)
signal.sigwait({signal.SIGTERM})
print("asked to stop", flush=True)
"""
WORKER = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


@pytest.fixture(scope="module")
def sft_adapter(tmp_path_factory):
    return trained(
        tmp_path_factory.mktemp("a") / "sft",
        "sft",
        sft_rows(),
        held=sft_rows(4),
        learning_rate=1e-2,
        sample_prompts=3,
    )


def test_sft_learns_and_tells_its_story_in_order(sft_adapter):
    kinds = [e["type"] for e in events(sft_adapter)]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert {"log", "eval", "checkpoint", "sample", "check"} <= set(kinds)
    outcome = result(sft_adapter)
    assert outcome["loss_last"] < outcome["loss_first"]
    assert (outcome["status"], outcome["kind"]) == ("succeeded", "adapter")
    assert outcome["steps"] in (6, 7)  # 24 rows, about four in a packed step
    assert not list(sft_adapter.glob("checkpoint-*")), "what a run resumes from is removed when it is over"
    assert outcome["content_hash"] == contract.content_hash(sft_adapter / "final")


def test_losses_are_written_for_tensorboard_too(sft_adapter):
    told = {event["step"]: event["values"]["loss"] for event in events(sft_adapter, "log")}
    assert call(scalars, str(sft_adapter / "tensorboard"), "train/loss") == pytest.approx(told)


def scalars(folder, tag):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(folder)
    read.Reload()
    return {point.step: point.value for point in read.Scalars(tag)}


def test_prompts_that_are_answered_together_are_answered_as_each_alone(tmp_path):
    rows = [
        {**row, "prompt": says("user", "Name it, please. " * (1 + number))}
        for number, row in enumerate(sft_rows(3))
    ]
    together, alone = call(
        answered, str(write_run(tmp_path / "run", "sft", rows, max_length=128, sample_prompts=3))
    )
    assert together == alone
    assert len(together) == 3


def answered(path):
    from training.recipes import keeping, tuning

    plan = tuning.prepare(contract.open_run(path))
    plan.model.eval()
    alone = [keeping.answers(plan, plan.model, [prompt])[0] for prompt in plan.prompts]
    return keeping.answers(plan, plan.model, plan.prompts), alone


def test_the_peak_of_memory_is_measured(sft_adapter):
    assert result(sft_adapter)["memory"]["peak_bytes"] > 1_000_000


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft 0.21
def test_the_final_adapter_loads_on_the_base_alone(sft_adapter):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model()), str(sft_adapter / "final")
    )
    assert list(model.peft_config) == ["default"]
    assert {p.name for p in (sft_adapter / "final").iterdir() if p.is_dir()} == set()


@pytest.mark.parametrize(
    ("method", "rows", "adaptation"),
    [("sft", sft_rows(), "full"), ("dpo", dpo_rows(), "lora")],
    ids=["sft-full", "dpo-lora"],
)
def test_killed_and_started_again_gives_the_same_weights_bit_for_bit(tmp_path, method, rows, adaptation):
    options = {"adaptation": adaptation, "learning_rate": 1e-3, "sample_prompts": 2}
    whole = trained(tmp_path / "whole", method, rows, **options)
    killed = trained(tmp_path / "killed", method, rows, ("log", 5, signal.SIGKILL), **options)
    assert not (killed / "result.json").exists()
    (killed / "checkpoint-99").mkdir()  # half-written: no trainer_state.json
    assert run(killed) == 0
    assert events(killed, "resume")[0]["step"] == 4
    assert result(killed)["content_hash"] == result(whole)["content_hash"]


def test_asked_to_stop_it_checkpoints_and_goes_on_to_the_same_end(tmp_path, sft_adapter):
    options = {"held": sft_rows(4), "learning_rate": 1e-2}
    path = trained(tmp_path / "run", "sft", sft_rows(), ("log", 3, signal.SIGTERM), **options)
    assert events(path)[-1]["type"] == "stopped"
    assert [e["step"] for e in events(path, "eval")] == [0], "the stop waited for an evaluation"
    assert not (path / "result.json").exists()
    assert run(path) == 0
    assert result(path)["content_hash"] == result(sft_adapter)["content_hash"]


def test_dpo_goes_on_with_an_adapter_and_starts_at_ln_2(tmp_path, sft_adapter):
    path = trained(tmp_path / "dpo", "dpo", dpo_rows(), start=sft_adapter / "final", held=dpo_rows(4))
    check = next(e["values"] for e in events(path, "check") if e["values"]["name"] == "first_loss")
    assert check["loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert {p.name for p in (path / "final").iterdir() if p.is_dir()} == set()
    assert 0 <= events(path, "eval")[-1]["values"]["rewards/accuracies"] <= 1


def test_full_dpo_goes_on_with_a_full_checkpoint_as_its_reference(tmp_path):
    first = trained(tmp_path / "sft", "sft", sft_rows(8), adaptation="full")
    path = trained(tmp_path / "dpo", "dpo", dpo_rows(8), adaptation="full", start=first / "final")
    assert result(path)["kind"] == "full"
    assert result(path)["base"] == str(first / "final")


def test_rows_too_long_are_counted_before_they_vanish(tmp_path):
    long, cut = "word " * 200, "word " * 70
    rows = [
        *sft_rows(8),
        {"prompt": says("user", long), "completion": says("assistant", "yes")},
        {"prompt": says("user", "Say it."), "completion": says("assistant", cut)},
    ]
    path = trained(tmp_path / "run", "sft", rows)
    values = events(path, "start")[0]["values"]
    assert (values["rows"], values["dropped"], values["truncated"]) == (8, 2, 0)


def test_a_handful_of_rows_that_makes_one_step_is_trained_on_all_the_same(tmp_path):
    path = trained(tmp_path / "run", "sft", sft_rows(4), batch_size=8, epochs=1.0)
    assert result(path)["steps"] == 1
    assert events(path, "log")[0]["values"]["learning_rate"] > 0


def test_a_finished_run_is_left_alone(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(8))
    (path / "result.json").write_text("{}")
    assert command(path, "sft").returncode == 0
    assert not (path / "events.jsonl").exists()


def test_two_processes_never_work_in_one_directory(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(8))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        holder.stdout.readline()
        second = command(path, "sft")
        holder.stdin.close()
    assert second.returncode == 73
    assert f"in use by process {holder.pid}" in second.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": {"learning_rate": 9}}, "learning_rate was given as 9"),
        ({"train": {"max_length": 100_000}}, "above this model's limit of 2048"),
        ({"start": "/nowhere"}, "start /nowhere is not a directory"),
        ({"method": "dpo"}, "spec.json is for method 'dpo'"),
    ],
)
def test_a_run_that_cannot_be_done_says_why_in_one_sentence(tmp_path, change, words):
    path = write_run(tmp_path / "run", "sft", sft_rows(8))
    spec = json.loads((path / "spec.json").read_text()) | change
    (path / "spec.json").write_text(json.dumps(spec))
    assert run(path, method="sft") == 1
    assert words in events(path, "error")[0]["values"]["message"]
    assert not (path / "result.json").exists()


def test_a_killed_worker_takes_its_recipe_along(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(8))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, WAIT_FOR_TERM, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with worker:
        assert worker.stdout.readline() == "held\n"
        worker.kill()
        assert worker.stdout.read() == "asked to stop\n"


def test_a_torn_line_is_ended_and_skipped(tmp_path):
    path = write_run(tmp_path / "run", "sft", sft_rows(8))
    (path / "events.jsonl").write_text('{"type": "log", "step": 1}\n{"type": "lo')
    held = contract.Run(path, {}, writes=True)
    held.event("log", 2, loss=float("nan"))
    assert [e["step"] for e in events(path)] == [1, 2]
    assert events(path)[-1]["values"] == {"loss": None}
