"""The editor of a suite's metrics: a row for each, its settings as plain fields made of the scorer's schema."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from evaluation.forms_playground import with_plain_lines
from evaluation.models import JudgeVersion
from evaluation.scorers import describe
from evaluation.scorers.base import Need, Scale
from labeling.models import Project
from training.models import Checkpoint
from training.registry import visible_checkpoints

LONG = 200
PARAM = "p_"
UNKNOWN: dict[str, Any] = {
    "about": "This scorer is not here any more.",
    "needs": [],
    "scale": "",
    "params": {},
}


class MetricForm(forms.Form):
    """One metric: its name, its weight, and its scorer's own settings."""

    scorer = forms.CharField(widget=forms.HiddenInput)
    name = forms.CharField(max_length=60, label="Called")
    weight = forms.FloatField(min_value=0, max_value=1000, required=False, help_text="0 only watches.")

    def __init__(self, *args: Any, about: Mapping[str, Any], people: "Sources", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.about = about
        self.schemas: dict[str, Any] = about["params"].get("properties", {})
        if about["scale"] and not Scale(about["scale"]).is_bounded:
            needed = "Both are needed where several metrics have a weight."
            self.fields["floor"] = forms.FloatField(required=False, label="Counts as 0", help_text=needed)
            self.fields["ceiling"] = forms.FloatField(required=False, label="Counts as 1")
        if Need.JUDGE in about["needs"]:
            self.fields["judge"] = _chosen("Judge", people.judges_for(about.get("judge_kind", "")))
        if Need.REWARD in about["needs"]:
            self.fields["reward"] = _chosen("Reward model", people.rewards)
        for name, schema in self.schemas.items():
            self.fields[f"{PARAM}{name}"] = _field(name, schema)

    @property
    def settings(self) -> list[forms.BoundField]:
        """The fields of the scorer alone."""
        return [self[name] for name in self.fields if name not in ("scorer", "name", "weight")]

    def metric(self) -> dict[str, Any]:
        """What the suite keeps. The form must be valid."""
        values = self.cleaned_data
        found = {
            "name": values["name"],
            "scorer": self.about["key"],
            "weight": values.get("weight") or 0.0,
            "params": {
                name: read
                for name, schema in self.schemas.items()
                if (read := _read(values.get(f"{PARAM}{name}"), schema)) is not None
            },
        }
        for name in ("floor", "ceiling", "judge", "reward"):
            if values.get(name) not in (None, ""):
                found[name] = values[name]
        return found


class Sources:
    """The judges and reward models that metrics may ask, each with its number."""

    def __init__(self, project: Project) -> None:
        judges = JudgeVersion.objects.filter(judge__project=project, judge__archived_at=None)
        self.judges = list(judges.select_related("judge")[:200])
        rewards = visible_checkpoints(project).filter(line=Checkpoint.Line.REWARD).order_by("-id")
        self.rewards = [(checkpoint.pk, checkpoint.name) for checkpoint in rewards[:200]]

    def judges_for(self, kind: str) -> list[tuple[int, str]]:
        """Those of a kind; of any where none is named."""
        return [(version.pk, str(version)) for version in self.judges if kind in ("", version.judge.kind)]


class ScoringForm:
    """All metrics of a suite. `rows` in the data names those that are there, in order."""

    def __init__(
        self, project: Project, scoring: Sequence[Mapping[str, Any]], data: QueryDict | None = None
    ) -> None:
        self.people, self.known = Sources(project), {about["key"]: about for about in describe()}
        self.errors: list[str] = []
        if data is None:
            self.rows = [self._row(index, initial=_initial(metric)) for index, metric in enumerate(scoring)]
        else:
            keys = [int(key) for key in data.get("rows", "").split(",") if key.isdecimal()][:60]
            self.rows = [
                self._row(key, data=data) for key in keys if data.get(f"m{key}-scorer") in self.known
            ]

    @property
    def keys(self) -> str:
        return ",".join(str(row.prefix)[1:] for row in self.rows)

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(key, about["label"]) for key, about in self.known.items()]

    def add(self, scorer: str) -> None:
        """One more metric by this scorer, with a name that is free."""
        if scorer not in self.known:
            return
        taken = {str(row["name"].value()) for row in self.rows}
        name = scorer.replace("_", " ")
        number = 2
        while name in taken:
            name, number = f"{scorer.replace('_', ' ')} {number}", number + 1
        key = max((int(str(row.prefix)[1:]) for row in self.rows), default=-1) + 1
        weight = 0 if any(row["weight"].value() not in (None, "", "0", 0) for row in self.rows) else 1
        self.rows.append(self._row(key, initial={"name": name, "scorer": scorer, "weight": weight}))

    def drop(self, key: str) -> None:
        self.rows = [row for row in self.rows if row.prefix != f"m{key}"]

    def scoring(self) -> list[dict[str, Any]] | None:
        """What the suite keeps; None where a field is wrong."""
        good = [row for row in self.rows if row.is_valid()]  # all are asked, so that each shows its errors
        return [row.metric() for row in good] if len(good) == len(self.rows) else None

    def _row(
        self, key: int, data: QueryDict | None = None, initial: dict[str, Any] | None = None
    ) -> MetricForm:
        scorer = (data.get(f"m{key}-scorer") if data else (initial or {}).get("scorer")) or ""
        about = self.known.get(scorer) or {**UNKNOWN, "key": scorer, "label": scorer}
        return MetricForm(data, prefix=f"m{key}", initial=initial, about=about, people=self.people)


