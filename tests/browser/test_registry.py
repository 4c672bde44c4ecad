"""An engineer's path through the registry: an adapter is measured, merged, promoted, noted and taken home."""

import tarfile

import pytest
from playwright.sync_api import Page, expect

from tests.browser import world
from tests.browser.test_training import PATIENCE, start_run
from tests.browser.visits import let_in, seen_everywhere

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.heavy
def test_emma_measures_merges_promotes_and_downloads(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    start_run(page, site, "to be merged", epochs=4)
    expect(page.locator("#live")).to_contain_text("Succeeded", timeout=PATIENCE)
    page.goto(f"{site}/p/{world.SLUG}/checkpoints/")
    page.locator("tbody").get_by_role("link", name="to be merged", exact=True).click()

    page.get_by_role("button", name="Measure what changed").click()
    expect(page.locator("#change svg")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#ranks svg")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Merge into tiny").click()
    expect(page.locator("#jobs")).to_contain_text("Merged into to be merged merged", timeout=PATIENCE)
    expect(page.locator("#jobs")).not_to_have_attribute("hx-trigger", "every 2s")

    page.get_by_label("Intended use and notes").fill("For **support** only.")
    page.get_by_role("button", name="Keep the notes").click()
    expect(page.locator(".card-text")).to_contain_text("For support only.")
    page.get_by_label("Why").fill("Better on held-out items")
    page.get_by_role("button", name="Promote to production").click()
    expect(page.locator(".history")).to_contain_text("Better on held-out items")
    seen_everywhere(page)

    page.get_by_role("link", name="to be merged merged", exact=True).first.click()
    expect(page.locator("h1")).to_have_text("to be merged merged")
    expect(page.locator("main")).to_contain_text("promoting this one archives it")
    page.get_by_role("button", name="Promote to production").click()
    expect(page.locator(".history")).to_contain_text("Candidate → production")
    seen_everywhere(page)
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Download", exact=True).click()
    with tarfile.open(fetched.value.path()) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"README.md", "model.safetensors", "config.json", "chat_template.jinja"} <= names

    page.goto(f"{site}/p/{world.SLUG}/checkpoints/")
    expect(page.locator("tr", has_text="to be merged merged").locator("[data-label=Stage]")).to_have_text(
        "production"
    )
    seen_everywhere(page)


def test_emma_registers_a_hub_model_and_is_told_that_nothing_was_downloaded(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/checkpoints/")
    page.get_by_role("link", name="Base models").click()
    page.locator("#register > summary").click()
    page.get_by_label("Folder or hub name").fill("/etc")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.locator("[role=alert]")).to_contain_text(
        "is not in a folder that models may be registered from"
    )
    page.get_by_label("Folder or hub name").fill("org/some-model")
    page.get_by_label("Revision").fill("a1b2c3")
    page.get_by_label("Licence").fill("Apache-2.0")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.locator("tbody")).to_contain_text("org/some-model at a1b2c3")
    seen_everywhere(page)
    page.get_by_role("link", name="some-model", exact=True).click()
    expect(page.locator("h1")).to_have_text("some-model")
    seen_everywhere(page)
