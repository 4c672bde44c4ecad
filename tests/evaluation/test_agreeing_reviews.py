"""What a judge and reviewers said of one answer becomes parts that are counted, or left out for a reason."""

from typing import Any

from evaluation.agreeing_reviews import parts_of
from evaluation.drawing_reviews import About, Review
from evaluation.scorers.base import Mark, failed, unscorable
from evaluation.scorers.rag import Groundedness

HELLO, TRUE, FALSE = "Hello there!", "Basil needs six hours of sun.", "It was first grown on the Moon."
TEXT = f"{HELLO} {TRUE}\n\n- {FALSE}"


def marked(about: str, people: list[Any], mark: Mark, *, contexts: int = 2, text: str = TEXT) -> Any:
    review = Review(1, "i", "p", [], [f"chunk {n}" for n in range(contexts)], text, people)
    found = parts_of(about, review, mark)
    return [(part.people, part.judge) for part in found.parts], found.split, found.skipped


def test_the_majority_speaks_and_an_even_split_is_left_out() -> None:
    relevance = Mark(0.5, detail={"relevance": [0.9, 0.2]})
    about = About.CONTEXT_RELEVANCE
    both = [("yes", "yes"), ("no", "no")]
    assert marked(about, [[2, 0], [1, 0], [0, 1]], relevance) == (both, 0, 0)
    assert marked(about, [[2, 0], [0, 0]], relevance) == (both[1:], 1, 0)
    assert marked(about, [[2], [None, 0]], relevance) == (both, 0, 0)
    assert marked(about, [[None, 0]], relevance) == (both[1:], 0, 0)  # the first was marked by nobody


def against(*spans: tuple[int, int]) -> list[Any]:
    """A review that finds no support for these stretches."""
    return [[list(span) for span in spans], []]


def test_a_sentence_is_objected_to_where_a_mark_holds_any_word_of_it() -> None:
    start = TEXT.index(FALSE)
    claims = [{"text": TRUE, "supported": 0.8}, {"text": FALSE, "supported": 0.3}]
    mark = Mark(0.5, detail={"claims": claims})
    about = About.GROUNDEDNESS
    assert marked(about, [against((start, start + 5))], mark) == ([("yes", "yes"), ("no", "no")], 0, 1)
    before = TEXT.index(TRUE) + len(TRUE) - 1  # its full stop, the line between and the sign of the list
    assert marked(about, [against((before, start))], mark) == ([("yes", "yes"), ("yes", "no")], 0, 1)
    said = [("no", "skip"), ("no", "yes"), ("no", "no")]
    assert marked(about, [against((0, len(TEXT)))], mark) == (said, 0, 0)
    linked = [[], [[0, 3]]]  # to a chunk: it claims something
    assert marked(about, [linked], mark) == ([("yes", "skip"), ("yes", "yes"), ("yes", "no")], 0, 0)


def test_a_mark_on_a_sentence_is_not_taken_for_one_on_a_heading_of_the_same_words() -> None:
    text = "## Basil needs sun.\n***\n```\nBasil needs sun.\n```\nBasil needs sun. Water it."
    start = text.rindex("Basil")
    mark = Mark(0.5, detail={"claims": [{"text": "Basil needs sun.", "supported": 0.2}]})
    people = [against((start, start + 5))]
    assert marked(About.GROUNDEDNESS, people, mark, text=text) == ([("no", "no")], 0, 1)


def test_what_the_judge_cannot_say_is_an_error_and_what_has_no_meaning_is_no_part() -> None:
    about = About.GROUNDEDNESS
    dead = failed("the judge gave nothing: it died")
    assert marked(about, [against()], dead) == ([("yes", "")] * 3, 0, 0)
    assert marked(about, [against()], unscorable("this case has no contexts")) == ([], 0, 0)
    declined = unscorable("abstained", {"claims": [], "abstained": True})
    assert marked(about, [against()], declined) == ([], 0, 3)
    assert marked(about, [against((0, 3))], declined) == ([("no", "skip")], 0, 2)
    long = " ".join(f"Number {n} is odd." for n in range(250))
    most = Groundedness.Params.model_fields["most"].metadata
    assert any(getattr(one, "le", None) == 200 for one in most)
    assert len(marked(about, [against()], dead, text=long)[0]) == 200
    refusing = Mark(0.0, detail={"abstained": True, "answers_probability": 0.9})
    review = Review(1, "i", "p", [], [], TEXT, [2])
    (part,) = parts_of(About.ANSWER_RELEVANCE, review, refusing).parts
    assert (part.people, part.judge, part.value) == ("yes", "no", None)
