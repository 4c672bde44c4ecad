"""The form of a suite's gate: shares and margins as people say them, in points and per cent."""

from typing import Any

from django import forms

from evaluation.models import Gate, Suite
from evaluation.scorers import find_scorer
from evaluation.scorers.base import Scale
from training.staging import REASON_LENGTH

RAIL = "rail_"
PERCENT = {"alpha": 5.0, "margin": 2.0, "forgetting_margin": 2.0, "contamination": 0.0, "missing": 5.0}


def percent(label: str, help_text: str, most: float = 100.0) -> forms.FloatField:
    return forms.FloatField(label=label, help_text=help_text, min_value=0, max_value=most)


class GateForm(forms.Form):
    """What may be set; what makes sense, evaluation.deciding.set_gate says. Margins of guardrails have a field each."""

    alpha = percent(
        "Chance of a false promotion, %",
        "At most this often a candidate that is no better is promoted, however many are tried.",
        50.0,
    )
    margin = percent("Not worse within, points", "A candidate inside this margin is called not worse.")
    missing = percent(
        "Cases without a value, % at most",
        "Of champion and candidate, in the primary metric, each guardrail and against forgetting; the worst counts.",
    )
    contamination = percent(
        "Cases met in training, % at most",
        "Looked for in the rows that it and its ancestors were trained on.",
    )
    agreement = forms.FloatField(
        label="Agreement of a judge with people, at least",
        help_text="Krippendorff’s alpha, 0 to 1. A judge below it cannot decide.",
        min_value=0,
        max_value=1,
    )
    forgetting = forms.ModelChoiceField(
        queryset=Suite.objects.none(),
        required=False,
        label="Suite against forgetting",
        empty_label="None",
        help_text="Its primary metric may not fall: skills that training must not cost.",
    )
    forgetting_margin = percent(
        "It may fall by, points", "In the unit of its primary metric; points for shares."
    )
    needs_sealed = forms.BooleanField(
        required=False,
        label="Only sealed cases count",
        help_text="Candidates are chosen by open cases, and the chosen one is measured once on those nobody looked at.",
    )

    def __init__(self, *args: Any, gate: Gate, **kwargs: Any) -> None:
        kwargs.setdefault("initial", _initial(gate))
        super().__init__(*args, **kwargs)
        suites = Suite.objects.filter(project=gate.suite.project_id, archived_at=None)
        field: Any = self.fields["forgetting"]
        field.queryset = suites.exclude(pk=gate.suite_id)
        self.metrics = [(f"{RAIL}{number}", metric) for number, metric in enumerate(gate.suite.scoring)]
        for name, metric in self.metrics:
            self.fields[name] = forms.FloatField(
                required=False,
                min_value=0,
                label=f"{metric['name']}, {_way(metric)}",
                help_text="Empty: it decides nothing.",
            )

    @property
    def rails(self) -> list[forms.BoundField]:
        return [self[name] for name, _ in self.metrics]

    @property
    def main(self) -> list[forms.BoundField]:
        return [
            self[name]
            for name in ("alpha", "margin", "missing", "contamination", "agreement", "needs_sealed")
        ]

    @property
    def against_forgetting(self) -> list[forms.BoundField]:
        return [self["forgetting"], self["forgetting_margin"]]

    def gate_values(self) -> dict[str, Any]:
        """What the verb takes."""
        found = self.cleaned_data
        values = {name: found[name] / 100 for name in PERCENT}
        values |= {name: found[name] for name in ("agreement", "forgetting", "needs_sealed")}
        values["guardrails"] = [
            {"metric": metric["name"], "margin": found[name] / _factor(metric)}
            for name, metric in self.metrics
            if found.get(name) is not None
        ]
        return values


def _initial(gate: Gate) -> dict[str, Any]:
    values: dict[str, Any] = {name: round(getattr(gate, name) * 100, 6) for name in PERCENT}
    values |= {name: getattr(gate, name) for name in ("agreement", "forgetting", "needs_sealed")}
    rails = {rail["metric"]: rail["margin"] for rail in gate.guardrails}
    for number, metric in enumerate(gate.suite.scoring):
        if metric["name"] in rails:
            values[f"{RAIL}{number}"] = round(rails[metric["name"]] * _factor(metric), 6)
    return values


def _factor(metric: dict[str, Any]) -> float:
    scale = find_scorer(metric["scorer"]).scale
    return 100.0 if scale in (Scale.BINARY, Scale.SHARE, Scale.PERPLEXITY) else 1.0


def _way(metric: dict[str, Any]) -> str:
    scorer = find_scorer(metric["scorer"])
    way = "may fall by" if scorer.higher_is_better else "may rise by"
    own = {Scale.PERPLEXITY: "%", Scale.BINARY: "points", Scale.SHARE: "points"}
    unit = own.get(scorer.scale, scorer.unit)
    return f"{way}, {unit}" if unit else way


class DecisionForm(forms.Form):
    """Promote or keep. Hidden fields say what was seen."""

    action = forms.ChoiceField(choices=[("promote", "promote"), ("keep", "keep")])
    despite = forms.BooleanField(required=False)
    reason = forms.CharField(max_length=REASON_LENGTH, required=False)
    production = forms.IntegerField(required=False)
    decision = forms.IntegerField(required=False)


class RollBackForm(forms.Form):
    back_to = forms.IntegerField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(max_length=REASON_LENGTH, required=False, label="What went wrong")
