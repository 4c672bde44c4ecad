"""Leo opens a verdict, follows a number to the cases behind it, prints it on one page, and sends it to somebody."""

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.verdicts import SLUG
from tests.browser.visits import complaints_everywhere, complaints_in_both_themes, let_in, settled

pytestmark = [pytest.mark.browser]
PAGES = re.compile(rb"/Type\s*/Page[^s]")
# Two letters more right after the first swap, before what came listens.
TYPE_ON = """() => document.addEventListener("htmx:afterSwap", () => queueMicrotask(() => {
  document.getElementById("q").value += "i ";
}), { once: true })"""


@pytest.fixture
def leo(page: Page, site: str) -> Page:
    let_in(page.context, site, "leo")
    return page


def test_leo_reads_the_verdict_and_follows_a_slice_to_its_cases(leo: Page, verdict: str) -> None:
    leo.goto(verdict)
    expect(leo.get_by_role("heading", level=1)).to_contain_text("tuned is better than champion")
    expect(leo.locator("#primary svg")).to_be_visible()
    leo.locator("#slices-table > summary").click()
    leo.locator("#slices-table").get_by_role("link", name="german").click()
    expect(leo).to_have_url(re.compile(r"/cases/\?show=different&a=0&b=1&metric=exact&slice=german"))


def test_leo_opens_a_case_that_got_worse(leo: Page, verdict: str) -> None:
    leo.goto(verdict)
    leo.get_by_role("region", name="Got worse").get_by_role("link").first.click()
    expect(leo).to_have_url(re.compile(r"/cases/\d+/"))


def test_leo_follows_a_mark_of_a_chart_to_its_cases(leo: Page, verdict: str) -> None:
    leo.goto(verdict)
    leo.locator("#primary svg path[aria-roledescription], #primary .mark-symbol path").last.click()
    expect(leo).to_have_url(re.compile(r"/cases/\?show="))


def test_letters_typed_while_a_list_is_on_its_way_are_kept_and_searched_for(leo: Page, verdict: str) -> None:
    leo.goto(f"{verdict}cases/")
    settled(leo)
    travelling: list[Route] = []
    leo.evaluate(TYPE_ON)
    leo.route(re.compile(r"/cases/\?.*q=qu&"), lambda route: travelling.append(route))
    field = leo.get_by_label("Search prompts")
    with leo.expect_request(re.compile(r"/cases/\?.*q=qu&")):
        field.press_sequentially("qu")
    field.evaluate("field => { field.value = 'quest' }")  # typed so lately that it was not asked for yet
    travelling[0].continue_()
    expect(leo).to_have_url(re.compile(r"q=questi\+&|q=questi%20&"))
    settled(leo)
    expect(field).to_have_value("questi ")
    expect(field).to_be_focused()


def test_another_candidate_is_chosen_without_a_new_page(leo: Page, verdict: str) -> None:
    leo.goto(verdict)
    expect(leo.locator("#slices svg")).to_be_visible()
    leo.get_by_label("Candidate").select_option("other")
    expect(leo.locator("#rails-title")).to_contain_text("other against champion")
    expect(leo).to_have_url(re.compile(r"target=2"))
    settled(leo)
    leo.get_by_label("Metric").select_option("perplexity")
    expect(leo.locator("#primary svg")).to_contain_text("perplexity (less is better)")


def test_the_verdict_prints_on_one_page(leo: Page, verdict: str) -> None:
    leo.goto(verdict)
    for chart in ("primary", "slices", "causes", "curve"):
        expect(leo.locator(f"#{chart} svg")).to_be_visible()
    assert len(PAGES.findall(leo.pdf(format="A4", prefer_css_page_size=True))) == 1


def test_no_page_of_a_verdict_is_complained_about(chromium: Browser, site: str, verdict: str) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    let_in(context, site, "leo")
    found = {}
    for address in (verdict, f"{verdict}share/", f"{site}/p/{SLUG}/leaderboard/", f"{site}/p/{SLUG}/"):
        page.goto(address)
        if "share" not in address:
            expect(page.locator(".chart svg").first).to_be_visible()
        if wrong := complaints_everywhere(page):
            found[address] = wrong
    context.close()
    assert found == {}


def test_somebody_without_an_account_reads_what_leo_shares(
    chromium: Browser, leo: Page, verdict: str
) -> None:
    leo.goto(f"{verdict}share/")
    leo.get_by_role("button", name="Make a link").click()
    address = leo.locator("#link").inner_text()
    context = chromium.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 844})
    guest = context.new_page()
    guest.goto(address)
    expect(guest.get_by_role("heading", level=1)).to_contain_text("tuned is better than champion")
    expect(guest.locator("#primary svg")).to_be_visible()
    wrong = complaints_in_both_themes(guest, 1280)
    leo.get_by_role("button", name="Revoke").click()
    expect(leo.get_by_text("The link is worthless now.")).to_be_visible()
    answer = guest.goto(address)
    context.close()
    assert wrong == []
    assert answer is not None
    assert answer.status == 404
