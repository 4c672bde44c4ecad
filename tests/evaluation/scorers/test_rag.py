"""Relevant, sufficient, grounded, answering: what a judge said of a case, and what it comes to."""

import pytest

from evaluation.scorers.rag import context_precision
from tests.evaluation.scorers.made import case, chose, questions, score, yes

TEXTS = case(contexts=["Berlin is the capital.", "Bonn lies on the Rhine.", "Berlin has 3.7 million people."])
ANSWER = "Berlin is the capital. It lies on the Rhine."


@pytest.mark.parametrize(
    ("relevant", "precision"),
    [
        ([True, False, True], (1 / 1 + 2 / 3) / 2),
        ([False, True], 1 / 2),
        ([False, False, True, True], (1 / 3 + 2 / 4) / 2),
        ([True, True, False], 1.0),
        ([False, False], 0.0),
        ([], 0.0),
    ],
)
def test_precision_asks_whether_relevant_texts_come_first(relevant: list[bool], precision: float) -> None:
    assert context_precision(relevant) == pytest.approx(precision)


def test_each_context_is_judged_and_all_of_them_together() -> None:
    asks = questions("context_relevance", None, TEXTS)
    assert list(asks) == ["context:0", "context:1", "context:2", "sufficient"]
    assert "Bonn" in asks["context:1"].messages[0]["content"]
    assert "3.7 million" not in asks["context:1"].messages[0]["content"]
    assert "[3] Berlin has 3.7 million people." in asks["sufficient"].messages[0]["content"]


@pytest.mark.parametrize(("measure", "value"), [("relevance", 0.625), ("precision", 5 / 6)])
def test_relevance_is_a_mean_of_probabilities_and_precision_an_order(measure: str, value: float) -> None:
    told = {"context:0": yes(1.0), "context:1": yes(0.25), "context:2": yes(0.625), "sufficient": yes(0.75)}
    mark = score("context_relevance", None, TEXTS, params={"measure": measure}, told=told)
    assert mark.value == pytest.approx(value)
    assert mark.detail == {
        "relevance": [1.0, 0.25, 0.625],
        "precision": pytest.approx(5 / 6),
        "sufficient": True,
        "sufficient_probability": 0.75,
    }


def test_one_context_without_a_judgment_is_an_error() -> None:
    told = {"context:0": yes(1.0), "context:1": yes(1.0), "sufficient": yes(1.0)}
    assert score("context_relevance", None, TEXTS, told=told).state == "error"


def test_each_sentence_is_held_against_the_texts() -> None:
    asks = questions("groundedness", ANSWER, TEXTS)
    assert list(asks) == ["abstains", "claim:0", "claim:1"]
    content = asks["claim:1"].messages[0]["content"]
    assert "BEGIN SENTENCE" in content
    assert content.count("It lies on the Rhine.") == 2
    assert asks["claim:1"].labels == ("yes", "no", "skip")


def test_groundedness_is_the_mean_support_of_its_claims() -> None:
    told = {
        "abstains": yes(0.125),
        "claim:0": chose(yes=0.75, no=0.25),
        "claim:1": chose(yes=0.125, no=0.5, skip=0.375),
    }
    mark = score("groundedness", ANSWER, TEXTS, told=told)
    assert mark.value == pytest.approx((0.75 + 0.2) / 2)
    assert mark.detail == {
        "claims": [
            {"text": "Berlin is the capital.", "supported": 0.75},
            {"text": "It lies on the Rhine.", "supported": pytest.approx(0.2)},
        ],
        "grounded": False,
        "abstained": False,
        "left_out": 0,
    }


def test_a_sentence_that_claims_nothing_does_not_count() -> None:
    told = {"abstains": yes(0.0), "claim:0": chose(skip=0.875, no=0.125), "claim:1": chose(yes=1.0)}
    mark = score("groundedness", "Gladly! Berlin is the capital.", TEXTS, told=told)
    assert (mark.value, mark.detail["grounded"]) == (1.0, True)  # type: ignore[index]
    assert [claim["text"] for claim in mark.detail["claims"]] == ["Berlin is the capital."]  # type: ignore[index]


@pytest.mark.parametrize(
    ("answer", "told", "why"),
    [
        ("I do not know.", {"abstains": yes(0.5)}, "the judge says that it declines to answer"),
        ("", {}, "the answer has no sentences"),
        ("…", {}, "the answer has no sentences"),
        (
            "Hello!",
            {"abstains": yes(0.0), "claim:0": chose(skip=1.0)},
            "none of its sentences claims anything",
        ),
    ],
)
def test_an_answer_that_claims_nothing_abstained(answer: str, told: dict[str, object], why: str) -> None:
    mark = score("groundedness", answer, TEXTS, told=told)
    assert (mark.state, mark.reason) == ("unscorable", "abstained")
    assert mark.detail == {"claims": [], "abstained": True, "why": why}


def test_a_long_answer_is_judged_as_far_as_the_limit() -> None:
    params = {"most": 1}
    assert list(questions("groundedness", ANSWER, TEXTS, params=params)) == ["abstains", "claim:0"]
    told = {"abstains": yes(0.0), "claim:0": chose(yes=1.0)}
    mark = score("groundedness", ANSWER, TEXTS, params=params, told=told)
    assert (mark.value, mark.detail["left_out"]) == (1.0, 1)  # type: ignore[index]


@pytest.mark.parametrize(
    ("abstains", "answers", "value", "answering"),
    [(0.25, 0.75, 0.75, True), (0.25, 0.25, 0.25, False), (0.5, 0.75, 0.0, False)],
)
def test_an_answer_answers_unless_it_declines_to(
    abstains: float, answers: float, value: float, answering: bool
) -> None:
    told = {"abstains": yes(abstains), "answers": yes(answers)}
    mark = score("answer_relevance", "Berlin", told=told)
    assert mark.value == value
    assert mark.detail == {
        "answers": answering,
        "abstained": abstains >= 0.5,
        "answers_probability": answers,
        "abstains_probability": abstains,
    }


def test_both_scorers_ask_the_same_about_abstaining_so_that_it_is_asked_once() -> None:
    one = questions("groundedness", ANSWER, TEXTS)["abstains"]
    other = questions("answer_relevance", ANSWER, TEXTS)["abstains"]
    assert one == other
