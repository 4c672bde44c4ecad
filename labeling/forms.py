"""Forms of the pages. They check shape; the verbs check meaning."""

from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict

from labeling.allocation import MOST_OVERLAP
from labeling.annotating import SKIP_REASONS
from labeling.attributes import MOST as MOST_ATTRIBUTES
from labeling.errors import Refused
from labeling.importing.mapping import FORMATS
from labeling.importing.uploads import refuse_large
from labeling.invitations import MOST_DAYS
from labeling.models import Project, Rationale, Role, Task
from labeling.projects import TEMPLATES
from labeling.rag.posting import review_values
from labeling.reading import KINDS

ACCEPTED = ".jsonl,.ndjson,.json,.csv,.tsv,.gz,.parquet,.arrow,.zip,.tgz,.tar"


class PlainForm(forms.Form):
    """A form whose numbers say what was given and what is allowed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            for validator in field.validators:
                if isinstance(validator, MinValueValidator):
                    validator.message = "%(show_value)s is too little; give %(limit_value)s or more."
                elif isinstance(validator, MaxValueValidator):
                    validator.message = "%(show_value)s is too much; give %(limit_value)s or less."


class ProjectForm(PlainForm):
    template = forms.ChoiceField(
        choices=[(t.key, t.label) for t in TEMPLATES], initial=TEMPLATES[0].key, required=False
    )
    name = forms.CharField(
        max_length=120, help_text="Its address is made of it, for example /p/support-answers/."
    )
    description = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="One sentence for the list."
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=MOST_OVERLAP,
        initial=1,
        label="People for each item",
        help_text=f"1 to {MOST_OVERLAP}. Two or more show how far people agree; it can be changed at any time.",
    )


class PercentField(forms.FloatField):
    """A share that is shown and typed as per cent."""

    def prepare_value(self, value: Any) -> Any:
        return f"{value * 100:g}" if isinstance(value, int | float) else value

    def clean(self, value: Any) -> Any:
        percent = super().clean(value)
        return None if percent is None else percent / 100


class RulesForm(PlainForm):
    """The rules of a project, each with one sentence and its bounds."""

    name = forms.CharField(max_length=120, help_text="The address stays as it is.")
    description = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="One sentence for the list."
    )
    task = forms.ChoiceField(choices=Task.choices, help_text="What people do with each item.")
    ask_strength = forms.BooleanField(
        required=False, label="Ask how much better", help_text="Slightly, clearly or much: one key more."
    )
    two_pass = forms.BooleanField(
        required=False,
        label="A second pass with candidates",
        help_text="Whoever reviews second is shown spans that a first review or a comparison of words found; it takes "
        "two people or more for each item.",
    )
    rationale = forms.ChoiceField(
        choices=Rationale.choices, label="A reason in words", help_text="Beside each answer."
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=MOST_OVERLAP,
        label="People for each item",
        help_text=f"1 to {MOST_OVERLAP}. More opens items again; fewer takes away only what nobody has begun.",
    )
    every_item = forms.BooleanField(required=False, label="Also items with a number of their own")
    lease_minutes = forms.FloatField(
        min_value=0.5,
        max_value=1440,
        label="Minutes an item is held",
        help_text="0.5 to 1,440. When they have passed without a sign of life, somebody else gets it.",
    )
    daily_cap = forms.IntegerField(
        min_value=1,
        max_value=100_000,
        required=False,
        label="Most judgments of one person a day",
        help_text="1 to 100,000; empty for no limit.",
    )
    gold_share = PercentField(
        min_value=0,
        max_value=50,
        label="Known answers mixed in, %",
        help_text="0 to 50. Items whose answer you know, which people cannot tell from others.",
    )
    gold_pass = PercentField(
        min_value=0,
        max_value=100,
        label="Known answers to get right, %",
        help_text="0 to 100. Whoever is below is shown on the work page.",
    )
    repeat_share = PercentField(
        min_value=0,
        max_value=20,
        label="Repeats, %",
        help_text="0 to 20. A person's own items once more, swapped: how far they agree with themselves.",
    )
    repeat_after = forms.IntegerField(
        min_value=1,
        max_value=100_000,
        label="Items between an item and its repeat",
        help_text="1 to 100,000, at least.",
    )
    capture_days = forms.IntegerField(
        min_value=1,
        max_value=36_500,
        required=False,
        label="Days that captures are kept",
        help_text="1 to 36,500, then they are deleted for good; empty for ever. Items that came of them stay.",
    )

    def __init__(self, data: QueryDict | None, *, project: Project, items: int, own: int) -> None:
        values = {name: getattr(project, name) for name in self.base_fields if hasattr(project, name)}
        super().__init__(data, initial={**values, "lease_minutes": f"{project.lease_seconds / 60:g}"})
        if items:
            self.fields["task"].disabled = True
            self.fields["task"].help_text = (
                f"Fixed, because there are {items:,} items: answers of two kinds about one item could not be "
                "counted together. Start another project to ask something else."
            )
        if own:
            said = f"{own:,} items want another number than the project; leave it off to keep that."
            self.fields["every_item"].help_text = said
        else:
            del self.fields["every_item"]
        if items and project.task != Task.PAIRWISE:
            del self.fields["ask_strength"]
        if items and project.task != Task.RAG:
            del self.fields["two_pass"]

    def rules(self) -> dict[str, Any]:
        """What the form says, as `set_rules` takes it."""
        values = dict(self.cleaned_data)
        seconds = round(values.pop("lease_minutes") * 60)
        return {**values, "lease_seconds": seconds}


class AttributeForm(forms.Form):
    """One row of the attributes. A row without a name is none."""

    words = forms.CharField(max_length=60, required=False, label="Name")
    key = forms.CharField(max_length=40, required=False, label="Key")
    low = forms.IntegerField(required=False, label="Lowest")
    high = forms.IntegerField(required=False, label="Highest")


AttributeRows = forms.formset_factory(AttributeForm, extra=2, max_num=MOST_ATTRIBUTES, absolute_max=50)


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150, help_text="The name they sign in with.")
    role = forms.ChoiceField(choices=Role.choices)


class InviteForm(PlainForm):
    role = forms.ChoiceField(choices=Role.choices)
    days = forms.IntegerField(
        min_value=1, max_value=MOST_DAYS, initial=7, label="Days it holds", help_text=f"1 to {MOST_DAYS}."
    )
    note = forms.CharField(
        max_length=120, required=False, help_text="Whom it is for; only owners read it.", label="For"
    )


class GuidelineForm(forms.Form):
    """`base` is the number of the version from which the writer began."""

    text = forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 24}))
    base = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class UploadField(forms.FileField):
    """A file of no more bytes than the settings allow."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        file = super().clean(data, initial)
        try:
            refuse_large(file.size if file else 0)
        except Refused as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal
        return file


