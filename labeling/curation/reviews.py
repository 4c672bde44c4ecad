"""What the reviews of one RAG answer decide: whether it is good, which half of the system it trains, and which of its
chunks are relevant."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.curation.recipe import Recipe
from labeling.curation.votes import Vote
from labeling.rag.answers import GOOD
from labeling.rag.stages import Blamed, stage_of

RELEVANT, IRRELEVANT = 2, 0
Review = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Good or bad, and the share of the reviews, or the probability, for it; the reason where neither is decided."""

    label: str = ""
    confidence: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """What most of those said of a chunk who marked it, and how many of them; None where no value has a majority."""

    value: int | None = None
    share: float = 0.0


def decided(
    votes: Sequence[Vote], recipe: Recipe, settled: str | None, chances: Mapping[str, float] | None = None
) -> Verdict:
    """Whether the answer is good: by the settled answer where a reviewer gave one, else as the recipe says. `chances`
    holds what a model of the people says. Bradley and Terry's model says nothing of one answer; the majority does."""
    if settled is not None:
        shares: Mapping[str, float] = {settled: 1.0}
    elif recipe.aggregation == "adjudicated":
        return Verdict(reason="not_settled")
    elif chances is not None:
        shares = chances
    else:
        counts = Counter(vote.label for vote in votes)
        shares = {label: count / counts.total() for label, count in counts.items()}
    label = max(sorted(shares), key=lambda each: shares[each])
    if shares[label] <= 0.5:
        return Verdict(reason="no_majority")
    if shares[label] < recipe.min_agreement:
        return Verdict(reason="agreement")
    return Verdict(label, round(shares[label], 6))


def trains(review: Review, stages: Mapping[str, str]) -> Blamed | None:
    """Which half of the system a review trains: never both. What blames the known answer alone trains neither."""
    return stage_of(review, stages) or ("generation" if review.get("verdict") == GOOD else None)


def most_train(reviews: Iterable[Review], stages: Mapping[str, str]) -> str:
    """Which half most of the reviews train, or the reason why that is not decided: "divided", or "nobody"."""
    counts = Counter(trains(review, stages) for review in reviews)
    one, two = counts["retrieval"], counts["generation"]
    if one == two:
        return "divided" if one else "nobody"
    return "retrieval" if one > two else "generation"


def marks_of(reviews: Sequence[Review], chunks: int) -> list[Mark]:
    """What the reviews say of each of so many chunks together."""
    found = []
    for place in range(chunks):
        given = Counter(mark for review in reviews if (mark := _mark(review, place)) is not None)
        value, most = next(iter(given.most_common(1)), (None, 0))
        found.append(Mark(value, round(most / given.total(), 6)) if most * 2 > given.total() else Mark())
    return found


def missed_in(reviews: Iterable[Review]) -> list[str]:
    """The passages that these reviews say should have been found, each once."""
    return list(dict.fromkeys(text for review in reviews if (text := review.get("missed"))))


def _mark(review: Review, place: int) -> int | None:
    marks = review.get("relevance") or []
    return marks[place] if place < len(marks) else None
