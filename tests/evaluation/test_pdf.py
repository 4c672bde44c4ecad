"""Records as PDF files: always a file, whatever is in them."""

import re

import pytest

from evaluation.pdf import _marked, from_markdown

TABLE = "| Field | Value |\n| --- | --- |\n| Reason | {} |\n"


def pages(text: str) -> tuple[bytes, int]:
    made = from_markdown(text, title="decision 1", footer="SHA-256 of the record: 00")
    return made, len(re.findall(rb"/Type /Page\b", made))


def test_a_record_is_one_page_with_its_title() -> None:
    made, count = pages(f"# Decision\n\nBetter.\n\n{TABLE.format('none')}")
    assert made.startswith(b"%PDF-")
    assert count == 1
    assert b"decision 1" in made


def test_a_long_table_goes_on_over_the_pages() -> None:
    rows = "".join(f"| metric {n} | {n} |\n" for n in range(300))
    assert pages(f"# D\n\n| Metric | Value |\n| --- | --- |\n{rows}")[1] > 3


@pytest.mark.parametrize(
    "text",
    [
        "<b>&amp; <para> </b>",
        "\\| a \\| b",
        "日本語の理由",
        "Причина",
        "🙂 \u202e \u0000",
        "x" * 5000,
        "",
        "−1.5 ≥ α",
    ],
)
def test_no_text_breaks_it(text: str) -> None:
    assert pages(f"# {text[:60]}\n\n{text}\n\n{TABLE.format(text)}")[1] >= 1


def test_what_is_escaped_in_markdown_stands_plain_and_what_no_font_has_is_a_question_mark() -> None:
    assert _marked("a \\| b \\* c \\<d") == "a | b * c &lt;d"
    assert _marked("ok 🙂") == "ok ?"
    assert "STSong" in _marked("理由")
    assert _marked("−1") == "-1"
