"""A task as its page shows it: everything that the templates need worked out, so that they only write it down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from labeling.errors import Refused
from labeling.forms import answer_values
from labeling.models import Project
from labeling.models import Task as Kind
from labeling.rag.posting import review_values
from labeling.rag.screening import ReviewScreen, review_screen
from labeling.tasks import Task
from labeling.values import Attribute, read_order

MOST_STEPS = 11
TITLES = {
    Kind.PAIRWISE: "Which response is better?",
    Kind.RANKING: "Put the responses in order, best first",
    Kind.RATING: "Rate each response",
    Kind.DEMONSTRATION: "Write the best response",
    Kind.EDIT: "Improve a response",
    Kind.RAG: "Is this answer good, and does it rest on the chunks?",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """One attribute of one response: the field's name, its values, and the one that was given. A long scale has no
    steps; it is a number to type."""

    name: str
    words: str
    low: int
    high: int
    value: int | None

    @property
    def steps(self) -> list[tuple[int, bool]]:
        if self.high - self.low >= MOST_STEPS:
            return []
        return [(value, value == self.value) for value in range(self.low, self.high + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A response with what can be said of it. `key` picks it; `place` is where a ranking has it so far."""

    number: int
    verdict: str
    text: str
    same_as: list[int]
    key: str
    place: int | None = None
    picked: bool = False
    scales: list[Scale] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What stands on the page, with the answer as far as it was given."""

    title: str
    cards: list[Card]
    verdict: str = ""
    strength: int | None = None
    order: str = ""
    text: str = ""
    rationale: str = ""
    problem: str = ""
    review: ReviewScreen | None = None

    @property
    def places(self) -> range:
        return range(1, len(self.cards) + 1)


def screen(*, task: Task, project: Project, start_from: int | None = None) -> Screen:
    """The task on the page. `start_from` is the response whose text an edit begins with, for a page without scripts."""
    given = task.draft or {}
    picked = _whole(given.get("number")) or start_from or (1 if len(task.responses) == 1 else None)
    originals = {response.number: response.text for response in task.responses}
    places = _places(str(given.get("order", "")))
    text = str(given.get("text", ""))
    if task.kind == Kind.EDIT and not text and picked:
        text = originals.get(picked, "")
    return Screen(
        title=TITLES[Kind(task.kind)],
        cards=[
            Card(
                number=response.number,
                verdict=response.verdict,
                text=response.text,
                same_as=response.same_as,
                key=digit_key(response.number),
                place=places.get(response.number),
                picked=response.number == picked,
                scales=_scales(task.kind, response.number, project.attributes, given),
            )
            for response in task.responses
        ],
        verdict=str(given.get("verdict", "")),
        strength=_whole(given.get("strength")),
        order=str(given.get("order", "")),
        text=text,
        rationale=str(given.get("rationale", "")),
        problem=_problem(task.kind, len(task.responses)),
        review=_review(task, given),
    )


def _review(task: Task, given: dict[str, Any]) -> ReviewScreen | None:
    if task.kind != Kind.RAG:
        return None
    return review_screen(
        text=task.responses[0].text if task.responses else "",
        chunks=task.chunks,
        categories=task.categories,
        candidates=task.candidates,
        given=given,
    )


def digit_key(number: int) -> str:
    """The key that picks a response: 1 to 9, 0 for the tenth, then with Shift; none after the twentieth."""
    if number > 20:
        return ""
    return f"{'⇧' if number > 10 else ''}{number % 10}"


def given_answer(data: QueryDict, kind: str) -> dict[str, Any]:
    """The fields of an answer, from a page with scripts or without: there, a ranking comes as places."""
    values = answer_values(data, kind)
    if kind == Kind.RANKING and "order" not in values:
        values["order"] = order_of_places(data)
    if "text" in values:
        values["text"] = values["text"].replace("\r\n", "\n")  # what a browser makes of a line's end
    return values


def given_so_far(data: QueryDict, kind: str) -> dict[str, Any]:
    """The fields of an unfinished answer. Ratings keep their places: None stands for one that is not given yet."""
    if kind == Kind.RAG:
        return review_values(data, unfinished=True)
    values = given_answer(data, kind)
    if kind == Kind.RATING:
        values["ratings"] = {}
        for name, value in data.items():
            parts = name.split(".")
            if (
                len(parts) == 3
                and parts[0] == "rating"
                and parts[2].isdecimal()
                and 0 < int(parts[2]) <= 1000
            ):
                row = values["ratings"].setdefault(parts[1], [])
                row.extend([None] * (int(parts[2]) - len(row)))
                row[int(parts[2]) - 1] = _whole(value)
    return values


def order_of_places(data: Mapping[str, Any]) -> str:
    """The order that the fields `place.NUMBER` say, as in "2>1=3"; "" where none is given."""
    places: dict[int, list[int]] = {}
    for name, value in data.items():
        head, _, number = name.partition(".")
        if head == "place" and number.isdecimal() and str(value).isdecimal():
            places.setdefault(int(value), []).append(int(number))
    return ">".join("=".join(map(str, sorted(places[place]))) for place in sorted(places))


def duration(milliseconds: int) -> str:
    """Working time in words: "7 min", "1 h 12 min"."""
    hours, minutes = divmod(milliseconds // 60_000, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _scales(kind: str, number: int, attributes: Sequence[Attribute], given: dict[str, Any]) -> list[Scale]:
    if kind != Kind.RATING:
        return []
    found = []
    for attribute in attributes:
        row = (given.get("ratings") or {}).get(attribute["key"]) or []
        found.append(
            Scale(
                name=f"rating.{attribute['key']}.{number}",
                words=attribute["words"],
                low=attribute["low"],
                high=attribute["high"],
                value=_whole(row[number - 1]) if number <= len(row) else None,
            )
        )
    return found


def _places(order: str) -> dict[int, int]:
    try:
        groups = read_order(order)
    except Refused:
        return {}
    return {number: place for place, group in enumerate(groups, start=1) for number in group}


def _problem(kind: str, responses: int) -> str:
    """Why this item cannot be answered, if it cannot."""
    if kind == Kind.PAIRWISE and responses != 2:
        return f"A comparison needs two responses, and this item has {responses}. Skip it as broken."
    if kind == Kind.RAG and responses != 1:
        return f"A review is of one answer, and this item has {responses}. Skip it as broken."
    if kind in (Kind.RANKING, Kind.RATING, Kind.EDIT) and not responses:
        return "This item came without a response. Skip it as broken."
    return ""


def _whole(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 12 else None
