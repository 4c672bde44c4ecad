"""Rollouts by vLLM: a real server that is given each update's adapter, and servers that fail, each in a sentence."""

import importlib
import json
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.tiny_model import ROOT
from tests.training.forked import call, events, result
from tests.training.test_ppo import judge, prompts, write_rl  # noqa: F401  a fixture
from training.recipes import contract
from training.specs import SpecRefused, parse_spec

pytestmark = pytest.mark.slow
VLLM = ROOT / ".venv-vllm" / "bin" / "vllm"
FAKE = f"{sys.executable} {Path(__file__).with_name('fake_vllm.py')}"


def carried(path: str, vllm: str, how: str) -> int:
    """Carry out a run in this process with a command of vLLM."""
    method = json.loads((Path(path) / "spec.json").read_text())["method"]
    recipe = importlib.import_module(f"training.recipes.{method}")
    os.environ |= {"PREFLOOP_VLLM": vllm, "FAKE_VLLM": how}
    sys.stdout = sys.stderr = (Path(path) / "log").open("a")
    return contract.process([method, path], method, recipe.train)


def run(path, vllm, how=""):
    return call(partial(carried, str(path), str(vllm), how))


def sentence(path):
    return events(path, "error")[-1]["values"]["message"]


def at_work_in(path):
    """Processes whose command names a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [place] if str(path).encode() in place.read_bytes() else []
        except OSError:
            continue
    return found


@pytest.mark.heavy
def test_a_real_server_answers_with_the_weights_of_each_update(tmp_path, judge):  # noqa: F811
    assert VLLM.exists(), "vLLM is missing: run make vllm"
    options = {"sampler": "vllm", "learning_rate": 1e-2, "samples_per_prompt": 2, "temperature": 0.8}
    path = write_rl(tmp_path / "run", "rloo", judge, rows=prompts(12), sample_prompts=8, **options)
    assert run(path, VLLM) == 0, (path / "log").read_text()[-2000:] + sentence(path)
    logs = [event["values"] for event in events(path, "log")]
    assert len(logs) == 3
    assert [log["kl"] > 1e-3 for log in logs] == [False, True, True], (
        "the adapter does something from then on"
    )
    assert max(log["sampler_gap"] for log in logs) < 1e-4, "and the server has it, or the two would differ"
    answers = [(one["prompt"], one["completion"]) for one in events(path, "rollout")[0]["values"]["samples"]]
    assert len({prompt for prompt, _ in answers}) == 4
    assert len(set(answers)) == 8, "two answers to a prompt have random numbers of their own"
    assert result(path)["status"] == "succeeded"
    assert len(events(path, "serving")) == 1
    assert not list((path / "serving").glob("policy-*"))
    assert not at_work_in(path)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("does not start", "vLLM did not start: RuntimeError: Unsupported CPU attention configuration"),
        ("refuses adapters", "vLLM refused /v1/load_lora_adapter (400)"),
        ("dies", "vLLM does not answer any more"),
        ("answers with other weights", "so it does not answer with the policy's weights"),
    ],
)
def test_a_server_that_fails_ends_the_run_with_a_sentence_and_is_gone(tmp_path, judge, how, words):  # noqa: F811
    path = write_rl(tmp_path / "run", "ppo", judge, sampler="vllm")
    assert run(path, FAKE, how) == contract.FAILED
    assert words in sentence(path)
    assert not at_work_in(path)


def test_without_vllm_the_run_says_what_to_set(tmp_path, judge):  # noqa: F811
    path = write_rl(tmp_path / "run", "ppo", judge, sampler="vllm")
    assert run(path, "") == contract.FAILED
    assert "sampler was given as vllm, and PREFLOOP_VLLM is not set" in sentence(path)


@pytest.mark.parametrize("held", [{"adaptation": "full"}, {"adaptation": "qlora"}, {"dora": True}])
def test_what_vllm_cannot_serve_is_refused(held):
    with pytest.raises(SpecRefused, match="sampler was given as 'vllm', which serves LoRA on whole weights"):
        parse_spec("ppo", {"sampler": "vllm", **held})
