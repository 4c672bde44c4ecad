"""What the page of an agreement card shows: agreement against its ceiling, the table of answers, the disagreements."""

from collections.abc import Sequence
from typing import Any

from evaluation.cards import Card, differences
from evaluation.charts import Chart, Mark, dots_chart
from evaluation.charts_parts import OTHER, SPOKEN, Line
from evaluation.models import AgreementCard
from evaluation.scorers.base import Scale
from evaluation.sheets import Metric
from labeling.blind import hidden_items
from labeling.models import Item, User

ALPHA = Metric("Krippendorff's alpha", "Krippendorff's alpha", Scale.NUMBER, True)
SIDES = (("first", "The first answer"), ("second", "The second answer"))
SAID = ("first", "second", "tie")


def agreement_chart(card: Card, threshold: float) -> Chart | None:
    """The judge's agreement with people beside that of people among themselves, which is the most it can reach."""
    marks = [Mark("Judge and people", card.alpha, SPOKEN, "#differ-title")] if card.alpha else []
    if card.people and marks:
        marks.append(Mark("Among people", card.people, OTHER))
    lines = [Line(threshold, f"{threshold:g} asked for")]
    return dots_chart(marks, ALPHA, title="Agreement beyond chance", lines=lines, name="agreement")


def confusion_rows(card: Card) -> list[tuple[str, list[tuple[int, bool]]]]:
    """What people said, and how often the judge said what: (count, whether that is agreement)."""
    return [
        (words, [(card.confusion[people].get(said, 0), said == people) for said in SAID])
        for people, words in SIDES
    ]


class Differences(Sequence[dict[str, Any]]):
    """The disagreements as a sequence that a paginator can cut. Those on items that the reader may still be given to
    judge, or that come from another project, are hidden."""

    def __init__(self, row: AgreementCard, card: Card, *, person: User | None) -> None:
        self._row, self._count, self._person = row, card.differing, person

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: Any) -> Any:
        found = differences(self._row, start=part.start, count=part.stop - part.start)
        items = dict(
            Item.objects.filter(
                project=self._row.project_id, content_hash__in=[one["item"] for one in found]
            ).values_list("content_hash", "pk")
        )
        hidden = hidden_items(project=self._row.project, person=self._person, items=items.values())
        return [_shown(one, items.get(one["item"]), hidden) for one in found]


def _shown(one: dict[str, Any], item: int | None, hidden: set[int]) -> dict[str, Any]:
    if item is None or item in hidden:
        return {"row": one["row"], "hidden": True}
    sides = [
        {
            "text": one[name],
            "people": one["people"] == name,
            "judge": one["judge"] == name,
            "value": value,
        }
        for name, value in zip(("first", "second"), one["values"], strict=True)
    ]
    return {
        "row": one["row"],
        "prompt": one["prompt"],
        "sides": sides,
        "tie": one["judge"] == "tie",
        "flipped": one["flipped"],
    }
