"""Warnings before launch: each names what hurts and its source, and good settings are left in peace."""

from typing import Any

import pytest

from training.advice import optimizer_steps, warnings
from training.specs import METHODS, PEAK_RATES, TrainSpec, parse_spec

ENOUGH = {"rows": 1_000, "supervised_tokens": 200_000, "parameters": 8_000_000_000, "trainable": 42_000_000}


def spec_of(method: str = "sft", **values: Any) -> TrainSpec:
    return parse_spec(method, values)


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(("method", "adaptation"), PEAK_RATES)
def test_defaults_on_a_thousand_rows_are_left_in_peace(method: str, adaptation: str):
    assert warnings(spec_of(method, adaptation=adaptation), **ENOUGH) == []


@pytest.mark.parametrize("method", METHODS)
def test_many_epochs_hurt_on_few_rows_only(method: str):
    said = only(warnings(spec_of(method, epochs=4.0), rows=900))
    assert "4 epochs over 900 rows" in said
    assert warnings(spec_of(method, epochs=3.0), rows=900) == []
    assert warnings(spec_of(method, epochs=4.0), rows=1_000) == []


def test_a_handful_of_steps_is_no_training():
    said = only(warnings(spec_of(batch_size=32), rows=65))
    assert "65 rows in batches of 32 make 3 optimizer steps" in said
    assert "make 1 optimizer step," in only(warnings(spec_of(batch_size=128), rows=65))
    assert warnings(spec_of(batch_size=1), rows=65) == []


def test_packed_rows_make_fewer_steps():
    spec = spec_of(batch_size=8, max_length=512)
    assert optimizer_steps(spec, rows=1_000) == 125
    assert optimizer_steps(spec, rows=1_000, tokens=30_000) == 8
    assert "make 8 optimizer steps" in only(warnings(spec, rows=1_000, tokens=30_000))
    assert optimizer_steps(spec_of(batch_size=8, packing="off"), rows=1_000, tokens=30_000) == 125
    assert optimizer_steps(spec_of(batch_size=8, gradient_accumulation=4, epochs=2.0), rows=1_000) == 64


def test_a_rank_above_the_rows_is_told():
    said = only(warnings(spec_of(lora_r=16, batch_size=1), rows=15))
    assert "lora_r 16 is above the 15 rows" in said
    assert warnings(spec_of(lora_r=16, batch_size=1), rows=16) == []
    assert warnings(spec_of(adaptation="ia3", lora_r=16, batch_size=1), rows=15) == []


def test_parameters_far_beyond_the_tokens_are_told():
    said = only(warnings(spec_of(), rows=1_000, supervised_tokens=9_999, trainable=10_000_000))
    assert "10,000,000 trainable parameters stand against 9,999 tokens" in said
    assert warnings(spec_of(), rows=1_000, supervised_tokens=10_000, trainable=10_000_000) == []
    assert warnings(spec_of(), rows=1_000, supervised_tokens=9_999) == []


@pytest.mark.parametrize("adaptation", ["lora", "qlora"])
@pytest.mark.parametrize("method", METHODS)
def test_the_rate_of_full_training_is_too_low_for_lora(method: str, adaptation: str):
    full = PEAK_RATES[method, "full"].value
    said = only(warnings(spec_of(method, adaptation=adaptation, learning_rate=full), rows=1_000))
    assert f"learning_rate {full:g} is one of full training" in said
    assert f"{PEAK_RATES[method, adaptation].value:g}" in said
    assert warnings(spec_of(method, adaptation=adaptation, learning_rate=3 * full), rows=1_000) == []


@pytest.mark.parametrize(("method", "rate"), [("sft", 2e-4), ("reward", 1e-4), ("dpo", 2e-5), ("kto", 2e-5)])
def test_the_rate_of_an_adapter_is_too_high_for_all_weights(method: str, rate: float):
    said = only(warnings(spec_of(method, adaptation="full", learning_rate=rate), rows=1_000))
    assert f"learning_rate {rate:g} suits adapters" in said
    assert PEAK_RATES[method, "full"].source in said


def test_small_models_may_take_high_rates_in_sft_and_not_in_dpo():
    sft, dpo = (spec_of(method, adaptation="full", learning_rate=1e-3) for method in ("sft", "dpo"))
    assert warnings(sft, rows=1_000, parameters=360_000_000) == []
    assert len(warnings(sft, rows=1_000, parameters=3_000_000_000)) == 1
    assert len(warnings(dpo, rows=1_000, parameters=360_000_000)) == 1


def test_large_batches_hurt_lora_and_not_full_training():
    said = only(warnings(spec_of(batch_size=64, gradient_accumulation=4), rows=100_000))
    assert "256 rows a step" in said
    assert warnings(spec_of(batch_size=64, gradient_accumulation=2), rows=100_000) == []
    full = spec_of(adaptation="full", batch_size=64, gradient_accumulation=4)
    assert warnings(full, rows=100_000) == []


def test_a_rank_that_vllm_refuses_by_default_is_told():
    said = only(warnings(spec_of(lora_r=17), rows=1_000))
    assert "--max-lora-rank 17" in said
    assert warnings(spec_of(lora_r=16), rows=1_000) == []


def test_few_pairs_make_no_reward_model():
    said = only(warnings(spec_of("reward"), rows=400))
    assert "400 pairs are few" in said
    assert "15 points either way" in said
    assert warnings(spec_of("reward"), rows=500) == []
    assert warnings(spec_of("dpo"), rows=400) == []


def test_several_things_that_hurt_are_told_apart():
    found = warnings(spec_of("reward", epochs=10.0, lora_r=64, learning_rate=1e-6), rows=40)
    assert len(found) == 5
    assert all(sentence.endswith(".") and "(" in sentence for sentence in found)
