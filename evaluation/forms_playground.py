"""Forms of the playground: who answers, and what is said next."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms

from evaluation.forms import ENGINE_WORDS, answering
from evaluation.models import Endpoint
from evaluation.playground.specs import ChatSettings
from evaluation.playground.talking import engines, usual_engine
from labeling.forms import PlainForm
from labeling.models import Project
from training.models import Checkpoint

CHECKPOINT, ENDPOINT = "checkpoint", "endpoint"
SETTINGS = tuple(ChatSettings.model_fields)
SEPARATOR = "---"
MOST_SHOWN = 200


def says(name: str) -> str:
    return ChatSettings.model_fields[name].description or ""


class SettingsForm(PlainForm):
    """How both sides are asked. What is left empty stays as it is."""

    temperature = forms.FloatField(required=False, min_value=0, max_value=2, help_text=says("temperature"))
    top_p = forms.FloatField(required=False, min_value=0, max_value=1, label="Top-p", help_text=says("top_p"))
    max_tokens = forms.IntegerField(required=False, min_value=1, max_value=8192, help_text=says("max_tokens"))
    seed = forms.IntegerField(required=False, min_value=0, help_text=says("seed"))
    system = forms.CharField(
        required=False,
        label="System message",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What the models are told before everything else; both get the same.",
    )

    def clean_system(self) -> str:
        return with_plain_lines(self.cleaned_data["system"])

    def settings(self) -> dict[str, Any]:
        """What the page sent, of a form that is valid. A system message that was emptied is none any more."""
        sent = {name: self.cleaned_data[name] for name in SETTINGS if name in self.data}
        return {name: value for name, value in sent.items() if value is not None}


class BeginForm(SettingsForm):
    """A new conversation."""

    first = forms.ChoiceField(label="Who answers")
    second = forms.ChoiceField(label="Beside it", required=False)
    blind = forms.BooleanField(
        required=False,
        label="Blind",
        help_text="Chance decides who stands on the left; a vote shows who is who.",
    )
    engine = forms.ChoiceField(required=False)

    field_order = ["first", "second", "blind"]

    def __init__(self, *args: Any, project: Project, endpoints: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        rows = answering(project)[:MOST_SHOWN]
        here: dict[str, Any] = {f"{CHECKPOINT}:{row.pk}": row for row in rows}
        found = Endpoint.objects.filter(project=project, archived_at=None) if endpoints else []
        elsewhere: dict[str, Any] = {f"{ENDPOINT}:{row.pk}": row for row in found}
        self.sources: dict[str, Checkpoint | Endpoint] = here | elsewhere
        groups = [
            (kind, [(key, str(row)) for key, row in some.items()])
            for kind, some in (("Checkpoints", here), ("Endpoints", elsewhere))
            if some
        ]
        fields["first"].choices = groups
        fields["second"].choices = [("", "Nobody: one alone"), *groups]
        fields["engine"].choices = [(name, ENGINE_WORDS[name]) for name in engines()]
        fields["engine"].initial = usual_engine()
        if len(fields["engine"].choices) < 2:
            del fields["engine"]
        for name in SETTINGS:
            fields[name].initial = ChatSettings.model_fields[name].default

    def chosen(self) -> list[Checkpoint | Endpoint]:
        """Who answers, of a form that is valid."""
        keys = [self.cleaned_data["first"], self.cleaned_data["second"]]
        return [self.sources[key] for key in keys if key]


class MessageForm(SettingsForm):
    """The next turn."""

    text = forms.CharField(
        strip=False,
        label="Message",
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "The message is empty; write something."},
    )
    contexts = forms.CharField(
        required=False,
        strip=False,
        label="Passages",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=f"Pasted passages that the answer should rest on; a line of {SEPARATOR} between two of them.",
    )
    carries = forms.CharField(required=False)

    def __init__(self, *args: Any, before: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, initial=dict(before), **kwargs)

    def clean_text(self) -> str:
        return with_plain_lines(self.cleaned_data["text"])

    def passages(self) -> list[str]:
        """The pasted passages, of a form that is valid."""
        text = with_plain_lines(self.cleaned_data["contexts"])
        return re.split(rf"(?m)^\s*{SEPARATOR}\s*$", text)


def with_plain_lines(text: str) -> str:
    """A text of a form, whose lines browsers end as HTTP does, as it was written."""
    return text.replace("\r\n", "\n")
