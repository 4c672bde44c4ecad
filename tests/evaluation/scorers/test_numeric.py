"""The last number of an answer, as people and models write numbers."""

from typing import Any

import pytest

from evaluation.scorers.numeric import last_number
from tests.evaluation.scorers.made import case, score


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It is 42.", 42),
        ("1,234,567 people", 1234567),
        ("1,234.5", 1234.5),
        ("1’234 or 1'235", 1235),
        ("12\u202f345", 12345),
        ("\\boxed{1{,}234}", 1234),
        ("-5", -5),
        ("−5 °C", -5),
        ("x=-5", -5),
        ("It lost -$1,200.50", -1200.5),
        ("$3", 3),
        ("2010-2015", 2015),
        ("2010–2015", 2015),
        ("10 - 3", 3),
        ("3e5", 300000),
        ("1.5E-3", 0.0015),
        ("6.02 × 10^23", 6.02e23),
        ("6.02 \\times 10^{-3}", 0.00602),
        (".5", 0.5),
        ("5km", 5),
        ("答案是42。", 42),
        ("first 3, then 4", 4),
        ("Answer: 7 (see GPT4)", 7),
        ("3,14", 14),
        ("1,2345", 2345),
        ("+8", 8),
        ("12 %", 12),
        ("version 1.2.3", 1.2),
    ],
)
def test_the_last_number_is_read(text: str, value: float) -> None:
    found = last_number(text)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize("text", ["", "none", "GPT4", "x²", "1e999", "."])
def test_a_text_may_hold_no_number(text: str) -> None:
    assert last_number(text) is None


@pytest.mark.parametrize(("text", "value"), [("1.234,5", 1234.5), ("3,14", 3.14), ("2.000.000", 2e6)])
def test_comma_and_point_may_change_places(text: str, value: float) -> None:
    found = last_number(text, decimal_comma=True)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("answer", "reference", "params", "value"),
    [
        ("So it is 42", "42", {}, 1.0),
        ("42.0", "#### 42", {}, 1.0),
        ("42.1", "42", {}, 0.0),
        ("42.1", "42", {"absolute": 0.2}, 1.0),
        ("102", "100", {"relative": 0.02}, 1.0),
        ("102.1", "100", {"relative": 0.02}, 0.0),
        ("0.1", "0", {"relative": 1.0}, 0.0),
        ("12.5%", "12.5", {}, 1.0),
        ("12.5 percent", "0.125", {}, 1.0),
        ("0.125", "12.5 %", {}, 1.0),
        ("12.5%", "0.125%", {}, 0.0),
        ("-5", "5", {}, 0.0),
        ("no idea", "5", {}, 0.0),
    ],
)
def test_a_number_is_right_within_its_tolerance(
    answer: str, reference: str, params: Any, value: float
) -> None:
    assert score("numeric", answer, case(reference=reference), params=params).value == value


def test_both_numbers_stand_in_the_detail() -> None:
    assert score("numeric", "3 or 4", case(reference="5")).detail == {"wanted": 5.0, "found": 4.0}


def test_a_reference_without_a_number_cannot_be_scored() -> None:
    mark = score("numeric", "5", case(reference="five"))
    assert (mark.state, mark.reason) == ("unscorable", "the reference of this case holds no number")
