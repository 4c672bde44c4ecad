"""What is learned from bad answers: sent by a product, read by people, named, fixed, and measured by a study."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import world
from tests.browser.verdicts import SLUG
from tests.browser.visits import complaints_everywhere, let_in, press

pytestmark = [pytest.mark.browser]
IN_THE_QUEUE = """() => {
  const asked = new XMLHttpRequest();
  asked.open("GET", location.href, false);
  asked.send();
  return asked.responseText.includes("In the queue</a>");
}"""


def test_leo_reads_failures_by_keyboard_and_emma_opens_a_fix(page: Page, site: str, verdict: str) -> None:
    let_in(page.context, site, "leo")
    page.goto(verdict)
    page.get_by_role("button", name="Read a random sample of its failures").click()
    page.get_by_role("link", name="Read the first failure").first.click()
    expect(page.locator("h1")).to_contain_text("Failure 1 ")
    press(page, "Enter")
    expect(page.get_by_text("Nothing is chosen.")).to_be_visible()
    assert complaints_everywhere(page) == []
    for place in range(1, 16):
        expect(page.locator("h1")).to_contain_text(f"Failure {place} ")
        press(page, "1" if place < 15 else "2", "Enter")
    expect(page.locator("h1")).to_contain_text("Failure 16 ")
    assert complaints_everywhere(page) == []
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="tuned, exact").click()
    rows = page.locator("#kinds-title ~ div .errors-rows tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Evident conflict")
    expect(rows.first.locator("[data-label=Ceiling]")).to_have_text(
        re.compile(r"\d+\.\d+ .*\d+\.\d+.*\d+\.\d+")
    )
    expect(page.locator(".chart svg").first).to_be_visible()
    assert complaints_everywhere(page) == []

    page.context.clear_cookies()
    let_in(page.context, site, "emma")
    page.reload()
    rows.first.get_by_role("link", name="Evident conflict").first.click()
    page.get_by_role("link", name="Open a fix").click()
    page.get_by_label("Held out, %").fill("60")
    page.locator("main form button.primary").click()
    expect(page).to_have_url(re.compile(r"/ledger/\d+/"))
    expect(page.locator("h1")).to_contain_text("Evident conflict")
    assert complaints_everywhere(page) == []


def test_what_a_product_sends_comes_into_adas_queue(page: Page, site: str) -> None:
    let_in(page.context, site, "ada")
    home = f"{site}/p/{world.SLUG}/captures/"
    page.goto(f"{home}rules/")
    page.get_by_label("The user said").select_option("chose")
    page.get_by_label("Of these, %").fill("100")
    page.get_by_role("button", name="Add the rule").click()
    expect(page.locator(".rules tbody tr")).to_contain_text("One of several chosen")
    page.goto(f"{home}tokens/")
    page.get_by_label("Name").fill("web shop")
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator(".notice code").inner_text()
    capture = {
        "prompt": "Write to ada@example.org where my parcel is.",
        "answers": ["It is in Utrecht.", "It is on its way."],
        "chosen": 1,
        "consent": True,
    }
    sent = page.request.post(
        f"{site}/api/v1/captures", data=capture, headers={"Authorization": f"Bearer {secret}"}
    )
    assert sent.ok, sent.text()
    page.goto(home)
    page.wait_for_function(IN_THE_QUEUE, polling=250, timeout=120_000)
    page.reload()
    expect(page.locator("#rows tbody tr")).to_contain_text("where my parcel is")
    expect(page.locator("#rows")).not_to_contain_text("ada@example.org")
    assert complaints_everywhere(page) == []
    page.get_by_role("link", name="In the queue").click()
    expect(page.locator("main")).to_contain_text("It is on its way.")


def test_emma_plans_a_study_and_sees_what_it_takes(page: Page, site: str, verdict: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{SLUG}/studies/new/")
    plan = page.locator("main")
    expect(plan).to_contain_text("632 prompts find that")
    page.get_by_label("Win rate to find, %").fill("60")
    page.get_by_role("button", name="Reckon").click()
    expect(plan).not_to_contain_text("632 prompts find that")
    expect(plan).to_contain_text(re.compile(r"1\d\d prompts find that"))
