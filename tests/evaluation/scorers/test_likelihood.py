"""Perplexity, losses, preference and rewards from what a target or a reward model said."""

import math
from typing import Any

import pytest

from evaluation.engines.protocol import Answer
from tests.evaluation.scorers.made import QUESTION, case, questions, score

PAIR = case(reference="Berlin", rejected="Bonn, I think")


def likely(logprob: float | None, tokens: int | None = 4, **fields: Any) -> Answer:
    return Answer(id="1", target="t", kind="likelihood", logprob=logprob, tokens=tokens, **fields)


def reward(value: float | None, error: str = "") -> Answer:
    return Answer(id="1", target="r", kind="reward", reward=value, error=error)


@pytest.mark.parametrize("key", ["perplexity", "nll_token", "nll_byte"])
def test_the_target_is_asked_for_the_likelihood_of_the_reference(key: str) -> None:
    (ask,) = questions(key, None, PAIR).values()
    assert (ask.of, ask.kind, ask.completion, ask.messages) == ("target", "likelihood", "Berlin", QUESTION)


def test_perplexity_keeps_the_sum_and_its_size() -> None:
    mark = score("perplexity", None, PAIR, told={"reference": likely(-6.0)})
    assert (mark.value, mark.size, mark.detail) == (6.0, 4.0, {"truncated": False})
    assert math.exp(6.0 / 4.0) == pytest.approx(4.4817, abs=1e-4)


def test_loss_is_per_token_or_per_byte() -> None:
    told = {"reference": likely(-6.0, bytes=6, truncated=True)}
    assert score("nll_token", None, PAIR, told=told).size == 4.0
    mark = score("nll_byte", None, PAIR, told=told)
    assert (mark.value, mark.size, mark.detail) == (6.0, 6.0, {"truncated": True})


@pytest.mark.parametrize(
    ("told", "state", "words"),
    [
        ({}, "error", "the target was not asked about the reference"),
        (
            {"reference": likely(None, error="out of memory")},
            "error",
            "gave nothing for the reference: out of memory",
        ),
        ({"reference": likely(float("nan"))}, "error", "a log-probability of nan"),
        ({"reference": likely(float("-inf"))}, "error", "a log-probability of -inf"),
        ({"reference": likely(0.5)}, "error", "a log-probability of 0.5"),
        ({"reference": likely(None)}, "error", "a log-probability of None"),
        ({"reference": likely(-1.0, tokens=None)}, "error", "did not count the tokens"),
        ({"reference": likely(-1.0, tokens=0)}, "unscorable", "has no tokens"),
    ],
)
def test_what_is_no_likelihood_is_no_value(told: dict[str, Answer], state: str, words: str) -> None:
    mark = score("perplexity", None, PAIR, told=told)
    assert (mark.value, mark.state) == (None, state)
    assert words in mark.reason


@pytest.mark.parametrize(
    ("chosen", "rejected", "value"),
    [
        (likely(-8.0, 4), likely(-3.0, 1), 1.0),  # -2 a token against -3, though the sum is lower
        (likely(-3.0, 1), likely(-8.0, 4), 0.0),
        (likely(-4.0, 2), likely(-8.0, 4), 0.5),
    ],
)
def test_preference_compares_means_per_token(chosen: Answer, rejected: Answer, value: float) -> None:
    told = {"reference": chosen, "rejected": rejected}
    assert score("preference", None, PAIR, told=told).value == value


def test_the_margin_is_the_difference_of_the_means() -> None:
    told = {"reference": likely(-8.0, 4), "rejected": likely(-3.0, 1, truncated=True)}
    mark = score("preference_margin", None, PAIR, told=told)
    assert mark.value == 1.0
    assert mark.detail == {"chosen": -2.0, "rejected": -3.0, "truncated": True}
    assert [ask.completion for ask in questions("preference", None, PAIR).values()] == [
        "Berlin",
        "Bonn, I think",
    ]


def test_a_margin_of_endless_improbability_is_an_error() -> None:
    told = {"reference": likely(float("-inf")), "rejected": likely(float("-inf"))}
    assert score("preference", None, PAIR, told=told).state == "error"
    assert score("preference_margin", None, PAIR, told=told).state == "error"


def test_a_reward_is_taken_as_it_is() -> None:
    (ask,) = questions("reward", "Berlin", case()).values()
    assert (ask.of, ask.kind, ask.completion) == ("reward", "reward", "Berlin")
    assert score("reward", "Berlin", told={"answer": reward(-3.25)}).value == -3.25


@pytest.mark.parametrize(("mine", "other", "value"), [(2.0, 1.0, 1.0), (1.0, 2.0, 0.0), (1.0, 1.0, 0.5)])
def test_an_answer_wins_with_the_higher_reward(mine: float, other: float, value: float) -> None:
    told = {"answer": reward(mine), "baseline": reward(other)}
    mark = score("reward_win", "Berlin", baseline="Bonn", told=told)
    assert (mark.value, mark.detail) == (value, {"answer": mine, "baseline": other})


def test_equal_answers_are_not_asked_about() -> None:
    assert questions("reward_win", "Berlin", case(), baseline="Berlin") == {}
    assert score("reward_win", "Berlin", baseline="Berlin").value == 0.5
    assert [ask.completion for ask in questions("reward_win", "a", case(), baseline="b").values()] == [
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reward(float("nan")), "scored the answer as nan"),
        (reward(float("inf")), "scored the answer as inf"),
        (reward(None), "scored the answer as None"),
        (reward(None, "it is gone"), "gave nothing for the answer: it is gone"),
    ],
)
def test_what_is_no_reward_is_an_error(answer: Answer, words: str) -> None:
    mark = score("reward", "a", told={"answer": answer})
    assert mark.state == "error"
    assert words in mark.reason
