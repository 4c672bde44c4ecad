"""Conditions of one case alone."""

from typing import Any

import pytest

from evaluation.scorers import matching, read_checks
from labeling.errors import Refused
from tests.evaluation.scorers.made import case, score


@pytest.mark.parametrize(
    ("check", "answer", "met"),
    [
        ({"type": "exact", "text": "Yes"}, " Yes\n", True),
        ({"type": "exact", "text": "Yes"}, "yes", False),
        ({"type": "normalised", "text": "Yes"}, "yes!", True),
        ({"type": "contains", "text": "Berlin"}, "in berlin", True),
        ({"type": "contains", "texts": ["a", "b"], "every": True}, "only a", False),
        ({"type": "contains", "text": "Berlin", "ignore_case": False}, "in berlin", False),
        ({"type": "not_contains", "texts": ["sorry", "cannot"]}, "I cannot", False),
        ({"type": "not_contains", "text": "sorry"}, "Berlin", True),
        ({"type": "regex", "pattern": "^B"}, "Berlin", True),
        ({"type": "not_regex", "pattern": "^B"}, "Berlin", False),
        ({"type": "numeric", "value": 42}, "It is 42.0.", True),
        ({"type": "numeric", "value": 42, "absolute": 1}, "43.5", False),
        ({"type": "numeric", "value": 42}, "many", False),
        ({"type": "json"}, "{}", True),
        ({"type": "json"}, "{", False),
        ({"type": "json_schema", "json_schema": {"type": "array"}}, "{}", False),
        ({"type": "json_schema", "json_schema": {"type": "array"}}, "[]", True),
        ({"type": "max_words", "limit": 2}, "one two three", False),
        ({"type": "max_words", "limit": 3}, "one two three", True),
        ({"type": "min_words", "limit": 4}, "one two three", False),
        ({"type": "max_characters", "limit": 3}, "four", False),
    ],
)
def test_a_check_is_met_or_not(check: dict[str, Any], answer: str, met: bool) -> None:
    mark = score("checks", answer, case(checks=[check]))
    assert mark.value == float(met)
    assert mark.detail == {"checks": [{"type": check["type"], "name": "", "met": met}]}


TWO = [{"type": "contains", "text": "Berlin", "name": "city"}, {"type": "max_words", "limit": 2}]


def test_the_value_is_the_share_that_is_met() -> None:
    mark = score("checks", "It is Berlin", case(checks=TWO))
    assert mark.value == 0.5
    assert mark.detail == {
        "checks": [
            {"type": "contains", "name": "city", "met": True},
            {"type": "max_words", "name": "", "met": False},
        ]
    }


@pytest.mark.parametrize(("answer", "value"), [("It is Berlin", 0.0), ("Berlin", 1.0)])
def test_all_of_them_may_be_asked_for(answer: str, value: float) -> None:
    assert score("checks", answer, case(checks=TWO), params={"every": True}).value == value


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        (
            [{"type": "sounds_nice"}],
            "Check 1 has the type 'sounds_nice'; choose one of exact, normalised, contains",
        ),
        ([*TWO, {"type": "contains"}], "Check 3, contains, cannot be used: it does not say what to look for"),
        ([{"type": "regex", "pattern": "("}], "is no regular expression"),
        ([{"type": "max_words"}], "Check 1, max_words, cannot be used: limit was not given"),
        ([{"type": "exact", "text": "a", "case": 1}], "case is not a setting of ExactCheck"),
        ([{"type": "numeric", "value": float("inf")}], "value was given as inf"),
        ([{"type": "json_schema", "json_schema": {"type": 1}}], "This is no JSON schema"),
        (["contains Berlin"], "Check 1 is a str"),
        ([{"type": "json"}] * 51, "has 51 checks; 50 are allowed"),
        ({"type": "json"}, "The checks are a dict"),
    ],
)
def test_a_check_that_cannot_be_used_is_refused_and_marked_as_an_error(checks: Any, words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_checks(checks)
    mark = score("checks", "Berlin", case(checks=checks))
    assert (mark.value, mark.state) == (None, "error")
    assert words in mark.reason


def test_a_check_without_end_says_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PATTERN_SECONDS", 0.05)
    mark = score(
        "checks", "a" * 60 + "b", case(checks=[{"type": "json"}, {"type": "regex", "pattern": "(a|aa)+$"}])
    )
    assert mark.state == "error"
    assert mark.reason.startswith("check 2: the pattern took more than 0.05 s")
