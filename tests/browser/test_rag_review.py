"""Reviewing RAG answers: by keyboard and by mouse, with candidates of a second pass, and without scripts."""

import random
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from labeling.rendering import render_to_mark
from tests.browser import kinds
from tests.browser.visits import (
    answers,
    complaints_in_both_themes,
    judging,
    let_in,
    moved_on,
    press,
    prompt,
    without_scripts,
)
from tests.labeling.wild_markdown import random_text

pytestmark = [pytest.mark.browser]
WRONG = "It was first grown on the Moon in 1969."
# Raw ranges of a rendered text, put on the page and read back: those that came back as another.
READ_BACK = """async (texts) => {
  const { pageRange, rawRange, wordsOf, sentencesOf } = await import("/static/js/rank-rag-offsets.js");
  const { draw } = await import("/static/js/rank-rag-draw.js");
  const wrong = [];
  let looked = 0;
  for (const html of texts) {
    const root = document.body.appendChild(new DOMParser().parseFromString(html, "text/html").body.firstElementChild);
    const words = wordsOf(root);
    for (let n = 0; n < words.length; n += 3) {
      const span = { start: words[n].start, end: words[Math.min(n + n % 5, words.length - 1)].end };
      for (const marks of [[], [{ ...span, span: 0, sort: "error" }]]) {
        draw(root, marks);
        const found = rawRange(root, pageRange(root, span));
        looked += 1;
        if (found?.start !== span.start || found?.end !== span.end) wrong.push([html, span, found]);
      }
      const shown = [...root.querySelectorAll("[data-span]")].map((each) => each.textContent).join("");
      if (!shown.includes(pageRange(root, words[n]).toString().slice(0, 1))) wrong.push([html, span, shown]);
    }
    if (!sentencesOf(root).every((sentence) => sentence.start < sentence.end)) wrong.push([html, "sentences"]);
    root.remove();
  }
  return [looked, wrong.slice(0, 3)];
}"""


def spans(who: str) -> list[dict[str, Any]]:
    return answers(who, kinds.REVIEWING)[-1]["answer"]["spans"]


def text_of(span: dict[str, Any]) -> str:
    return kinds.RAG_ANSWER[span["start"] : span["end"]]


def kept(page: Page, said: str, *keys: str) -> None:
    """Press keys and wait until a draft is kept in which this is said."""
    with page.expect_response(
        lambda reply: reply.url.endswith("/draft/") and said in (reply.request.post_data or "")
    ):
        press(page, *keys)


def test_nia_reviews_by_keyboard_alone_and_her_draft_survives_a_reload(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.REVIEWING)
    said = prompt(page)

    press(page, "n", "n")
    expect(page.locator("#mark-said")).to_contain_text(WRONG)
    press(page, "3", "Shift+Digit3", "i")
    page.keyboard.type("No herb was.")
    press(page, "Escape", "a", "p")
    press(page, ">", ",", ",")
    expect(page.locator("#mark-said")).to_contain_text("“basil needs six hours of sun”")
    press(page, "<", ".", "Shift+ArrowLeft", "Shift+ArrowRight", "0", "c", "t", "2", "c", "1")
    press(page, "d", "4", "Shift+Digit2", "b")
    kept(page, "answers_question=1", "h", "h")
    page.reload()

    expect(page.locator("#notes .mark-words")).to_have_text(["Supported", "Evident baseless information"])
    expect(page.locator("[data-triad=context]")).to_have_text("75 %")
    expect(page.locator("[data-triad=grounded]")).to_have_text("72 %")
    expect(page.locator("[data-triad=answer]")).to_have_text("50 %")
    press(page, "*")
    page.keyboard.type("Basil is from Asia.")
    press(page, "Tab")
    page.keyboard.type("herbs, page 3")
    press(page, "Escape", "e", "Control+End")
    page.keyboard.type(" Enjoy.")
    expect(page.locator("#changes ins")).to_have_text(" Enjoy.")
    press(page, "Control+Enter")
    moved_on(page, said)

    stored = answers("nia", kinds.REVIEWING)[-1]["answer"]
    supported, wrong = stored["spans"]
    assert text_of(supported) == "Yes 😀, **basil** needs *six hours* of sun & warmth"
    assert supported["chunks"] == [0]
    assert text_of(wrong) == WRONG
    assert {**wrong, "start": 0, "end": 0} == {
        "start": 0,
        "end": 0,
        "category": "evident_baseless",
        "severity": 3,
        "note": "No herb was.",
    }
    assert stored["failures"] == [{"category": "incomplete", "severity": 2}]
    assert (stored["verdict"], stored["answers_question"], stored["relevance"]) == ("bad", 1, [2, 1, None])
    assert stored["corrected"] == f"{kinds.RAG_ANSWER} Enjoy."
    assert (stored["missed"], stored["missed_ref"]) == ("Basil is from Asia.", "herbs, page 3")


