"""Specs: what is allowed passes with its defaults, what is not is refused with a sentence."""

import pytest
from pydantic import ValidationError

from training.specs import (
    METHODS,
    PEAK_RATES,
    AnswerJob,
    DpoSpec,
    NanoJob,
    SpecRefused,
    TrainJob,
    parse,
    parse_spec,
)


def test_a_spec_left_empty_has_every_default():
    spec = parse_spec("dpo", {})
    assert isinstance(spec, DpoSpec)
    assert (spec.adaptation, spec.lora_r, spec.lora_alpha, spec.beta, spec.loss_type) == (
        "lora",
        16,
        32,
        0.1,
        "sigmoid",
    )


def test_alpha_follows_the_rank_unless_it_is_given():
    assert parse_spec("sft", {"lora_r": 4}).lora_alpha == 8
    assert parse_spec("sft", {"lora_r": 4, "lora_alpha": 5}).lora_alpha == 5


def test_a_spec_never_changes():
    with pytest.raises(ValidationError):
        parse_spec("sft", {}).epochs = 2.0


def test_a_spec_survives_being_written_and_read():
    spec = parse_spec("dpo", {"beta": 0.3, "adaptation": "full"})
    assert parse_spec("dpo", spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("method", "values", "words"),
    [
        ("sft", {"learning_rate": 5}, ["learning_rate", "5", "at most 0.1", "change"]),
        ("sft", {"epochs": "2"}, ["epochs", "'2'", "a number"]),
        ("sft", {"adaptation": "half"}, ["adaptation", "'half'", "full, lora"]),
        ("sft", {"beta": 0.1}, ["beta", "SftSpec", "remove"]),
        ("dpo", {"loss_type": "sft"}, ["loss_type", "'sft'", "sigmoid"]),
        ("dpo", {"batch_size": 0}, ["batch_size", "0", "at least 1"]),
        ("dpo", {"method": "sft"}, ["method", "'sft'", "dpo"]),
        ("magic", {}, ["magic", "sft", "dpo"]),
    ],
)
def test_a_refusal_says_what_was_given_and_what_is_allowed(method, values, words):
    with pytest.raises(SpecRefused) as refusal:
        parse_spec(method, values)
    for word in words:
        assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_job_without_a_base_is_refused_by_name():
    with pytest.raises(SpecRefused, match="base was not given"):
        parse(TrainJob, {"method": "sft", "data": {"train": "data/train.jsonl"}, "train": {}})


def test_a_wrong_field_deep_inside_is_named_by_its_path():
    with pytest.raises(SpecRefused, match=r"data\.evil is not a setting"):
        parse(TrainJob, {"method": "sft", "base": "b", "data": {"train": "t", "evil": 1}, "train": {}})


def test_the_rate_left_out_suits_method_and_adaptation():
    for (method, adaptation), rate in PEAK_RATES.items():
        assert parse_spec(method, {"adaptation": adaptation}).learning_rate == rate.value
        assert rate.source
    assert parse_spec("sft", {"adaptation": "full", "learning_rate": 0.01}).learning_rate == 0.01


@pytest.mark.parametrize(
    ("method", "values", "words"),
    [
        ("reward", {"adaptation": "prompt"}, ["reward model", "prompt tuning", "padding", "choose lora"]),
        ("reward", {"adaptation": "prefix"}, ["reward model", "prefix tuning", "choose lora"]),
        ("reward", {"overlong": "cut"}, ["overlong", "'cut'", "drop"]),
        ("sft", {"adaptation": "prompt", "packing": "on"}, ["packing", "see each other", "auto or off"]),
        ("sft", {"adaptation": "full", "dora": True}, ["dora", "LoRA", "'full'", "lora or qlora"]),
        ("sft", {"adaptation": "ia3", "rslora": True}, ["rslora", "LoRA", "'ia3'"]),
        (
            "sft",
            {"adaptation": "prefix", "gradient_checkpointing": "on"},
            ["gradient_checkpointing", "prefix"],
        ),
        ("sft", {"dora": 1}, ["dora", "1", "true or false"]),
        ("dpo", {"loss_type": "robust"}, ["robust", "label_smoothing above 0", "sigmoid"]),
        (
            "dpo",
            {"loss_type": "ipo", "label_smoothing": 0.1},
            ["label_smoothing", "ipo", "sigmoid or robust"],
        ),
        ("kto", {"batch_size": 1}, ["batch_size", "1", "at least 2"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused(method, values, words):
    with pytest.raises(SpecRefused) as refusal:
        parse_spec(method, values)
    for word in words:
        assert word in str(refusal.value)


def test_rows_are_packed_unless_they_would_see_each_other():
    assert parse_spec("sft", {}).packs
    assert not parse_spec("sft", {"adaptation": "prompt"}).packs
    assert not parse_spec("sft", {"packing": "off"}).packs


@pytest.mark.parametrize("model", [*METHODS.values(), TrainJob, NanoJob, AnswerJob])
def test_every_field_has_one_sentence(model):
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert field.description.count(". ") == 0, name


def test_every_number_has_bounds():
    for model in METHODS.values():
        for name, field in model.model_fields.items():
            if field.annotation in (int, float):
                assert len(field.metadata) == 2, name
