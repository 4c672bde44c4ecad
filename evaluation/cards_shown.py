"""What the page of an agreement card shows: agreement against its ceiling, the table of answers, the disagreements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.cards import Card, differences
from evaluation.charts import Chart, Mark, dots_chart
from evaluation.charts_parts import OTHER, SPOKEN, Line
from evaluation.models import AgreementCard, Judge
from evaluation.scorers.base import Scale
from evaluation.sheets import Metric
from labeling.blind import hidden_items
from labeling.estimates import Estimate
from labeling.models import Item, User

About = AgreementCard.About
ALPHA = Metric("Krippendorff's alpha", "Krippendorff's alpha", Scale.NUMBER, True)
WORDS = {
    About.PAIRS: {"first": "first", "second": "second", "tie": "tie"},
    About.CONTEXT_RELEVANCE: {"yes": "relevant", "no": "not relevant"},
    About.GROUNDEDNESS: {"yes": "supported", "no": "not supported", "skip": "no claim"},
    About.ANSWER_RELEVANCE: {"yes": "answers", "no": "does not answer"},
}
"""What people or a judge say of one thing, as pages call it."""


@dataclass(frozen=True, slots=True)
class NumberLine:
    """A number of a card, and what it means."""

    name: str
    value: Estimate | None
    meaning: str
    beyond_chance: bool = False


def number_lines(card: Card, kind: str) -> list[NumberLine]:
    """All numbers of a card of a judge of this kind but the one of people among themselves."""
    yes, no = list(WORDS[About(card.about)].values())[:2]
    lines = [
        NumberLine(
            "Krippendorff's alpha, nominal", card.alpha, "1 is full agreement, 0 what chance would give", True
        ),
        NumberLine(
            "Cohen's kappa", card.kappa, "the same for two raters, each with habits of their own", True
        ),
    ]
    if card.about != About.PAIRS:
        return [
            *lines,
            NumberLine(f"Says “{yes}” where people do", card.sensitivity, "sensitivity"),
            NumberLine(
                f"Says “{no}” where people do",
                card.specificity,
                "specificity: the faults of theirs that it finds",
            ),
        ]
    chosen = [
        NumberLine("Says first where people do", card.sensitivity, "sensitivity; chance gives about half"),
        NumberLine(
            "Says second where people do",
            card.specificity,
            "specificity; far from the other one, it leans to a place",
        ),
    ]
    places = [
        NumberLine("Flips that go to the first place", card.first_place, "far from half, it likes a place")
    ]
    lengths = [
        NumberLine(
            "The longer answer wins, judge", card.longer_judge, "above what people do, it likes length"
        ),
        NumberLine("The longer answer wins, people", card.longer_people, "on the pairs of unequal length"),
    ]
    return [*lines, *chosen, *(places if kind == Judge.Kind.PAIRWISE else []), *lengths]


def agreement_chart(card: Card, threshold: float) -> Chart | None:
    """The judge's agreement with people beside that of people among themselves, which is the most it can reach."""
    marks = [Mark("Judge and people", card.alpha, SPOKEN, "#differ-title")] if card.alpha else []
    if card.people and marks:
        marks.append(Mark("Among people", card.people, OTHER))
    lines = [Line(threshold, f"{threshold:g} asked for")]
    return dots_chart(marks, ALPHA, title="Agreement beyond chance", lines=lines, name="agreement")


def confusion_rows(card: Card) -> list[tuple[str, list[tuple[int, bool]]]]:
    """What people said, and how often the judge said each of its words: (count, whether that is agreement)."""
    words = WORDS[About(card.about)]
    return [
        (words[people], [(said.get(one, 0), one == people) for one in words])
        for people, said in card.confusion.items()
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
        return [_shown(one, items.get(one["item"]), hidden, self._row.about) for one in found]


def _shown(one: dict[str, Any], item: int | None, hidden: set[int], about: str) -> dict[str, Any]:
    if item is None or item in hidden:
        return {"row": one["row"], "hidden": True}
    if about != About.PAIRS:
        words = WORDS[About(about)]
        return {**one, "pk": item, "people": words[one["people"]], "judge": words[one["judge"]]}
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
