"""Scorers are found by name, set by forms, and never give what cannot be stored."""

import json
from typing import Any

import pytest

from evaluation.scorers import (
    SCORERS,
    Facts,
    Given,
    Mark,
    Need,
    Scale,
    Scorer,
    asked,
    describe,
    find_scorer,
    marked,
    marking,
    read_params,
)
from evaluation.scorers.base import failed
from labeling.errors import Refused
from tests.evaluation.scorers.made import case, score


class Returns(Scorer):
    """Gives back what a test put into it."""

    key, label, about = "returns", "Returns", "For tests."

    def __init__(self, mark: Any, scale: Scale = Scale.SHARE) -> None:
        self._mark, self._scale = mark, scale

    @property
    def scale(self) -> Scale:  # type: ignore[override]
        return self._scale

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        if isinstance(self._mark, Exception):
            raise self._mark
        return self._mark  # type: ignore[no-any-return]


def given_by(mark: Any, scale: Scale = Scale.SHARE) -> Mark:
    scorer = Returns(mark, scale)
    return marked(scorer, case(), Given("text"), read_params(scorer, {}))


def test_an_unknown_scorer_is_refused_with_the_known_names() -> None:
    with pytest.raises(Refused, match=r"no scorer 'exakt'; choose one of exact, normalised, .*own_share"):
        find_scorer("exakt")


def test_every_scorer_is_described_for_a_form() -> None:
    found = describe()
    assert [one["key"] for one in found] == list(SCORERS)
    assert json.loads(json.dumps(found)) == found
    for one in found:
        assert one["label"]
        assert one["about"].endswith(".")
        for name, field in one["params"].get("properties", {}).items():
            assert field["description"].endswith("."), f"{one['key']}.{name}"


def test_a_wrong_setting_is_refused_in_a_sentence() -> None:
    scorer = find_scorer("numeric")
    with pytest.raises(Refused, match="“Same number” cannot be set like that: absolute was given as -1"):
        read_params(scorer, {"absolute": -1})
    with pytest.raises(Refused, match="tolerance is not a setting of NumericParams"):
        read_params(scorer, {"tolerance": 1})
    with pytest.raises(Refused, match="absolute was given as nan"):
        read_params(scorer, {"absolute": float("nan")})


@pytest.mark.parametrize(
    ("key", "fields", "state", "reason"),
    [
        ("exact", {}, "unscorable", "this case has no reference"),
        ("preference", {"reference": "a"}, "unscorable", "this case has no rejected answer"),
        ("context_relevance", {}, "unscorable", "this case has no contexts"),
        ("checks", {}, "unscorable", "this case has no checks"),
        ("length", {}, "error", "no answer"),
        ("exact", {"reference": "a"}, "error", "no answer"),
    ],
)
def test_what_is_missing_is_said(key: str, fields: dict[str, Any], state: str, reason: str) -> None:
    mark = score(key, None, case(**fields))
    assert (mark.value, mark.state, mark.reason) == (None, state, reason)


def test_the_baseline_is_not_compared_with_itself() -> None:
    assert score("reward_win", "a", is_baseline=True).reason == "the baseline is not compared with itself"
    assert score("reward_win", "a").reason == "the baseline gave no answer to this case"


def test_nothing_is_asked_about_an_answer_that_cannot_be_marked() -> None:
    scorer = find_scorer("rubric")
    assert asked(scorer, case(), Given(None), read_params(scorer, {})) == []
    assert len(asked(scorer, case(), Given("a"), read_params(scorer, {}))) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None])
@pytest.mark.parametrize("scale", list(Scale))
def test_a_value_that_is_no_number_is_an_error(value: float | None, scale: Scale) -> None:
    mark = given_by(Mark(value, size=1.0), scale)
    assert (mark.state, mark.value) == ("error", None)
    assert "no number" in mark.reason


@pytest.mark.parametrize(
    ("scale", "value", "size"),
    [
        (Scale.BINARY, 0.5, None),
        (Scale.SHARE, 1.01, None),
        (Scale.SHARE, -0.01, None),
        (Scale.RATE, 1.0, None),
        (Scale.RATE, 1.0, 0.0),
        (Scale.PERPLEXITY, 1.0, float("nan")),
        (Scale.PERPLEXITY, 1.0, float("inf")),
    ],
)
def test_a_value_outside_its_scale_is_an_error(scale: Scale, value: float, size: float | None) -> None:
    assert given_by(Mark(value, size), scale).state == "error"


def test_rounding_does_not_carry_a_share_past_one() -> None:
    assert given_by(Mark(1 + 1e-12)).value == 1.0


def test_a_scorer_that_raises_breaks_nothing() -> None:
    mark = given_by(ZeroDivisionError("division by zero"))
    assert (mark.state, mark.reason) == ("error", "returns failed: ZeroDivisionError: division by zero")


@pytest.mark.parametrize("detail", [{"x": float("nan")}, {"x": {1, 2}}, {"x": object()}])
def test_a_detail_that_is_no_json_is_an_error(detail: dict[str, Any]) -> None:
    assert given_by(Mark(1.0, detail=detail)).state == "error"


def test_a_detail_without_end_is_an_error() -> None:
    assert given_by(Mark(1.0, detail={"x": "a" * 300_000})).reason.startswith("its detail has 300,")


def test_texts_that_a_database_refuses_are_mended() -> None:
    mark = given_by(failed("a\0b" + "c" * 400, {"claims": ["\ud800x", {"k\0": "\0"}]}))
    assert mark.reason == "a\ufffdb" + "c" * 297
    assert mark.detail == {"claims": ["?x", {"k\ufffd": "\ufffd"}]}


def test_many_answers_are_marked_in_one_session() -> None:
    scorer = find_scorer("exact")
    with marking(scorer, read_params(scorer, {})) as mark:
        values = [mark(case(reference="Berlin"), Given(text)).value for text in ("Berlin", "Bonn")]
    assert values == [1.0, 0.0]


def test_settings_say_what_is_needed() -> None:
    rubric, contains = find_scorer("rubric"), find_scorer("contains")
    with_reference = read_params(rubric, {"reference": True, "contexts": True})
    assert rubric.needed(with_reference) == {Need.ANSWER, Need.JUDGE, Need.REFERENCE, Need.CONTEXTS}
    assert contains.needed(read_params(contains, {"texts": ["a"]})) == {Need.ANSWER}
