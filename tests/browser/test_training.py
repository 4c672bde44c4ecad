"""An engineer's path: start a run, see the loss move, stop another, evaluate what came of it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import world
from tests.browser.conftest import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 180_000  # ms: how long a page may take on a busy machine before the test gives up


def start_run(page: Page, site: str, name: str, *, epochs: int) -> None:
    page.goto(f"{site}/p/{world.SLUG}/runs/")
    if page.locator("details#start:not([open])").count():
        page.locator("#start > summary").click()
    page.fill("[name=name]", name)
    page.select_option("[name=method]", "sft")
    page.fill("[name=epochs]", str(epochs))
    page.fill("[name=batch_size]", "2")
    page.locator("form:has([name=epochs]) button.primary").click()
    expect(page.locator("h1")).to_have_text(name)


def points(page: Page) -> int:
    """How many points the drawn chart shows (the symbols of its last layer)."""
    return page.locator("#loss svg .mark-symbol path").count()


def test_emma_launches_a_run_and_sees_the_loss_chart_move(page: Page, site: str) -> None:
    sign_in(page, site, "emma")
    start_run(page, site, "emma's first", epochs=12)

    expect(page.locator("#loss svg")).to_be_visible(timeout=PATIENCE)
    seen = points(page)
    expect(page.locator("#loss svg .mark-symbol path").nth(seen)).to_be_attached(timeout=PATIENCE)
    assert points(page) > seen

    expect(page.locator("#live")).to_contain_text("Succeeded", timeout=PATIENCE)
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", "every 3s")
    page.goto(f"{site}/p/{world.SLUG}/checkpoints/")
    expect(page.locator("main")).to_contain_text("emma's first")


def test_emma_cancels_a_run(page: Page, site: str) -> None:
    sign_in(page, site, "emma")
    start_run(page, site, "too long", epochs=90)
    expect(page.locator("#loss svg")).to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Cancel run").click()

    expect(page.locator("#live")).to_contain_text("Cancelled", timeout=PATIENCE)


def test_emma_evaluates_the_base_and_leo_reads_the_numbers(page: Page, site: str) -> None:
    sign_in(page, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/evaluations/")
    if page.locator("details#start:not([open])").count():
        page.locator("#start > summary").click()
    page.select_option("[name=checkpoints]", label="tiny")
    page.locator("form:has([name=checkpoints]) button.primary").click()

    expect(page.locator("#live")).to_contain_text("Succeeded", timeout=PATIENCE)
    expect(page.locator("#live")).to_contain_text("tiny")
