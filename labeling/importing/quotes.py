"""Quoted errors → spans with offsets. People's quotes differ from the text: a first letter made large, a comma lost."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from labeling.intake import VerdictDraft
from labeling.rag.adopting import UNPLACED
from labeling.rag.answers import BAD, GOOD, LONGEST_NOTE, Stretch

FEWEST, LIKE = 4, 0.8
"""A quote of fewer words is not looked for by likeness. LIKE is the least: twice the words in common, in order, of
the words of both."""

WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody said of words of an answer. `at` is where a file says they stand."""

    text: str
    category: str
    note: str = ""
    at: Stretch | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """The spans and failures of a RagAnswer, and how many quotes were found how: exact, case, fuzzy, none, overlap.
    `whole` are the words of those without a place, where their notes had to be cut."""

    spans: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    how: Counter[str]
    whole: list[str]

    @property
    def extra(self) -> dict[str, Any]:
        """What an item keeps of it."""
        found = {"matched": dict(self.how), "unplaced": self.whole}
        return {name: value for name, value in found.items() if value}

    def review(self, *, person: str, good: bool, rationale: str = "") -> VerdictDraft:
        """All of it as the review of somebody who was asked for marks and a verdict only."""
        rag = {
            "verdict": GOOD if good else BAD,
            "spans": self.spans,
            "failures": self.failures,
            "rationale": rationale,
            "unasked": ["relevance", "answers_question"],
        }
        return VerdictDraft(person=person, kind="rag", rag=rag)


def placed(text: str, quotes: Sequence[Quote]) -> Placed:
    """The quotes as spans of the text: as they are, else whatever the case, else the likest stretch. A quote that is in
    none, or only where another already is, becomes an error of the whole answer with the quote as its note."""
    taken: list[Stretch] = []
    spans: list[dict[str, Any]] = []
    failures: dict[str, list[str]] = {}
    how: Counter[str] = Counter()
    for quote in quotes:
        found, way = _free(quote, text, taken)
        how[way] += 1
        if found is None:
            failures.setdefault(f"{quote.category}{UNPLACED}", []).append(_quoted(quote))
            continue
        taken.append(found)
        start, end = found
        spans.append({"start": start, "end": end, "category": quote.category, "note": _cut(quote.note)})
    spans.sort(key=lambda span: span["start"])
    joined = {key: "\n".join(notes) for key, notes in failures.items()}
    listed = [{"category": key, "note": _cut(notes)} for key, notes in joined.items()]
    whole = [note for notes in failures.values() for note in notes]
    too_long = any(len(notes) > LONGEST_NOTE for notes in joined.values())
    return Placed(spans, listed, how, whole if too_long else [])


def find(quote: str, text: str) -> Iterator[tuple[Stretch, str]]:
    """The places of a quote in a text, those of the strictest way that has any: ((start, end), way)."""
    words = quote.strip()
    if not words:
        return
    ways = (("exact", re.compile(re.escape(words))), ("case", re.compile(re.escape(words), re.IGNORECASE)))
    for way, pattern in ways:
        found = [match.span() for match in pattern.finditer(text)]
        if found:
            yield from ((stretch, way) for stretch in found)
            return
    near = _likest(words, text)
    if near is not None:
        yield near, "fuzzy"


def _cut(note: str) -> str:
    """A note as long as one may be."""
    return note if len(note) <= LONGEST_NOTE else f"{note[: LONGEST_NOTE - 1]}…"


def _free(quote: Quote, text: str, taken: Sequence[Stretch]) -> tuple[Stretch | None, str]:
    """The first place of a quote that no other has, and the way it was found."""
    if quote.at is not None and text[quote.at[0] : quote.at[1]] == quote.text and quote.text:
        places: Iterator[tuple[Stretch, str]] = iter([(quote.at, "exact")])
    else:
        places = find(quote.text, text)
    way = "none"
    for (start, end), way in places:
        if all(end <= other[0] or start >= other[1] for other in taken):
            return (start, end), way
    return None, "none" if way == "none" else "overlap"


def _quoted(quote: Quote) -> str:
    says_more = quote.note and quote.text.strip() not in quote.note
    return f"“{quote.text.strip()}”{f': {quote.note}' if says_more else ''}"


def _likest(quote: str, text: str) -> Stretch | None:
    """The stretch of whole words that is most like the quote; None where it is less than LIKE.

    The longest run of words in common is the anchor: the quote is laid beside the text there.
    """
    wanted = [match[0].casefold() for match in WORD.finditer(quote)]
    places = list(WORD.finditer(text))
    words = [match[0].casefold() for match in places]
    if len(wanted) < FEWEST:
        return None
    anchor = SequenceMatcher(a=wanted, b=words, autojunk=False).find_longest_match()
    begin = max(0, anchor.b - anchor.a)
    window = words[begin : begin + len(wanted)]
    beside = SequenceMatcher(a=wanted, b=window, autojunk=False)
    blocks = [block for block in beside.get_matching_blocks() if block.size]
    if not blocks or beside.ratio() < LIKE:
        return None
    first, last = begin + blocks[0].b, begin + blocks[-1].b + blocks[-1].size - 1
    return places[first].start(), places[last].end()
