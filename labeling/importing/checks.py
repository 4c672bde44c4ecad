"""What every draft must satisfy before it is stored, whatever file it came from."""

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from labeling.errors import Refused, RowRefused
from labeling.importing.judgments import order_label
from labeling.importing.reviews import checked_review, refuse_contexts
from labeling.intake import ItemDraft, VerdictDraft
from labeling.values import BOTH_BAD, LONGEST_REASON, LONGEST_TEXT, STRENGTHS, TIE, read_order

MIN_RESPONSES = {"pairwise": 2, "ranking": 2, "rating": 1, "demonstration": 0, "edit": 1, "rag": 1}
MAX_RESPONSES = 50
LONGEST_PERSON = 140
AS_RANKING = {"0": "0>1", "1": "1>0", TIE: "0=1", BOTH_BAD: BOTH_BAD}
AS_PAIR = {ranking: pair for pair, ranking in AS_RANKING.items()}


def finished(draft: ItemDraft, *, task: str) -> ItemDraft:
    """The draft as a project with this task takes it.

    Judgments of another kind than the task's are kept in `extra["other_judgments"]`, and responses of the same text
    are named in `extra["identical_responses"]` as groups of positions. Raises RowRefused with what is wrong.
    """
    _count(draft, task)
    refuse_contexts(draft.contexts)
    _storable(draft)
    extra = {key: value for key, value in draft.extra.items() if key != "identical_responses"}
    if groups := identical(draft):
        extra["identical_responses"] = groups
    verdicts, others = _sorted_out(draft, task)
    if others:
        earlier = extra.get("other_judgments")
        kept = earlier if isinstance(earlier, list) else []
        extra["other_judgments"] = [*kept, *map(_plain, others)]
    if extra == draft.extra and verdicts == draft.verdicts:
        return draft
    return replace(draft, extra=extra, verdicts=verdicts)


def identical(draft: ItemDraft) -> list[list[int]]:
    """Groups of positions whose responses have the same text: [[0, 2]]."""
    places: dict[str, list[int]] = {}
    for position, response in enumerate(draft.responses):
        places.setdefault(response.text, []).append(position)
    return [group for group in places.values() if len(group) > 1]


def _count(draft: ItemDraft, task: str) -> None:
    count, least = len(draft.responses), MIN_RESPONSES[task]
    words = f"there {'is' if count == 1 else 'are'} {count} response{'' if count == 1 else 's'}"
    if task == "pairwise" and count != 2:
        more = "; a project that ranks takes more" if count > 2 else "; add the missing ones"
        raise RowRefused(f"{words}; a pairwise item has exactly 2{more}")
    if task == "rag" and count > 1:
        raise RowRefused(f"{words}; a review is of 1 answer: give each its own row")
    if count < least:
        raise RowRefused(f"{words}; an item of a {task} project needs {least} or more; add the missing ones")
    if count > MAX_RESPONSES:
        raise RowRefused(f"{words}; an item has up to {MAX_RESPONSES}; split the row")


def _checked(verdict: VerdictDraft, draft: ItemDraft) -> VerdictDraft:
    """The verdict with its label in the one way of writing it. Raises RowRefused where it says nothing of the item."""
    person, responses = verdict.person, len(draft.responses)
    if not person.strip() or len(person) > LONGEST_PERSON:
        raise RowRefused(
            f"a verdict is by {person[:40]!r}; name its person with 1 to {LONGEST_PERSON} letters"
        )
    if verdict.strength is not None and verdict.strength not in STRENGTHS:
        raise RowRefused(f"the strength of {person}'s verdict is {verdict.strength}; use 1, 2, 3 or null")
    if len(verdict.rationale) > LONGEST_REASON or len(verdict.text) > LONGEST_TEXT:
        raise RowRefused(
            f"{person}'s verdict is too long; a rationale has up to {LONGEST_REASON:,} letters "
            f"and a text up to {LONGEST_TEXT:,}"
        )
    if verdict.kind not in MIN_RESPONSES:
        raise RowRefused(
            f"{person}'s verdict is of the kind {verdict.kind!r}; use {', '.join(MIN_RESPONSES)}"
        )
    if verdict.kind == "rag":
        return checked_review(verdict, draft)
    if verdict.kind == "ranking":
        return replace(verdict, label=_order(verdict, responses))
    if problem := _problem(verdict, responses):
        raise RowRefused(f"{person}'s {verdict.kind} verdict {problem}")
    return verdict


