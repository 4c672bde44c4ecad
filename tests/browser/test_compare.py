"""An engineer's path from numbers to a decision: compare, read what broke, send it to people, promote, roll back."""

import re
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from tests.browser import world
from tests.browser.compared import CANDIDATE, CHAMPION
from tests.browser.conftest import ROOT
from tests.browser.visits import let_in, press, seen_everywhere

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def run(site: str) -> int:
    command = [sys.executable, "-m", "tests.browser.compared"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1])


def test_emma_compares_reads_sends_promotes_and_rolls_back(page: Page, site: str, run: int) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/compare/")
    page.get_by_label("Baseline").select_option(f"{run}.0")
    page.get_by_label("Against", exact=True).select_option(f"{run}.1")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("h1")).to_have_text(f"{CANDIDATE} is better than {CHAMPION} in exact")
    expect(page.locator(".flips")).to_contain_text("broken")
    expect(page.locator("#slices-B svg")).to_be_visible()
    seen_everywhere(page)

    page.locator(".states").get_by_role("link", name=re.compile("^Broken")).click()
    expect(page).to_have_url(re.compile("show=broken"))
    rows = page.locator("#cases tbody tr")
    expect(rows).to_have_count(8)
    press(page, "j", "x", "j", "x")
    expect(page.locator("[data-bulk]")).to_have_text(["Send 2 cases to labeling", "Copy 2 cases to suite"])
    page.get_by_label("Name of the suite").fill("Regressions")
    page.get_by_label("Name of the suite").press("Enter")
    expect(page.locator("h1")).to_have_text("Regressions")
    expect(page.locator(".toast")).to_contain_text("2 cases were added to Regressions.")
    page.go_back()
    expect(rows).to_have_count(8)
    press(page, "j", "j")
    press(page, "k", "Enter")
    expect(page.locator("h1")).to_have_text(re.compile(r"^Case \d+$"))
    expect(page.locator("ins").first).to_be_visible()
    seen_everywhere(page)
    page.get_by_role("link", name="As written").click()
    expect(page.locator(".answers strong", has_text="Orders").first).to_be_visible()
    press(page, "l")
    expect(page.locator(".lead")).to_contain_text("2 of those you filtered")
    page.get_by_label("Name of the suite").fill("Worst of all")
    page.get_by_role("button", name="Add as a case").click()
    expect(page.locator(".toast")).to_contain_text("1 case was added to Worst of all.")
    page.wait_for_load_state()
    page.get_by_label("All on this page").check()
    page.get_by_label("Name of the suite").fill("Copies")
    seen_everywhere(page)
    page.get_by_role("button", name="Copy to suite").click()
    expect(page.locator("#rows .notice")).to_contain_text("1 case was added to Copies.")
    page.go_back()

    page.get_by_role("button", name="Send to labeling").click()
    expect(page.locator("h1")).to_have_text("Send 1 item to labeling")
    seen_everywhere(page)
    page.get_by_role("button", name="Send 1 item").click()
    expect(page.locator(".toast")).to_contain_text("1 new items to label")
    expect(page).to_have_url(re.compile("compare.*show=broken"))


def test_emma_promotes_by_the_gate_and_rolls_back(page: Page, site: str, run: int) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/evaluations/{run}/gate/1/")
    expect(page.locator("h1")).to_contain_text("is better than")
    expect(page.locator("main")).to_contain_text("Every condition holds")
    seen_everywhere(page)
    page.get_by_label("Why").fill("Better on returns")
    page.get_by_role("button", name=f"Promote {CANDIDATE}").click()
    expect(page.locator("h1")).to_have_text(f"{CANDIDATE}: promoted")
    expect(page.locator(".record")).to_contain_text("Better on returns")
    seen_everywhere(page)
    with page.expect_download() as fetched:
        page.get_by_role("link", name="PDF").click()
    assert fetched.value.path().read_bytes().startswith(b"%PDF")

    page.get_by_role("link", name=re.compile("^Roll back")).click()
    page.get_by_label("What went wrong").fill("It promises too much")
    seen_everywhere(page)
    page.get_by_role("button", name=f"Put {CHAMPION} back into production").click()
    expect(page.locator("h1")).to_have_text(f"{CHAMPION}: rolled back")
    page.goto(f"{site}/p/{world.SLUG}/decisions/")
    expect(page.locator("tbody tr")).to_have_count(2)
    seen_everywhere(page)


def test_ada_sets_a_gate_and_is_told_what_makes_no_sense(page: Page, site: str, run: int) -> None:
    let_in(page.context, site, "ada")
    page.goto(f"{site}/p/{world.SLUG}/evaluations/{run}/gate/1/")
    page.get_by_role("link", name="Returns", exact=True).click()
    expect(page.get_by_role("button", name="Keep this gate")).to_be_visible()
    seen_everywhere(page)
    page.get_by_label("Chance of a false promotion, %").fill("0")
    page.get_by_role("button", name="Keep this gate").click()
    expect(page.locator("[role=alert]")).to_contain_text("Alpha was given as 0")
    page.get_by_label("Chance of a false promotion, %").fill("10")
    page.get_by_role("button", name="Keep this gate").click()
    expect(page.locator(".toast")).to_contain_text("The gate of Returns is kept")
