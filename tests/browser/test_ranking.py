"""An annotator's day with pairs: everything by keyboard, and without scripts."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import kinds, world
from tests.browser.conftest import sign_in
from tests.browser.visits import answers, judging, moved_on, press, prompt, without_scripts

pytestmark = [pytest.mark.browser]


def test_ben_ranks_by_keyboard_alone(page: Page, site: str) -> None:
    sign_in(page, site, "ben")
    page.goto(f"{site}/p/{world.SLUG}/rank/")
    done = page.locator(".task-head strong").first
    before = int(done.inner_text())

    for count, key in enumerate(("1", "2", "0", "b"), start=1):
        said = prompt(page)
        page.keyboard.press(key)
        expect(page.locator("[name=verdict]:checked")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(done).to_have_text(str(before + count))
        moved_on(page, said)

    given = [row["answer"]["verdict"] for row in answers("ben", world.SLUG)[-4:]]
    assert given == ["first", "second", "tie", "both_bad"]


def test_ben_skips_with_a_reason_by_two_keys(page: Page, site: str) -> None:
    judging(page, site, "ben", world.SLUG)
    said = prompt(page)

    press(page, "s", "1")

    moved_on(page, said, saved="Skipped")


def test_bens_choice_is_still_there_after_a_reload(page: Page, site: str) -> None:
    judging(page, site, "ben", world.SLUG)
    with page.expect_response(lambda response: response.url.endswith("/draft/")) as saved:
        page.keyboard.press("2")
    assert saved.value.status == 204

    page.reload()

    expect(page.locator("[name=verdict]:checked")).to_have_value("second")


def test_ben_reads_the_keys_of_this_kind_of_task_in_a_dialog(page: Page, site: str) -> None:
    judging(page, site, "ben", world.SLUG)

    page.keyboard.press("?")

    expect(page.locator("dialog[open]")).to_contain_text("Both bad")
    expect(page.locator("dialog[open]")).not_to_contain_text("Slightly better")


def test_ben_can_rank_without_scripts(site: str, chromium: Browser) -> None:
    page = without_scripts(chromium, site, "ben", world.SLUG)
    before = int(page.locator(".task-head strong").first.inner_text())

    page.check("[name=verdict][value=tie]")
    page.click(".submit")

    expect(page.locator(".task-head strong").first).to_have_text(str(before + 1))
    page.context.close()


def test_nia_says_how_much_better_by_the_same_key_or_by_shift_and_a_digit(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.STRENGTH)
    said = prompt(page)

    press(page, "1", "Enter")
    expect(page.locator("#saved")).to_contain_text("how much better")
    press(page, "1", "1")
    expect(page.locator(".verdict").first).to_contain_text("Response 1 is clearly better")
    press(page, "Shift+Digit3")
    expect(page.locator(".verdict").first).to_contain_text("Response 1 is much better")
    press(page, "2")
    expect(page.locator("[name=strength]:checked")).to_have_count(0)
    press(page, "Shift+Digit2", "w")
    page.keyboard.type("Short and kind, and u can act on it")
    press(page, "Control+Enter")

    moved_on(page, said)
    [stored] = answers("nia", kinds.STRENGTH)
    assert stored["answer"] == {
        "verdict": "second",
        "strength": 2,
        "rationale": "Short and kind, and u can act on it",
    }
    assert (stored["strength"], stored["layout"]) == (2, "side")


def test_noa_says_how_much_better_without_scripts(site: str, chromium: Browser) -> None:
    page = without_scripts(chromium, site, "noa", kinds.STRENGTH)

    page.check("[name=verdict][value=first]")
    page.fill("[name=rationale]", "It answers.")
    page.click(".submit")
    expect(page.locator(".task-notices")).to_contain_text("The strength is missing")
    expect(page.locator("[name=verdict]:checked")).to_have_value("first")
    expect(page.locator("[name=rationale]")).to_have_value("It answers.")
    page.check("[name=strength][value='1']")
    page.click(".submit")

    expect(page.locator("#saved")).to_have_text("Saved")
    assert answers("noa", kinds.STRENGTH)[-1]["answer"]["strength"] == 1
    page.context.close()


def test_a_second_enter_right_after_the_next_item_came_sends_nothing(page: Page, site: str) -> None:
    judging(page, site, "oli", kinds.STRENGTH)
    first = prompt(page)
    press(page, "0", "Enter")
    moved_on(page, first)
    page.evaluate(
        """() => document.addEventListener("rank:shown", () => { for (let n = 0; n < 2; n += 1)
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", code: "Enter", bubbles: true})) },
        {once: true})"""
    )
    press(page, "u")

    expect(page.locator("#saved")).to_have_text("Your last answer")
    expect(page.locator("#revises")).to_be_visible()
    assert len(answers("oli", kinds.STRENGTH)) == 1