def _problem(verdict: VerdictDraft, responses: int) -> str:
    """What is wrong with a verdict that is no ranking; empty where nothing is."""
    if verdict.kind == "pairwise":
        if responses != 2:
            return f"compares 2 responses, but the item has {responses}"
        if verdict.label not in AS_RANKING:
            return f"has the label {verdict.label[:40]!r}; use {', '.join(AS_RANKING)}"
    elif verdict.kind == "rating":
        lengths = {len(values) for values in verdict.ratings.values()}
        if lengths != {responses}:
            return f"must hold {responses} values by attribute, one per response, null where there is none"
    elif not verdict.text.strip():
        return "has no text"
    elif verdict.kind == "edit" and not 0 <= (-1 if verdict.edited is None else verdict.edited) < responses:
        return f"is of response {verdict.edited}; edited is a position from 0 to {responses - 1}"
    elif verdict.kind == "demonstration" and verdict.edited is not None:
        return "names an edited response; its kind is edit then"
    return ""


def _order(verdict: VerdictDraft, responses: int) -> str:
    if verdict.label == BOTH_BAD:
        return BOTH_BAD
    try:
        groups = read_order(verdict.label)
    except Refused as refusal:
        raise RowRefused(f"{verdict.person}'s ranking cannot be read: {refusal.sentence}") from refusal
    if sorted(position for group in groups for position in group) != list(range(responses)):
        raise RowRefused(
            f"{verdict.person}'s ranking is {verdict.label[:60]!r}; "
            f'name each position from 0 to {responses - 1} once, best first, as in "1>0=2"'
        )
    return order_label(groups)


def _sorted_out(draft: ItemDraft, task: str) -> tuple[list[VerdictDraft], list[VerdictDraft]]:
    """The verdicts that fit the task, one a person, and the others. Those of the task's own kind come first."""
    checked = [_checked(verdict, draft) for verdict in draft.verdicts]
    fitting: dict[str, VerdictDraft] = {}
    others = []
    for verdict in sorted(checked, key=lambda verdict: verdict.kind != task):
        same = _as_task(verdict, task)
        if verdict.person not in fitting and same is not None:
            fitting[verdict.person] = same
        elif verdict.kind == task:
            raise RowRefused(f"{verdict.person} judged the item twice; keep one of the verdicts")
        else:
            others.append(verdict)
    return list(fitting.values()), others


def _as_task(verdict: VerdictDraft, task: str) -> VerdictDraft | None:
    """The verdict as one of the task's kind: of two responses, a comparison is a ranking and the other way round."""
    if verdict.kind == task:
        return verdict
    if (verdict.kind, task) == ("pairwise", "ranking"):
        return replace(verdict, kind=task, label=AS_RANKING[verdict.label])
    if (verdict.kind, task) == ("ranking", "pairwise"):
        return replace(verdict, kind=task, label=AS_PAIR[verdict.label])
    return None


def _plain(verdict: VerdictDraft) -> dict[str, Any]:
    return {key: value for key, value in asdict(verdict).items() if value not in (None, "", {})}


def _storable(draft: ItemDraft) -> None:
    """Raise RowRefused where a text holds what no database takes."""
    for text in _texts(draft):
        if "\0" in text:
            raise RowRefused("a text holds a NUL character (\\u0000), which databases refuse; remove it")
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise RowRefused(
                "a text holds half of a surrogate pair, which is not valid Unicode; save it again"
            )


def _texts(draft: ItemDraft) -> Iterator[str]:
    yield draft.source_ref
    yield draft.licence
    for message in draft.messages:
        yield message["content"]
    for response in draft.responses:
        yield response.text
        yield response.origin
    for context in draft.contexts:
        yield from (context.text, context.title, context.ref)
    yield from _within(draft.extra, "extra")
    for verdict in draft.verdicts:
        yield from _within(verdict.rag, "a review")
        yield from (verdict.person, verdict.kind, verdict.label, verdict.text, verdict.rationale)
        yield from verdict.ratings


def _within(whole: Any, name: str) -> list[str]:
    """All texts in what comes with a row. Raises RowRefused where it cannot be stored as JSON."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise RowRefused(f"{name} holds {value}, which is not a number in JSON; use null")
        elif isinstance(value, (dict, list)):
            for part in (*value, *value.values()) if isinstance(value, dict) else value:
                walk(part)

    try:
        walk(whole)
    except RecursionError:
        raise RowRefused(f"{name} is nested too deeply; give a flat object") from None
    return found