def _initial(metric: Mapping[str, Any]) -> dict[str, Any]:
    params = metric.get("params", {})
    weight = str(metric.get("weight", 0)).removesuffix(".0")
    return {**metric, "weight": weight, **{f"{PARAM}{name}": _shown(value) for name, value in params.items()}}


def _chosen(label: str, choices: list[tuple[int, str]]) -> forms.Field:
    none = "Choose one" if choices else "There is none yet"
    return forms.TypedChoiceField(
        choices=[("", none), *choices], coerce=int, empty_value=None, required=False, label=label
    )


def _field(name: str, schema: Mapping[str, Any]) -> forms.Field:
    common: dict[str, Any] = {
        "required": "default" not in schema and schema.get("type") == "string",
        "label": name.replace("_", " ").capitalize(),
        "help_text": schema.get("description", ""),
        "initial": _shown(schema.get("default")),
    }
    if "enum" in schema:
        return forms.ChoiceField(choices=[(str(value), str(value)) for value in schema["enum"]], **common)
    kind = schema.get("type")
    if kind == "boolean":
        return forms.BooleanField(**{**common, "required": False})
    if kind in ("integer", "number"):
        number = forms.IntegerField if kind == "integer" else forms.FloatField
        return number(min_value=schema.get("minimum"), max_value=schema.get("maximum"), **common)
    if kind == "string" and schema.get("maxLength", 0) <= LONG:
        return forms.CharField(max_length=schema.get("maxLength"), **common)
    more = {"array": " One a line.", "object": " One a line, as word = number."}
    if kind == "object" and not _is_numbers(schema):
        more = {"object": " As JSON."}
    common["help_text"] += more.get(str(kind), "")
    return forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), **common)


def _is_numbers(schema: Mapping[str, Any]) -> bool:
    inner = schema.get("additionalProperties")
    return isinstance(inner, dict) and inner.get("type") == "number"


def _shown(value: Any) -> Any:
    """A setting as the field holds it."""
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    if isinstance(value, dict):
        if value and all(isinstance(number, int | float) for number in value.values()):
            return "\n".join(f"{word} = {number!r}" for word, number in value.items())
        return json.dumps(value, ensure_ascii=False, indent=1) if value else ""
    return value


def _read(value: Any, schema: Mapping[str, Any]) -> Any:
    """A field as the scorer takes it; None where it is left to the default."""
    kind = schema.get("type")
    if value is None or value == "":
        return None
    if "enum" in schema:
        return next(choice for choice in schema["enum"] if str(choice) == value)
    if kind == "array":
        return [line.strip() for line in value.splitlines() if line.strip()]
    if kind == "object":
        return _numbers(value) if _is_numbers(schema) else _json(value)
    return with_plain_lines(value) if kind == "string" else value


def _numbers(text: str) -> dict[str, Any]:
    pairs = [line.rpartition("=") for line in text.splitlines() if line.strip()]
    return {word.strip(): _number(value) for word, _, value in pairs}


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
