"""Presets: every one of them is a spec that its method accepts, with a name, a sentence and a source."""

import pytest

from training.fields import settings_of, words
from training.presets import PRESETS, Preset, find_preset, suggested
from training.specs import METHODS, parse_spec

ALL = [(method, preset) for method, presets in PRESETS.items() for preset in presets]


@pytest.mark.parametrize(("method", "preset"), ALL, ids=lambda each: getattr(each, "key", each))
def test_a_preset_is_accepted_as_its_fields_show_it(method: str, preset: Preset) -> None:
    spec = parse_spec(method, preset.values)
    assert set(preset.values) <= set(settings_of(method))
    for name, value in preset.values.items():
        assert getattr(spec, name) == value
        assert type(value)(words(value)) == value, "what the field shows is the value"
    assert preset.name
    assert preset.source
    assert preset.words.endswith(".")


def test_every_method_has_presets_of_different_names_and_lora_first() -> None:
    assert set(PRESETS) == set(METHODS)
    for presets in PRESETS.values():
        assert presets[0].key == "lora"
        assert len({preset.key for preset in presets}) == len(presets)


@pytest.mark.parametrize(("method", "rate"), [("sft", 3e-3), ("reward", 1e-3), ("dpo", 5e-4), ("kto", 5e-4)])
def test_small_models_get_a_far_higher_rate(method: str, rate: float) -> None:
    preset = suggested(method, 1_000_000)
    assert (preset.key, preset.values["learning_rate"]) == ("small", rate)
    assert suggested(method, 7_000_000_000).key == "lora"
    assert suggested(method, None).key == "lora"


def test_a_preset_that_is_not_there_is_none() -> None:
    assert find_preset("sft", "magic") is None