def test_noa_marks_with_the_mouse_and_decides_on_candidates(page: Page, site: str) -> None:
    judging(page, site, "noa", kinds.REVIEWING)
    expect(page.locator("[data-shown] mark[data-candidate]")).to_have_text([WRONG])
    press(page, "+", "h", "Enter")
    expect(page.locator("#saved")).to_contain_text("1 candidate is open")
    press(page, "q", "Backspace")
    expect(page.locator("[data-shown] mark[data-candidate]")).to_have_count(0)

    first, last = page.get_by_text("basil", exact=True).first, page.get_by_text("of sun & warmth").first
    start, end = first.bounding_box(), last.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + 1, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2)
    page.mouse.up()
    page.click("[data-mark='']")
    page.click("[data-link='1']")
    expect(page.locator("#chunk-2")).to_have_attribute("data-linked", "")
    expect(page.locator("#rag-lines path")).to_have_count(1)
    page.locator("[data-part=link]").select_option("0")
    page.click("[data-unlink='1']")
    expect(page.locator(".mark-more")).to_have_text("chunk 1")
    said = prompt(page)
    press(page, "Enter")
    moved_on(page, said)

    [span] = spans("noa")
    assert text_of(span).startswith("basil** needs *six")
    assert (span["chunks"], span.get("category")) == ([0], None)


def test_a_mark_that_overlaps_another_is_refused_where_it_is_made(page: Page, site: str) -> None:
    judging(page, site, "rio", kinds.REVIEWING)
    press(page, "n", "1", "n", "<", "2")
    expect(page.locator("#saved")).to_contain_text("The selection overlaps mark 1")
    press(page, "m", "Backspace")
    expect(page.locator("#notes li")).to_have_count(0)


def test_a_long_chunk_is_found_by_a_word_at_its_end_and_read_when_it_is_opened(page: Page, site: str) -> None:
    judging(page, site, "rio", kinds.REVIEWING)
    assert "zucchini" not in page.content()

    press(page, "f")
    page.keyboard.type("zucchini")
    page.keyboard.press("Enter")

    expect(page.locator("#chunks-found")).to_have_text("1 of 3")
    expect(page.locator("#chunk-3")).to_be_focused()
    press(page, "o")
    expect(page.locator("#chunk-3 [data-whole]")).to_contain_text("The word zucchini stands at the end.")
    expect(page.locator("#chunk-2 b")).to_have_count(0)


def test_oli_reviews_without_scripts(site: str, chromium: Browser) -> None:
    page = without_scripts(chromium, site, "oli", kinds.REVIEWING)

    page.check("[name=verdict][value=bad]")
    page.click(".submit")
    expect(page.locator(".task-notices")).to_contain_text("bad without a reason")
    page.check("[name=answers_question][value='0']")
    page.check("[name='relevance.1'][value='2']")
    page.select_option("[name='failure.incomplete']", "1")
    page.fill("[name='failure.incomplete.note']", "No word on soil")
    page.click("#missing summary")
    page.fill("[name=missed]", "Basil is from Asia.")
    page.click("#correction summary")
    page.fill("[name=corrected]", "Six hours of sun.")
    page.click(".submit")

    expect(page.locator("#saved")).to_have_text("Saved")
    stored = answers("oli", kinds.REVIEWING)[-1]["answer"]
    assert stored["failures"] == [{"category": "incomplete", "severity": 1, "note": "No word on soil"}]
    assert (stored["relevance"], stored["corrected"]) == ([None, 2, None], "Six hours of sun.")
    assert stored["missed"] == "Basil is from Asia."
    page.context.close()


def test_what_is_put_on_the_page_is_read_back_from_it_whatever_the_markdown(page: Page, site: str) -> None:
    chance = random.Random(5)
    texts = [render_to_mark(random_text(chance)) for _ in range(60)]
    let_in(page.context, site, "nia")
    page.goto(f"{site}/account/keys/")

    looked, wrong = page.evaluate(READ_BACK, texts)

    assert looked > 500
    assert wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_review_passes_axe_in_both_themes(chromium: Browser, site: str, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, reduced_motion="reduce")
    page = judging(context.new_page(), site, "quin", kinds.REVIEWING)
    press(page, "n", "1", "c", "t", "q", "d", "1", "*")
    assert complaints_in_both_themes(page, width) == []
    context.close()
