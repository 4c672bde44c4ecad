"""Forms of the playground: who answers, and what is said next."""

from collections.abc import Mapping
from typing import Any

from django import forms

from evaluation.forms import ENGINE_WORDS, local_engines
from evaluation.models import Endpoint
from evaluation.playground.specs import ChatSettings
from evaluation.playground.talking import ENGINES, usual_engine
from labeling.forms import PlainForm
from labeling.models import Project
from training.models import Checkpoint
from training.registry import visible_checkpoints

CHECKPOINT, ENDPOINT = "checkpoint", "endpoint"
SETTINGS = ("temperature", "top_p", "max_tokens", "seed", "system")
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

    def settings(self) -> dict[str, Any]:
        """What was given, of a form that is valid."""
        return {name: self.cleaned_data[name] for name in SETTINGS if self.cleaned_data[name] is not None}


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
        rows = visible_checkpoints(project).exclude(line=Checkpoint.Line.REWARD).order_by("-id")
        self.sources: dict[str, Checkpoint | Endpoint] = {
            f"{CHECKPOINT}:{row.pk}": row for row in rows[:MOST_SHOWN]
        }
        groups = [("Checkpoints", [(key, str(row)) for key, row in self.sources.items()])]
        if endpoints:
            found = Endpoint.objects.filter(project=project, archived_at=None)
            elsewhere: dict[str, Checkpoint | Endpoint] = {f"{ENDPOINT}:{row.pk}": row for row in found}
            groups.append(("Endpoints", [(key, str(row)) for key, row in elsewhere.items()]))
            self.sources |= elsewhere
        groups = [group for group in groups if group[1]]
        fields["first"].choices = groups
        fields["second"].choices = [("", "Nobody: one alone"), *groups]
        fields["engine"].choices = [(name, ENGINE_WORDS[name]) for name in local_engines() if name in ENGINES]
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
        self.fields["system"].help_text = says("system")

    def settings(self) -> dict[str, Any]:
        """A system message that was emptied is none any more, where the page sent one at all."""
        given = super().settings()
        if "system" not in self.data:
            given.pop("system", None)
        return given

    def clean_text(self) -> str:
        return with_plain_lines(self.cleaned_data["text"])

    def passages(self) -> list[str]:
        """The pasted passages, of a form that is valid."""
        found: list[list[str]] = [[]]
        for line in self.cleaned_data["contexts"].splitlines():
            if line.strip() == SEPARATOR:
                found.append([])
            else:
                found[-1].append(line)
        return ["\n".join(lines) for lines in found]


def with_plain_lines(text: str) -> str:
    """A text of a form, whose lines browsers end as HTTP does, as it was written."""
    return text.replace("\r\n", "\n")
