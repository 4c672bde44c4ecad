"""What a judge said of reviewed answers beside what their reviewers said, part by part. Imports SciPy: for jobs.

A part is a context, a sentence or a whole answer, by the measure. People say yes or no of it: relevant or partly,
supported, answered or partly, against not at all. With several reviewers the majority speaks; where they are evenly
split, nobody can be right, and the part is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.agreeing import shared_numbers
from evaluation.drawing_reviews import About, Review
from evaluation.scorers.base import Mark
from evaluation.scorers.rag import ABSTAINED, EVEN
from evaluation.scorers.sentences import placed

YES, NO, SKIP = SAID = ("yes", "no", "skip")
SPLIT = "split"
MOST_SENTENCES = 200  # of an answer, as the scorer takes at most


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a reviewed answer. `people` and `judge` say yes or no; the judge may skip what it takes for no claim,
    and where it gave nothing it is "", with the reason. `value` is its probability of a yes."""

    people: str
    judge: str
    prompt: str
    text: str
    value: float | None = None
    reason: str = ""

    @property
    def margin(self) -> float:
        """How sure the judge is, from 0 to 1."""
        return 0.0 if self.value is None else abs(2 * self.value - 1)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one answer, on how many more people are evenly split, and how many more the judge takes for no claim
    although nobody marked them."""

    parts: list[Part]
    split: int = 0
    skipped: int = 0


def parts_of(about: str, review: Review, mark: Mark) -> Parts:
    """An answer that was reviewed and marked by the judge."""
    if mark.state == "unscorable" and mark.reason != ABSTAINED:
        return Parts([])
    votes = list(_votes(About(about), review))
    said = _said(About(about), mark, [vote.text for vote in votes])
    parts, split, skipped = [], 0, 0
    for vote, (judge, value) in zip(votes, said, strict=True):
        if vote.people == SPLIT:
            split += 1
        elif judge == SKIP and not vote.is_marked:
            skipped += 1
        elif vote.people:
            reason = "" if judge else mark.reason
            parts.append(Part(vote.people, judge, review.cluster, vote.text, value, reason))
    return Parts(parts, split, skipped)


def numbers(parts: Sequence[Part]) -> dict[str, Any]:
    """The numbers of a card. A part's cluster is its prompt: the parts of one prompt are not independent."""
    return shared_numbers(parts, people=(YES, NO), judge=SAID)


@dataclass(frozen=True, slots=True)
class _Vote:
    """A part, and what most people said of it: SPLIT where they are split, "" where nobody did. `is_marked` is whether
    anybody said it, and did not only leave it as it was."""

    text: str
    people: str
    is_marked: bool = True


def _votes(about: About, review: Review) -> Iterator[_Vote]:
    match about:
        case About.CONTEXT_RELEVANCE:
            for place, text in enumerate(review.contexts):
                grades = [said[place] for said in review.people if place < len(said)]
                yield _Vote(text, _most([grade > 0 for grade in grades if grade is not None]))
        case About.GROUNDEDNESS:
            for text, places in placed(review.text)[:MOST_SENTENCES]:
                against, for_it = ([_touches(said[way], places) for said in review.people] for way in (0, 1))
                yield _Vote(text, _most([not one for one in against]), any(against + for_it))
        case _:
            yield _Vote(review.text, _most([grade > 0 for grade in review.people]))


def _touches(spans: Sequence[Sequence[int]], places: Sequence[int]) -> bool:
    """Whether a stretch holds any letter or digit of a sentence, whose places in the text these are."""
    return any(start <= place < end for start, end in spans for place in places)


def _most(votes: Sequence[bool]) -> str:
    if not votes:
        return ""
    yes = sum(votes)
    return SPLIT if 2 * yes == len(votes) else YES if 2 * yes > len(votes) else NO


def _said(about: About, mark: Mark, texts: Sequence[str]) -> list[tuple[str, float | None]]:
    """What the judge said of each part, and its probability of a yes."""
    if mark.state == "error":
        return [("", None)] * len(texts)
    detail = dict(mark.detail or {})
    match about:
        case About.CONTEXT_RELEVANCE:
            return [_word(value) for value in detail["relevance"]]
        case About.GROUNDEDNESS:
            return [_word(value) for value in _supports(detail["claims"], texts)]
        case _:
            return [(NO, None) if detail["abstained"] else _word(detail["answers_probability"])]


def _supports(claims: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Iterator[float | None]:
    """How far each sentence is supported; None for those that the judge takes for no claim. It said the same of the
    same words, so that the order tells which is which."""
    ahead = iter(claims)
    claim = next(ahead, None)
    for text in texts:
        if claim is None or claim["text"] != text:
            yield None
        else:
            yield claim["supported"]
            claim = next(ahead, None)


def _word(value: float | None) -> tuple[str, float | None]:
    return (SKIP, None) if value is None else (YES if value >= EVEN else NO, value)
