"""Settings of a spec as form fields: kinds, bounds, choices and help come from the pydantic models."""

import types
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from django import forms
from pydantic.fields import FieldInfo

from labeling.curation.shapes import FROM
from training.compatibility import SHAPES
from training.specs import METHODS, PEAK_RATES, parse_spec

LETTERS = {"lora": "LoRA", "dora": "DoRA", "rslora": "rsLoRA", "kl": "KL", "ppo": "PPO"}
SHORT = {"best_of_n": "Best of n", "reward": "Reward"}  # methods whose name is no abbreviation
ADAPTATIONS = {
    "full": "All weights",
    "lora": "LoRA",
    "qlora": "QLoRA: LoRA on a base in 4 bits",
    "prompt": "Prompt tuning",
    "prefix": "Prefix tuning",
    "ia3": "IA3",
}
LOW_RANK, PROMPTS = ("lora", "qlora"), ("prompt", "prefix")
# A setting that another one makes useless: setting → (the other one, its values under which this one counts).
COUNTS_ONLY_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "lora_r": ("adaptation", LOW_RANK),
    "lora_alpha": ("adaptation", LOW_RANK),
    "lora_dropout": ("adaptation", LOW_RANK),
    "dora": ("adaptation", LOW_RANK),
    "rslora": ("adaptation", LOW_RANK),
    "virtual_tokens": ("adaptation", PROMPTS),
    "label_smoothing": ("loss_type", ("sigmoid", "robust")),
}


def label(name: str) -> str:
    """`lora_alpha` as "LoRA alpha"."""
    first, *rest = name.split("_")
    return " ".join([LETTERS.get(first, first.capitalize()), *(LETTERS.get(word, word) for word in rest)])


def method_name(method: str) -> str:
    """A method as people write it: "DPO", "Best of n"."""
    return SHORT.get(method, method.upper())


def adaptation_name(adaptation: str) -> str:
    """An adaptation as it stands in a sentence: "all weights", "QLoRA"."""
    known = ADAPTATIONS.get(adaptation, "").split(":")[0]
    return known.lower() if known[1:].islower() else known


def method_words(method: str) -> str:
    """A method with its own sentence, such as "KTO: learn from single responses, good or bad"."""
    said = METHODS[method].model_fields["method"].description or ""
    return f"{method_name(method)}: {said[:1].lower()}{said[1:].rstrip('.')}"


def kinds_for(method: str) -> list[str]:
    """The kinds of dataset version that a method can learn from."""
    return sorted({kind for shape in SHAPES[method] for kind in FROM[shape]})


def settings_of(method: str) -> dict[str, FieldInfo]:
    """The settings of a method that leave something to choose."""
    fields = METHODS[method].model_fields
    return {name: info for name, info in fields.items() if name != "method" and len(choices_of(info)) != 1}


def adaptations_of(method: str) -> list[str]:
    """The adaptations that a method can train with."""
    return [adaptation for each, adaptation in PEAK_RATES if each == method]


def choices_of(info: FieldInfo) -> list[Any]:
    """The values that a setting can take, where they are counted; else none."""
    if info.annotation is bool:
        return [True, False]
    low, high = bounds_of(info)
    if low is not None and low == high:
        return [low]
    return list(get_args(info.annotation)) if get_origin(info.annotation) is Literal else []


def bounds_of(info: FieldInfo) -> tuple[Any, Any]:
    """The least and the greatest value of a number, each None where there is none."""
    low = next((limit.ge for limit in info.metadata if isinstance(limit, Ge)), None)
    return low, next((limit.le for limit in info.metadata if isinstance(limit, Le)), None)


def number_of(info: FieldInfo) -> type[int] | type[float] | None:
    """Which kind of number a setting is; None where it is none."""
    kinds = get_args(info.annotation) if _is_union(info.annotation) else (info.annotation,)
    return next((kind for kind in (int, float) if kind in kinds), None)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def counts(name: str, chosen: dict[str, Any]) -> bool:
    """Whether a setting matters beside those that were chosen."""
    other, values = COUNTS_ONLY_WITH.get(name, ("", ()))
    return not other or chosen.get(other) in values


def defaults(method: str, adaptation: str) -> dict[str, Any]:
    """What each setting is where nobody gives it."""
    return parse_spec(method, {"adaptation": adaptation}).model_dump()


def words(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


class SettingField(forms.Field):
    """A number as it was typed. What is no number stays as it is, for the spec to refuse it by its name."""

    def __init__(self, kind: type[int] | type[float], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.kind = kind

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        try:
            return self.kind(text) if text else None
        except ValueError:
            return text

    def prepare_value(self, value: Any) -> Any:
        return words(value) if isinstance(value, float) else value


class YesNoField(forms.TypedChoiceField):
    """A choice between yes and no that says so: a tick that is missing could also be a field that was not shown."""

    def __init__(self, **kwargs: Any) -> None:
        yes_no = [("True", "Yes"), ("False", "No")]
        super().__init__(
            choices=yes_no, coerce=lambda text: text == "True", required=False, empty_value=None, **kwargs
        )

    def prepare_value(self, value: Any) -> Any:
        return str(value) if isinstance(value, bool) else value


def form_field(name: str, info: FieldInfo, *, method: str, adaptation: str) -> forms.Field:
    """The form field of one setting. Left empty, the default that stands in it in grey holds."""
    default = defaults(method, adaptation)[name]
    help_text = _help(name, info, method, adaptation)
    if name == "adaptation":
        return forms.ChoiceField(
            choices=[(each, ADAPTATIONS.get(each, each)) for each in adaptations_of(method)],
            help_text=help_text,
        )
    if info.annotation is bool:
        return YesNoField(initial=default, label=label(name), help_text=help_text)
    if counted := choices_of(info):
        return forms.ChoiceField(
            choices=[(each, each) for each in counted],
            initial=default,
            required=False,
            label=label(name),
            help_text=help_text,
        )
    kind = number_of(info) or float
    attrs = {
        "inputmode": "numeric" if kind is int else "decimal",
        "autocomplete": "off",
        "placeholder": words(default),
    }
    return SettingField(kind, label=label(name), help_text=help_text, widget=forms.TextInput(attrs=attrs))


def _help(name: str, info: FieldInfo, method: str, adaptation: str) -> str:
    """The setting's own sentence with its bounds; that of the learning rate names where its default comes from."""
    said = [info.description or ""]
    if name == "learning_rate":
        rate = PEAK_RATES[method, adaptation]
        said.append(f"Left empty, {rate.value:g}: {rate.source}.")
    low, high = bounds_of(info)
    if number_of(info) is int and high is not None and name != "seed":
        said.append(f"{low:,} to {high:,}.")
    return " ".join(said)
