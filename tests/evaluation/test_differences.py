"""What changed between two answers, word by word; and nothing of either is lost."""

import random

import pytest

from evaluation.differences import Difference, word_difference


def texts(found: Difference) -> tuple[str, str]:
    return "".join(span.text for span in found.first), "".join(span.text for span in found.second)


def changed(found: Difference) -> tuple[list[str], list[str]]:
    gone = [span.text for span in found.first if span.kind == "gone"]
    return gone, [span.text for span in found.second if span.kind == "come"]


def test_a_word_that_changed_is_marked_on_both_sides() -> None:
    found = word_difference("We refund within 5 days.", "We refund within 14 days.")
    assert changed(found) == (["5"], ["14"])
    assert not found.is_empty


@pytest.mark.parametrize("text", ["", "one", "a b\n c"])
def test_equal_texts_do_not_differ(text: str) -> None:
    assert word_difference(text, text).is_empty


def test_neighbouring_changes_are_one_with_the_space_between() -> None:
    found = word_difference("take the red bus home", "take a blue bus home")
    assert changed(found)[0] == ["the red"]


def test_signs_without_spaces_are_words_of_their_own() -> None:
    assert changed(word_difference("今日は雨です", "今日は雪です")) == (["雨"], ["雪"])


def test_both_texts_in_one_row_have_what_went_before_what_came() -> None:
    found = word_difference("We refund within 5 days.", "We refund within 14 days.")
    assert [(span.kind, span.text) for span in found.both] == [
        ("same", "We refund within "),
        ("gone", "5"),
        ("come", "14"),
        ("same", " days."),
    ]


@pytest.mark.parametrize("seed", range(30))
def test_the_spans_of_a_side_add_up_to_its_text(seed: int) -> None:
    drawn = random.Random(seed)
    signs = ["a", "bc", " ", "\n", "é", "雨", "🙂", "<b>", "\u0301", "_", "'"]
    first, second = ("".join(drawn.choices(signs, k=drawn.randint(0, 60))) for _ in range(2))
    assert texts(word_difference(first, second)) == (first, second)


def test_very_long_texts_that_share_little_count_as_replaced() -> None:
    first, second = ("".join(f"{name}{n} " for n in range(6000)) for name in "ab")
    found = word_difference(f"Hello {first}end", f"Hello {second}end")
    assert texts(found) == (f"Hello {first}end", f"Hello {second}end")
    assert found.first[0].text.startswith("Hello ")
    assert len(found.first) == 3
