"""Equal, contains, fits a pattern, how long, cut off."""

from typing import Any

import pytest

from evaluation.scorers import find_scorer, read_params
from evaluation.scorers.matching import count_words, normalised, tokens
from labeling.errors import Refused
from tests.evaluation.scorers.made import case, score


@pytest.mark.parametrize(
    ("answer", "value"), [("Berlin", 1.0), ("\n Berlin ", 1.0), ("berlin", 0.0), ("Berlin.", 0.0), ("", 0.0)]
)
def test_an_equal_answer_is_equal_letter_by_letter(answer: str, value: float) -> None:
    assert score("exact", answer, case(reference="Berlin ")).value == value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The  Café!", "the café"),
        ("ﬁne", "FINE"),
        ("STRASSE", "straße"),
        ("１２３", "123"),
        ("“Yes,” he said.", "yes he said"),
        ("e\u0301", "é"),
        ("−5", "-5"),
    ],
)
def test_case_typography_and_punctuation_do_not_count(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert score("normalised", one, case(reference=other)).value == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [("3.14", "314"), ("-5", "5"), ("5%", "5"), ("1,5", "15"), ("the cat", "cat"), ("a b", "ab")],
)
def test_what_makes_a_number_counts(one: str, other: str) -> None:
    assert score("normalised", one, case(reference=other)).value == 0.0


def test_articles_and_punctuation_count_as_is_asked() -> None:
    reference = case(reference="cat")
    assert score("normalised", "The cat!", reference, params={"ignore_articles": True}).value == 1.0
    assert score("normalised", "cat!", reference, params={"ignore_punctuation": False}).value == 0.0
    assert score("normalised", "!", case(reference="?!")).state == "unscorable"


@pytest.mark.parametrize(
    ("params", "answer", "value"),
    [
        ({"texts": ["berlin", "Bonn"]}, "It is Berlin.", 1.0),
        ({"texts": ["berlin", "Bonn"], "every": True}, "It is Berlin.", 0.0),
        ({"texts": ["berlin", "Bonn"], "every": True}, "Berlin, once Bonn.", 1.0),
        ({"texts": ["berlin"], "ignore_case": False}, "Berlin", 0.0),
        ({"texts": ["sorry"], "absent": True}, "Berlin", 1.0),
        ({"texts": ["sorry"], "absent": True}, "Sorry, I cannot.", 0.0),
        ({}, "It is PARIS, I think", 1.0),
        ({}, "Lyon", 0.0),
    ],
)
def test_an_answer_contains_texts_or_its_reference(params: Any, answer: str, value: float) -> None:
    assert score("contains", answer, case(reference=" Paris "), params=params).value == value


def test_given_texts_need_no_reference_but_words() -> None:
    assert score("contains", "Berlin", params={"texts": ["Berlin"]}).value == 1.0
    assert score("contains", "Berlin", case(reference=" ")).state == "unscorable"
    with pytest.raises(Refused, match="one of the texts to look for is empty"):
        read_params(find_scorer("contains"), {"texts": ["a", " "]})


@pytest.mark.parametrize(
    ("params", "answer", "value"),
    [
        ({"pattern": r"\d{4}"}, "In 1989.", 1.0),
        ({"pattern": r"\d{4}", "whole": True}, "In 1989.", 0.0),
        ({"pattern": r"\d{4}", "whole": True}, " 1989\n", 1.0),
        ({"pattern": "berlin"}, "Berlin", 0.0),
        ({"pattern": "berlin", "ignore_case": True}, "Berlin", 1.0),
        ({"pattern": "as an ai", "ignore_case": True, "absent": True}, "As an AI I", 0.0),
    ],
)
def test_an_answer_fits_a_pattern(params: Any, answer: str, value: float) -> None:
    assert score("regex", answer, params=params).value == value


def test_a_pattern_that_would_search_for_ever_is_an_error() -> None:
    mark = score("regex", "a" * 60 + "b", params={"pattern": "(a|aa)+$"})
    assert mark.state == "error"
    assert mark.reason == "the pattern took more than 1 s on this text; make it simpler"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "is no regular expression"),
        ("a{100000000}", "repeats a part up to 100,000,000 times"),
        ("(?:(?:a{1000}){1000}){1000}", "repeats a part up to 1,000,000,000 times"),
        (r"a{100}{100}{2}", "repeats a part up to 20,000 times"),
        ("a" * 1001, "has 1,001 characters"),
    ],
)
def test_a_pattern_that_cannot_be_compiled_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_params(find_scorer("regex"), {"pattern": pattern})


@pytest.mark.parametrize(
    "pattern", [r"\d{4}-\d{2}-\d{2}", r"(.{1,5000})x(.{1,5000})", r"[({]{3}\(\p{Lu}{2}", r"x{99}]"]
)
def test_an_ordinary_pattern_is_taken(pattern: str) -> None:
    assert read_params(find_scorer("regex"), {"pattern": pattern})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("Don't panic, it's well-known: 3.14!", 5),
        ("今天天气好", 5),
        ("GPT4 はい", 3),
        ("a—b", 2),
        ("naïve Ünter", 2),
    ],
)
def test_words_are_counted_as_people_count_them(text: str, words: int) -> None:
    assert count_words(text) == words
    assert score("length", text).value == float(words)


def test_tokens_are_runs_of_letters_and_digits() -> None:
    assert tokens("Don't STOP, it's 3.5_x: 東京") == [
        "don",
        "t",
        "stop",
        "it",
        "s",
        "3",
        "5",
        "x",
        "東",
        "京",
    ]


def test_length_is_counted_in_the_unit_asked_for() -> None:
    assert score("length", "a bc", params={"unit": "characters"}).value == 4.0
    assert score("length", "a bc", params={"unit": "tokens"}, tokens=7).value == 7.0
    assert score("length", "a bc", params={"unit": "tokens"}).state == "unscorable"


@pytest.mark.parametrize(("answer", "value"), [("a", 0.0), ("a b", 1.0), ("a b c", 1.0), ("a b c d", 0.0)])
def test_a_length_lies_within_its_limits_or_not(answer: str, value: float) -> None:
    mark = score("length_limit", answer, params={"least": 2, "most": 3})
    assert mark.value == value
    assert mark.detail == {"length": len(answer.split())}


def test_an_answer_is_cut_off_when_it_ended_by_its_length() -> None:
    assert score("truncated", "a", finish="length").value == 1.0
    assert score("truncated", "a", finish="stop").value == 0.0
    assert score("truncated", "a").state == "unscorable"
