"""Answers in words, in terms of the stored responses: A is the first, B the second."""

from collections.abc import Sequence
from typing import Any

from labeling.errors import Refused
from labeling.models import Project, Task
from labeling.rag.answers import BAD, GOOD
from labeling.values import BOTH_BAD, STRENGTHS, TIE, Attribute, read_order

COMPARED = (Task.PAIRWISE, Task.RANKING, Task.RAG)
WRITTEN = {Task.RATING: "rated", Task.DEMONSTRATION: "wrote a response"}


def letter(position: int) -> str:
    """A for the first stored response, B for the second; after Z their number."""
    return chr(ord("A") + position) if position < 26 else str(position + 1)


def label_words(kind: str, label: str, strength: int | None = None) -> str:
    """What a label says: "A is clearly better", "Tie", "Both bad", "B > A = C", "improved A", "Good"."""
    if kind == Task.RAG:
        return label.capitalize()
    if label in (TIE, BOTH_BAD):
        bad = "Both bad" if kind == Task.PAIRWISE else "All bad"
        return "Tie" if label == TIE else bad
    if kind == Task.PAIRWISE:
        return " ".join(filter(None, [letter(int(label)), "is", STRENGTHS.get(strength or 0), "better"]))
    if kind == Task.RANKING:
        return " > ".join(" = ".join(map(letter, group)) for group in read_order(label))
    if kind == Task.EDIT:
        return f"improved {letter(int(label))}"
    return WRITTEN.get(Task(kind), kind)


def took_words(active_ms: int | None) -> str:
    """How long somebody was at it: "34 s", "2 min 5 s"; empty where it is not known."""
    if active_ms is None:
        return ""
    minutes, seconds = divmod(round(active_ms / 1000), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def read_label(*, project: Project, responses: int, text: str) -> str:
    """The label that a person wrote or chose for a known or settled answer, checked against the kind of task.

    A review takes "good" or "bad"; a comparison "0", "1", "tie" or "both_bad"; a ranking letters from
    best to worst, "B > A = C" (positions, "1>0=2", will do), or "both_bad". Raises Refused with what is allowed.
    """
    given = text.strip()
    if project.task == Task.RAG:
        if given in (GOOD, BAD):
            return given
        raise Refused(f"The answer given is {text[:60]!r}; choose good or bad.")
    if project.task == Task.PAIRWISE:
        if given in ("0", "1", TIE, BOTH_BAD) and responses == 2:
            return given
        raise Refused(f"The answer given is {text[:60]!r}; choose A, B, tie or both bad.")
    if project.task != Task.RANKING:
        raise Refused(
            f"This project asks people to {project.get_task_display().lower()}, which has no single right "
            "answer to choose; return the answers that are wrong instead."
        )
    if given == BOTH_BAD:
        return given
    order = "".join(_position(sign, responses) for sign in given.upper().replace(" ", ""))
    try:
        groups = read_order(order)
    except Refused:
        groups = []
    if sorted(place for group in groups for place in group) != list(range(responses)):
        best = " > ".join(letter(place) for place in range(responses))
        raise Refused(
            f"The order given is {text[:60]!r}; name each response once, from best to worst, as in {best!r}, "
            "with = between equals."
        )
    return ">".join("=".join(map(str, sorted(group))) for group in groups)


def rated(
    answer: dict[str, Any], order: Sequence[int], attributes: Sequence[Attribute]
) -> list[dict[str, Any]]:
    """Ratings as rows of words and one value for each stored response; None where one is missing."""
    known = {attribute["key"]: attribute["words"] for attribute in attributes}
    rows = []
    for key, values in answer.get("ratings", {}).items():
        stored: list[int | None] = list(values)
        for place, position in enumerate(order):
            stored[position] = values[place]
        rows.append({"words": known.get(key, key), "values": stored})
    return rows


def _position(sign: str, responses: int) -> str:
    place = ord(sign) - ord("A")
    return str(place) if 0 <= place < min(responses, 26) else sign
