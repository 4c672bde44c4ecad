"""A reviewer's day: answers accepted, returned and settled by keyboard, on pages that nobody is shut out of."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser import reviews
from tests.browser.conftest import ROOT
from tests.browser.visits import complaints, complaints_everywhere, let_in, press, settled

pytestmark = [pytest.mark.browser]
SCREENS = [("light", 1280), ("dark", 390)]
PAGES = [
    "review/", "review/?state=all&sort=newest", "review/?state=skipped", "review/?q=nothing", "disagreements/",
    "quality/", "agreement/", "items/", "items/?status=known",
]  # fmt: skip


@pytest.fixture(scope="module")
def reviewed(site: str) -> Iterator[str]:
    """The address of a project with answers to review."""
    subprocess.run([sys.executable, "-m", "tests.browser.reviews"], cwd=ROOT, check=True)
    return f"{site}/p/{reviews.SLUG}/"


def rows(page: Page) -> Locator:
    return page.locator("tr[data-answer]")


def current(page: Page) -> str | None:
    """The answer that the keyboard stands on."""
    found: str | None = page.evaluate(
        "document.activeElement.closest('[data-answer]')?.dataset.answer ?? null"
    )
    return found


def waiting(page: Page) -> int:
    words = page.locator(".states a[aria-current]").inner_text()
    return int(re.sub(r"\D", "", words))


def test_leo_reviews_by_keyboard_alone(page: Page, site: str, reviewed: str) -> None:
    let_in(page.context, site, "leo")
    page.goto(reviewed + "review/")
    before = waiting(page)
    assert before == 2 * reviews.ITEMS

    press(page, "a")  # nothing is chosen yet, so nothing is accepted: the first answer is
    first = rows(page).first.get_attribute("data-answer")
    assert current(page) == first
    press(page, "a")
    expect(page.locator(".notice.good")).to_contain_text("Accepted 1 answer.")
    assert waiting(page) == before - 1
    second = rows(page).first.get_attribute("data-answer")
    assert current(page) == second != first

    press(page, "j", "x")
    expect(page.locator("textarea:focus")).to_have_count(1)
    page.keyboard.type("Read the first one again.")
    press(page, "Control+Enter")
    expect(page.locator(".notice.good")).to_contain_text("it comes first when they go on")
    assert waiting(page) == before - 2

    press(page, "m", "k", "m")
    expect(page.locator("[data-bulk]")).to_have_text("Accept 2 answers")
    settled(page)
    page.locator("[data-bulk]").click()
    expect(page.locator(".notice.good")).to_contain_text("Accepted 2 answers.")
    assert waiting(page) == before - 4
    settled(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".notice.good")).to_contain_text("waits for review again")
    assert waiting(page) == before - 2

    press(page, "o")
    page.wait_for_url(re.compile(r"/review/\d+/"))


def test_a_return_without_a_word_says_what_is_missing(page: Page, site: str, reviewed: str) -> None:
    let_in(page.context, site, "leo")
    page.goto(reviewed + "review/?sort=newest")
    press(page, "j", "x", "Control+Enter")
    expect(page.locator(".notice.warn")).to_contain_text("The comment is empty")


def test_a_comment_is_written_on_while_another_answer_is_accepted(
    page: Page, site: str, reviewed: str
) -> None:
    """Its letters would be keys else, and "a" accepts."""
    let_in(page.context, site, "leo")
    page.goto(reviewed + "review/?sort=newest")
    settled(page)
    before = waiting(page)
    travelling: list[Route] = []
    page.route("**/review/**", lambda route: travelling.append(route), times=1)
    press(page, "j")
    with page.expect_request(lambda request: request.method == "POST"):
        press(page, "a")
    press(page, "j", "x")
    comment = page.locator("textarea:focus")
    name = comment.get_attribute("id")
    page.keyboard.type("Read ")
    travelling[0].continue_()
    expect(page.locator(".notice.good")).to_contain_text("Accepted 1 answer.")
    page.keyboard.type("all")
    settled(page)
    page.keyboard.type(" again")
    expect(page.locator("textarea:focus")).to_have_value("Read all again")
    assert page.locator("textarea:focus").get_attribute("id") == name
    assert waiting(page) == before - 1


def test_leo_settles_one_disagreement_after_the_other(page: Page, site: str, reviewed: str) -> None:
    let_in(page.context, site, "leo")
    page.goto(reviewed + "disagreements/")
    expect(page.locator("#rows tbody tr")).to_have_count(reviews.ITEMS // 2)
    press(page, "j", "Enter")
    page.wait_for_url(re.compile(r"/review/\d+/\?settle=1"))
    expect(page.locator(".side")).to_have_count(2)
    expect(page.locator(".side").first).to_contain_text("A is clearly better")
    press(page, "j")
    assert current(page) == page.locator(".side").first.get_attribute("data-answer")

    page.get_by_label("A is better").check()
    page.get_by_label("Why").fill("The second one says nothing.")
    page.get_by_role("button", name="Settle item").click()
    expect(page.locator("#settle-title")).to_have_text("Settled: A is better")
    address = page.url
    press(page, "n")
    page.wait_for_url(lambda url: url != address)
    expect(page.locator("#settle-title")).to_have_text("Settle this item")

    page.goto(reviewed + "disagreements/")
    expect(page.locator("#rows tbody tr")).to_have_count(reviews.ITEMS // 2 - 1)


def test_filters_stand_in_the_address(page: Page, site: str, reviewed: str) -> None:
    let_in(page.context, site, "leo")
    page.goto(reviewed + "review/")
    page.get_by_label("Annotator").select_option("bea")
    page.wait_for_url(re.compile(r"person=\d+"))
    page.get_by_label("Disagreement").select_option("People differ")
    page.wait_for_url(re.compile(r"differs=yes"))
    page.reload()
    expect(page.get_by_label("Annotator")).to_have_value(re.compile(r"\d+"))
    people = set(rows(page).locator("td[data-label=Person]").all_inner_texts())
    assert people == {"bea"}


def test_cleo_does_not_see_what_she_may_be_checked_by_until_she_asks(
    page: Page, site: str, reviewed: str
) -> None:
    let_in(page.context, site, "cleo")
    page.goto(reviewed + "items/?status=known")
    page.locator("#rows tbody a").first.click()
    expect(page.locator("#said")).to_contain_text("are hidden from you")
    page.get_by_role("button", name="Read it and never be given it").click()
    expect(page.locator("#known-title")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("The right answer is A is better")


def test_leo_accepts_without_scripts(chromium: Browser, site: str, reviewed: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    let_in(context, site, "leo")
    page = context.new_page()
    page.goto(reviewed + "review/?sort=newest")
    before = waiting(page)
    page.get_by_role("button", name="Accept", exact=True).first.click()
    expect(page.locator(".states a[aria-current]")).to_contain_text(str(before - 1))
    context.close()


@pytest.mark.heavy
def test_no_page_of_review_and_quality_shuts_anybody_out(chromium: Browser, site: str, reviewed: str) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    let_in(context, site, "leo")
    page, found = context.new_page(), {}
    page.goto(reviewed + "disagreements/")
    one = page.locator("#rows tbody a").first.get_attribute("href")
    assert one is not None
    for address in [
        *(reviewed + name for name in PAGES),
        site + one,
        site + one.replace("/review/", "/items/"),
    ]:
        page.goto(address)
        if wrong := complaints_everywhere(page):
            found[address] = wrong
    context.close()
    assert found == {}


@pytest.mark.parametrize(("theme", "width"), SCREENS)
def test_bens_own_page_shuts_nobody_out(
    chromium: Browser, site: str, reviewed: str, theme: str, width: int
) -> None:
    context = chromium.new_context(color_scheme=theme, viewport={"width": width, "height": 844})  # type: ignore[arg-type]
    let_in(context, site, "ben")
    page = context.new_page()
    page.goto(reviewed + "quality/mine/")
    expect(page.locator("h1")).to_have_text("My quality")
    assert complaints(page, width) == []
    context.close()
