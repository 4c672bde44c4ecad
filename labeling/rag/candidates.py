"""Spans that a second reviewer should look at: one reader alone overlooks many.

A re-reading of 408 RAGTruth answers found 865 error spans where the first pass had 86. Candidates are what a first
review marked, and sentences that no chunk says, or that chunks say the other way round. They are shown without author
and category.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from labeling.models import Chunk, Item, Judgment, Purpose, Response, User
from labeling.rag.answers import Candidate, Stretch, errors_in
from labeling.rag.stopwords import STOPWORDS

WORD = re.compile(r"[^\W_]+(?:['’\-.,][^\W_]+)*")
SENTENCE = re.compile(r"[^\n.!?]*(?:[.!?](?!\s|$|[\"')\]])[^\n.!?]*)*[.!?]*[\"')\]]*")
NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|without|cannot|\w+n['’]t)\b", re.IGNORECASE
)
STEM, FEWEST_WORDS, SUPPORTED, MOST = 5, 3, 0.5, 100
MOST_READ = 2_000_000  # characters of all chunks, a second or two; above, only marks are proposed


def candidates_of(item: Item, person: User) -> list[Candidate]:
    """The candidates of an item for this person, in the order of the text; no two overlap."""
    text = Response.objects.filter(item=item).values_list("text", flat=True).first() or ""
    chunks = list(Chunk.objects.filter(item=item).values_list("text", flat=True))
    given = Judgment.objects.filter(item=item, purpose=Purpose.WORK).exclude(person=person)
    newest = dict(given.order_by("revision").values_list("assignment_id", "answer__spans"))
    marked = [stretch for spans in newest.values() for stretch in errors_in(spans)]
    readable = sum(map(len, chunks)) <= MOST_READ
    return together(text, marked, unsupported(text, chunks) if readable else [])


def together(text: str, marked: Sequence[Stretch], lexical: Sequence[Stretch]) -> list[Candidate]:
    """Marked stretches, joined where they overlap, and what is left of the lexical ones beside them."""
    joined = _joined((max(0, start), min(len(text), end)) for start, end in marked)
    found = [Candidate(start=start, end=end, source="marked") for start, end in joined]
    for stretch in lexical:
        for start, end in _without(stretch, joined):
            start, end = _trimmed(text, start, end)
            if len(_words(text[start:end])) >= FEWEST_WORDS:
                found.append(Candidate(start=start, end=end, source="lexical"))
    return sorted(found, key=lambda candidate: candidate.start)[:MOST]


def unsupported(text: str, chunks: Sequence[str]) -> list[Stretch]:
    """Sentences of the text whose content words are hardly in any chunk, which hold a number that is in none, or which
    deny what chunks say, or say what chunks deny.

    A sentence counts as supported where one chunk has SUPPORTED of its content words, compared by their first STEM
    letters. It is turned round where sentences of such chunks have as many of them, and each of those has a negation
    and it has none, or the other way about. Sentences of fewer than FEWEST_WORDS content words are passed over. No
    learning, no chance: the same text gives the same spans.
    """
    bags = [_words(chunk) for chunk in chunks]
    anywhere = set().union(*bags) if bags else set()
    said = cache(_said)
    found = []
    for start, end in sentences(text):
        words = _words(text[start:end])
        if len(words) < FEWEST_WORDS:
            continue
        enough = SUPPORTED * len(words)
        holding = [chunk for chunk, bag in zip(chunks, bags, strict=True) if len(words & bag) >= enough]
        numbers = {word for word in words if word[0].isdigit()}
        near = {denied for chunk in holding for bag, denied in said(chunk) if len(words & bag) >= enough}
        turned = bool(near) and _denies(text[start:end]) not in near
        if not holding or numbers - anywhere or turned:
            found.append((start, end))
    return found


def sentences(text: str) -> Iterator[Stretch]:
    """Where each sentence or line of the text begins and ends, without the white space around it."""
    for match in SENTENCE.finditer(text):
        start, end = _trimmed(text, match.start(), match.end())
        if end > start:
            yield start, end


def _words(text: str) -> set[str]:
    """The content words of a text by their first letters; numbers whole, without what separates thousands."""
    found = set()
    for word in WORD.findall(text.casefold()):
        if word[0].isdigit():
            found.add(word.replace(",", ""))
        elif len(word) > 2 and word not in STOPWORDS:
            found.add(word[:STEM])
    return found


def _said(chunk: str) -> list[tuple[set[str], bool]]:
    """The content words of each sentence of a chunk, and whether it has a negation."""
    return [(_words(chunk[start:end]), _denies(chunk[start:end])) for start, end in sentences(chunk)]


def _denies(text: str) -> bool:
    return NEGATION.search(text) is not None


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif end > start:
            found.append((start, end))
    return found


def _without(stretch: Stretch, taken: Sequence[Stretch]) -> Iterator[Stretch]:
    """The parts of a stretch that lie in none of those taken, which are in order and apart."""
    start, end = stretch
    for begin, stop in taken:
        if stop <= start or begin >= end:
            continue
        if begin > start:
            yield start, begin
        start = stop
    if start < end:
        yield start, end


def _trimmed(text: str, start: int, end: int) -> Stretch:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
