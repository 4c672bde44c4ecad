"""What stands in the launch form: where it begins, and what a change of method or preset does to what was typed."""

from collections.abc import Mapping
from typing import Any

from training.fields import adaptations_of, settings_of, words
from training.models import Checkpoint, TrainingRun
from training.presets import PRESETS, Preset, find_preset, suggested
from training.specs import METHODS, SpecRefused, parse_spec

Typed = dict[str, Any]


def begun(*, method: str, start: Checkpoint | None, **fields: Any) -> Typed:
    """A new form of a method, filled by the preset that suits the base."""
    parameters = None if start is None else (start.parameters or start.base.parameters)
    values: Typed = {"method": method, **fields, **({"start": start.pk} if start else {})}
    return _fill(values, suggested(method, parameters))


def begun_again(run: TrainingRun) -> Typed:
    """The form of a run: its method, data and start, and each setting that is not what it would be by itself."""
    return {
        "method": run.method,
        "dataset_version": run.dataset_version_id,
        "start": run.start_id,
        **({"reward": run.reward_id} if run.reward_id else {}),
        **({"gold": run.gold_id} if run.gold_id else {}),
        "preset": "",
        "again": run.pk,
        **own_settings(run.method, run.spec),
    }


def own_settings(method: str, spec: Mapping[str, Any]) -> Typed:
    """The settings of a spec without those that would be the same if nobody gave them.

    Parsed again they give the same spec. A spec of an earlier release that is refused today comes back whole.
    """
    given = {name: spec[name] for name in settings_of(method) if name in spec}
    try:
        whole = parse_spec(method, given)
        for name in [name for name in given if name != "adaptation"]:
            without = {key: value for key, value in given.items() if key != name}
            if parse_spec(method, without) == whole:
                given = without
    except SpecRefused:
        return given
    return given


def rearranged(typed: Mapping[str, Any]) -> Typed:
    """What was typed, after a change of method, preset or adaptation.

    A preset's values go with it where nobody changed them; everything else that was typed stays.
    """
    values: Typed = dict(typed)
    before_method, _, before_key = str(values.get("filled", "")).partition(":")
    before = find_preset(before_method, before_key) if before_method in METHODS else None
    method = values["method"] if values.get("method") in METHODS else next(iter(METHODS))
    key = values.get("preset", "")
    preset = find_preset(method, key) or (PRESETS[method][0] if key else None)
    same = before is not None and (before_method, before_key) == (method, key)
    if same and before is not None and values.get("adaptation") != before.values["adaptation"]:
        preset, same = None, False
    if not same:
        _empty(values, before)
        values |= {"preset": "", "filled": ""}
        if preset is not None:
            _fill(values, preset)
    values["method"] = method
    if values.get("adaptation") not in adaptations_of(method):
        values["adaptation"] = "lora"
    return values


def _fill(values: Typed, preset: Preset) -> Typed:
    shown = {name: words(value) for name, value in preset.values.items()}
    values |= {**shown, "preset": preset.key, "filled": f"{values['method']}:{preset.key}"}
    return values


def _empty(values: Typed, preset: Preset | None) -> None:
    for name, value in (preset.values if preset else {}).items():
        if name != "adaptation" and values.get(name) == words(value):
            del values[name]
