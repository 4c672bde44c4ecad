"""Reviews of RAG answers → rows: for the generator what was corrected and what was called good or bad, for the
retriever what it should have found. One review trains one of the two."""

from collections.abc import Iterator, Sequence

from labeling.curation.payload import Message, Source
from labeling.curation.recipe import PAIRED, Recipe
from labeling.curation.reviews import IRRELEVANT, RELEVANT, Verdict, marks_of, missed_in, most_train, trains
from labeling.curation.rows import EDITED, Decided, Made, completion_row, labelled, pair_row, with_margin
from labeling.curation.votes import Vote
from labeling.rag.answers import BAD, GOOD, in_line_ends_of, same_text


def review_rows(item: Decided, verdict: Verdict, source: Source, recipe: Recipe) -> Iterator[Made | str]:
    """The rows of a reviewed item without their split, or the reasons why a part of it gives none."""
    half = most_train(source.reviews.values(), source.stages)
    if half != ("retrieval" if recipe.kind == "retriever" else "generation"):
        yield half
        return
    votes = [vote for vote in item.votes if trains(source.reviews[vote.judgment_id], source.stages) == half]
    yield from ["outvoted"] * (len(item.votes) - len(votes))
    if half == "retrieval":
        yield _retrieval(source, votes)
    else:
        yield from _generation(verdict, source, votes, recipe)


def _generation(verdict: Verdict, source: Source, votes: list[Vote], recipe: Recipe) -> Iterator[Made | str]:
    """Each correction makes a row of its own, as edits do, unless most call the answer good; so does the answer where
    it is decided whether it is good."""
    answer = source.texts[0]
    given = 0
    for vote in votes:
        corrected = source.reviews[vote.judgment_id].get("corrected") or ""
        if not corrected.strip():
            continue
        given += 1
        if same_text(corrected, answer):
            yield "identical"
        elif verdict.label == GOOD:
            yield "called_good"
        else:
            yield _corrected(source, in_line_ends_of(answer, corrected), answer, vote, recipe)
    if recipe.kind == "unpaired":
        row = labelled(source, answer, verdict.confidence, good=verdict.label == GOOD)
        yield Made(row, votes) if verdict.label else verdict.reason
    elif verdict.label == GOOD and recipe.kind not in PAIRED:
        yield completion_row(source, answer, "good", verdict.confidence, recipe, votes)
    elif not given:
        yield {GOOD: "no_worse", BAD: "not_corrected"}.get(verdict.label, verdict.reason)


def _corrected(source: Source, text: str, answer: str, vote: Vote, recipe: Recipe) -> Made | str:
    if recipe.kind in PAIRED:
        return with_margin(pair_row(source, text, answer, EDITED, 1.0, 1.0), recipe, None, [vote])
    if recipe.kind == "unpaired":
        return Made(labelled(source, text, 1.0, good=True), [vote])
    return completion_row(source, text, "correction", 1.0, recipe, [vote])


def _retrieval(source: Source, votes: list[Vote]) -> Made | str:
    """The query with the chunks that most call relevant and the passages that anybody gives as missed, and the chunks
    that most call not relevant: near misses, since the retriever brought them. Partly relevant ones are neither."""
    reviews = [source.reviews[vote.judgment_id] for vote in votes]
    marks = marks_of(reviews, len(source.chunks))
    known = [(text, mark) for text, mark in zip(source.chunks, marks, strict=True) if text.strip()]
    relevant = [text for text, mark in known if mark.value == RELEVANT]
    positives = list(dict.fromkeys([*relevant, *missed_in(reviews)]))
    negatives = list(dict.fromkeys(text for text, mark in known if mark.value == IRRELEVANT))
    if not positives:
        return "no_positive"
    if set(positives) & set(negatives):
        return "contradicted"
    sure = min((mark.share for _, mark in known if mark.value in (RELEVANT, IRRELEVANT)), default=1.0)
    query = _query(source.asked)
    row = {"query": query, "positives": positives, "negatives": negatives, "confidence": sure}
    return Made(row, votes)


def _query(asked: Sequence[Message]) -> str:
    """What the retriever is asked: the question, or the whole conversation where the question alone may not be one."""
    turns = [turn for turn in asked if turn["role"] != "system"] or list(asked)
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
