"""Sentences of answers as models write them."""

import pytest

from evaluation.scorers.sentences import sentences


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met Mrs. Jones. They spoke.", ["Dr. Smith met Mrs. Jones.", "They spoke."]),
        ("It costs $3.14 today. See Fig. 3 and No. 5.", ["It costs $3.14 today.", "See Fig. 3 and No. 5."]),
        ("The answer is no. Then he left.", ["The answer is no.", "Then he left."]),
        ("J. R. R. Tolkien wrote it, e.g. in Oxford.", ["J. R. R. Tolkien wrote it, e.g. in Oxford."]),
        ("The U.S. Senate met at 5 p.m. on Monday.", ["The U.S. Senate met at 5 p.m. on Monday."]),
        ("It grew in 2020. Then it fell.", ["It grew in 2020.", "Then it fell."]),
        (
            "Version 1.2.3 is at https://a.b/c.d?x=1. Take it.",
            ["Version 1.2.3 is at https://a.b/c.d?x=1.", "Take it."],
        ),
        ("He left... then came. Wait… What?", ["He left... then came.", "Wait…", "What?"]),
        ("“Stop.” He stopped. (It rained.) Yes.", ["“Stop.”", "He stopped.", "(It rained.)", "Yes."]),
        ("**Bold.** Plain.", ["**Bold.**", "Plain."]),
        (
            "今天天气很好。我们去公园吧！「是。」他说。",
            ["今天天气很好。", "我们去公园吧！", "「是。」", "他说。"],
        ),
        ("圆周率是3.14。对吗？", ["圆周率是3.14。", "对吗？"]),
        ("यह सच है। वह गया।", ["यह सच है।", "वह गया।"]),
        ("Das gilt z.B. Hier nicht, vgl. Kant.", ["Das gilt z.B. Hier nicht, vgl. Kant."]),
        ("", []),
        (" \n…\n--\n", []),
    ],
)
def test_a_text_is_cut_where_sentences_end(text: str, found: list[str]) -> None:
    assert sentences(text) == found


def test_lists_headings_tables_and_code_are_seen_for_what_they_are() -> None:
    text = (
        "## Causes\n\nThere are two:\n\n1. Rain. It was heavy.\n2) wind\n- *nested* item\n\n---\n"
        "A line that\nwraps once.\nA new one\n\n```py\nx = 1. Y\n```\n\n"
        "| Year | Rain |\n|---|---|\n| 1990 | 12 |\n> quoted"
    )
    assert sentences(text) == [
        "There are two:",
        "Rain.",
        "It was heavy.",
        "wind",
        "*nested* item",
        "A line that wraps once.",
        "A new one",
        "| Year | Rain |",
        "| 1990 | 12 |",
        "> quoted",
    ]


def test_code_that_never_ends_is_left_out() -> None:
    assert sentences("Run this.\n```\nrm -rf x. Now") == ["Run this."]


def test_a_long_answer_is_cut_without_delay() -> None:
    assert len(sentences("A b c. " * 20_000)) == 20_000