class ImportForm(forms.Form):
    file = UploadField(
        widget=forms.FileInput(attrs={"accept": ACCEPTED}),
        help_text="JSON Lines, a JSON array, CSV or TSV, each also as .gz; Parquet, Arrow; a folder that "
        "datasets saved, packed as .zip or .tar.gz.",
    )
    format = forms.ChoiceField(choices=FORMATS.items(), initial="auto")
    licence = forms.CharField(
        max_length=100, required=False, help_text="Licence of rows that name none, for example Apache-2.0."
    )
    scrub = forms.BooleanField(
        required=False,
        label="Scrub personal data",
        help_text="E-mail addresses, phone and card numbers are replaced before anything is stored.",
    )


class LeaseForm(forms.Form):
    """What every form of the annotating page carries. `ahead` is the item that the page already shows next."""

    token = forms.UUIDField()
    ahead = forms.IntegerField(required=False, min_value=1)
    revises = forms.IntegerField(required=False, min_value=1)


class JudgmentForm(LeaseForm):
    client_key = forms.UUIDField()
    active_ms = forms.IntegerField(required=False, min_value=0, max_value=86_400_000)
    layout = forms.CharField(required=False, max_length=10)


class SkipForm(LeaseForm):
    reason = forms.ChoiceField(choices=SKIP_REASONS.items())


def answer_values(data: QueryDict, task: str) -> dict[str, Any]:
    """The fields of an answer of this kind, as a form of the page sends them.

    Ratings come as `rating.KEY.NUMBER`; a value that is no whole number stays as it was sent, for the check to name it.
    """
    if task == Task.RAG:
        return review_values(data)
    values: dict[str, Any] = {name: data[name] for name in KINDS[task].model_fields if data.get(name)}
    if task == Task.RATING:
        rated: dict[str, dict[int, Any]] = {}
        for name in data:
            parts = name.split(".")
            if len(parts) == 3 and parts[0] == "rating" and parts[2].isdecimal() and data[name]:
                rated.setdefault(parts[1], {})[int(parts[2])] = data[name]
        values["ratings"] = {key: [row[number] for number in sorted(row)] for key, row in rated.items()}
    return values
