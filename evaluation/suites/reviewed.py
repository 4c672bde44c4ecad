"""Reviews of RAG answers as cases: what was retrieved, what of it was relevant, and what would have been right."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from labeling.blind import hidden_items
from labeling.curation.reviews import RELEVANT, marks_of, missed_in
from labeling.models import Chunk, Item, Project, Resolution, Task, User
from labeling.rag.answers import BAD, GOOD, same_text
from labeling.rag.stages import categories_in
from labeling.rag.taxonomy import current
from labeling.reviewlist import standing

NAMES = ("conversation", "conversation_id", "dialogue_id")  # what importers and captures call it
MOST_CATEGORIES = 12  # of a case: its tags are for slices, not for everything that anybody saw
Review = Mapping[str, Any]


def flagged_items(*, project: Project, person: User | None) -> list[int]:
    """The items whose answer somebody calls bad as things stand, in their order, without those that this person may
    still be given to judge."""
    bad = standing(project=project, kind=Task.RAG, label=BAD).order_by()
    found = set(bad.values_list("item_id", flat=True))
    return sorted(found - hidden_items(project=project, person=person, items=found))


def fields_of(
    *, project: Project, items: Sequence[Item], texts: Mapping[int, Sequence[str]], hidden: set[int]
) -> dict[int, dict[str, Any]]:
    """Item → the columns of its case beside the prompt. What others said of `hidden` items stays out.

    The correction given last is the reference, or the answer itself where most call it good.
    """
    keys = [item.pk for item in items]
    reviews = _reviews([key for key in keys if key not in hidden])
    settled = dict(Resolution.objects.filter(item__in=reviews).order_by("pk").values_list("item_id", "label"))
    chunks: dict[int, list[str]] = defaultdict(list)
    passages = Chunk.objects.filter(item__in=keys).order_by("item", "position")
    for key, text in passages.values_list("item_id", "text"):
        chunks[key].append(text)
    names = current(project) if reviews else {}
    found: dict[int, dict[str, Any]] = {}
    for item in items:
        row: dict[str, Any] = {"contexts": chunks[item.pk], "cluster": conversation_of(item)}
        if given := reviews.get(item.pk):
            answer = next(iter(texts.get(item.pk, ())), "")
            row |= _said(given, settled.get(item.pk, ""), answer, chunks[item.pk], names)
        found[item.pk] = row
    return found


def conversation_of(item: Item) -> str:
    """What the item has in common with the other turns of its conversation; "" where none are known."""
    for name in NAMES:
        value = item.extra.get(name)
        if isinstance(value, str | int) and str(value).strip():
            return str(value)[:100]
    turns = [turn["content"] for turn in item.messages if turn["role"] != "system"]
    if len(turns) < 2:
        return ""
    return f"conversation {hashlib.sha256(turns[0].encode()).hexdigest()[:16]}"


def _reviews(keys: Sequence[int]) -> dict[int, list[Review]]:
    """The reviews of each item as they stand, oldest first."""
    found: dict[int, list[Review]] = defaultdict(list)
    rows = standing(item__in=keys, kind=Task.RAG).order_by("item_id", "pk")
    for item, answer in rows.values_list("item_id", "answer"):
        found[item].append(answer)
    return found


def _said(
    reviews: Sequence[Review],
    settled: str,
    answer: str,
    chunks: Sequence[str],
    names: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    flagged = [key for review in reviews for key in categories_in(review)]
    tags = [name for key in dict.fromkeys(flagged) for name in names.get(key, [key])]
    marks = marks_of(reviews, len(chunks))
    relevant = [text for text, mark in zip(chunks, marks, strict=True) if mark.value == RELEVANT]
    row: dict[str, Any] = {
        "tags": list(dict.fromkeys(tags))[:MOST_CATEGORIES],
        "gold": list(dict.fromkeys([*relevant, *missed_in(reviews)])),
    }
    counts = Counter(review.get("verdict") for review in reviews)
    good = settled == GOOD if settled else counts[GOOD] > counts[BAD]
    corrected = [text for review in reviews if (text := (review.get("corrected") or "").strip())]
    corrected = [text for text in corrected if not same_text(text, answer)]
    if good:
        return row | {"reference": answer}
    if answer.strip():
        row["rejected"] = answer
    return row | ({"reference": corrected[-1]} if corrected else {})
