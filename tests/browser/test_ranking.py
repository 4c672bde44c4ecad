"""An annotator's day: everything by keyboard."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import world
from tests.browser.conftest import sign_in

pytestmark = [pytest.mark.browser]


def test_ben_ranks_by_keyboard_alone(page: Page, site: str) -> None:
    sign_in(page, site, "ben")
    page.goto(f"{site}/p/{world.SLUG}/rank/")
    done = page.locator(".task-head strong").first
    before = int(done.inner_text())

    for count, key in enumerate(("1", "2", "0", "b"), start=1):
        prompt = page.locator(".prompt").inner_text()
        page.keyboard.press(key)
        expect(page.locator("[name=verdict]:checked")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(done).to_have_text(str(before + count))
        expect(page.locator(".prompt")).not_to_have_text(prompt)
        expect(page.locator("#saved")).to_have_text("Saved")


def test_ben_skips_with_a_reason_by_two_keys(page: Page, site: str) -> None:
    sign_in(page, site, "ben")
    page.goto(f"{site}/p/{world.SLUG}/rank/")
    prompt = page.locator(".prompt").inner_text()

    page.keyboard.press("s")
    page.keyboard.press("1")

    expect(page.locator(".prompt")).not_to_have_text(prompt)
    expect(page.locator("#saved")).to_have_text("Skipped")


def test_bens_choice_is_still_there_after_a_reload(page: Page, site: str) -> None:
    sign_in(page, site, "ben")
    page.goto(f"{site}/p/{world.SLUG}/rank/")
    with page.expect_response(lambda response: response.url.endswith("/draft/")) as saved:
        page.keyboard.press("2")
    assert saved.value.status == 204

    page.reload()

    expect(page.locator("[name=verdict]:checked")).to_have_value("second")


def test_ben_reads_the_keys_in_a_dialog(page: Page, site: str) -> None:
    sign_in(page, site, "ben")
    page.goto(f"{site}/p/{world.SLUG}/rank/")

    page.keyboard.press("?")

    expect(page.locator("dialog[open]")).to_contain_text("both", ignore_case=True)


def test_ben_can_rank_without_scripts(site: str, chromium: object) -> None:
    context = chromium.new_context(java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(f"{site}/account/login/")
    page.fill("[name=login]", "ben")
    page.fill("[name=password]", world.PASSWORD)
    page.press("[name=password]", "Enter")
    page.goto(f"{site}/p/{world.SLUG}/rank/")
    before = int(page.locator(".task-head strong").first.inner_text())

    page.check("[name=verdict][value=tie]")
    page.click(".submit")

    assert int(page.locator(".task-head strong").first.inner_text()) == before + 1
    context.close()
