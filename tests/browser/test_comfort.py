"""What makes eight hours of it bearable: nothing to wait for, nothing lost, one's own keys, guidelines at hand."""

import re

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from tests.browser import kinds
from tests.browser.visits import (
    AHEAD,
    SUBMIT,
    answers,
    complaints,
    judging,
    let_in,
    moved_on,
    press,
    prompt,
    publish,
)

pytestmark = [pytest.mark.browser]
PROJECTS = [
    kinds.STRENGTH,
    kinds.RANKING,
    kinds.RATING,
    kinds.WRITING,
    kinds.EDITING,
    kinds.EMPTY,
    kinds.HARD,
]


def back_online(page: Page) -> None:
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")


def test_pia_sees_the_next_item_while_her_answer_still_travels(page: Page, site: str) -> None:
    judging(page, site, "pia", kinds.STRENGTH)
    travelling: list[Route] = []
    page.route(SUBMIT, lambda route: travelling.append(route))
    first = prompt(page)

    with page.expect_request(SUBMIT):
        press(page, "0", "Enter")

    expect(page.locator(".prompt")).not_to_have_text(first, use_inner_text=True)
    expect(page.locator("#saved")).to_have_text("Saving")
    expect(page.locator("[data-number=done]")).to_have_text("0")
    assert answers("pia", kinds.STRENGTH) == []
    while not travelling:  # the request was seen; what holds it is told a moment later
        page.wait_for_timeout(20)
    travelling[0].continue_()
    expect(page.locator("#saved")).to_have_text("Saved")
    expect(page.locator("[data-number=done]")).to_have_text("1")
    assert len(travelling) == 1


def test_pia_goes_through_five_items_and_each_next_one_was_there_before(page: Page, site: str) -> None:
    judging(page, site, "pia", kinds.HARD)
    for number in range(5):
        before = prompt(page)
        press(page, "0")
        page.keyboard.press("Enter")
        if number:  # before the first is stored, what comes after it may still be on its way
            assert prompt(page) != before, "the next item came without waiting"
        expect(page.locator("[data-number=done]")).to_have_text(str(number + 1))
        expect(page.locator("#saved")).to_have_text("Saved")


def test_quin_loses_the_network_and_nothing_else(page: Page, site: str) -> None:
    judging(page, site, "quin", kinds.STRENGTH)
    first = prompt(page)
    page.context.set_offline(True)

    press(page, "b", "Enter")
    expect(page.locator("#saved")).to_have_text("Not saved yet: trying again")
    second = prompt(page)
    assert second != first
    press(page, "0", "Enter")
    expect(page.locator(".task-notices")).to_contain_text("Your 2 answers are kept in this browser")
    assert answers("quin", kinds.STRENGTH) == []
    back_online(page)

    moved_on(page, second)
    expect(page.locator("[data-number=done]")).to_have_text("2")
    given = [row["answer"]["verdict"] for row in answers("quin", kinds.STRENGTH)]
    assert given == ["both_bad", "tie"]
    assert page.evaluate("Object.keys(localStorage).filter((name) => name.includes('unsent'))") == []


def test_an_answer_that_arrived_without_being_confirmed_is_stored_once(page: Page, site: str) -> None:
    judging(page, site, "rio", kinds.STRENGTH)
    tries: list[str] = []
    line_is_up = False

    def lose_the_replies(route: Route) -> None:
        tries.append(route.request.post_data or "")
        if line_is_up:
            return route.continue_()
        if len(tries) == 1:
            route.fetch()
        return route.abort()

    page.route(SUBMIT, lose_the_replies)
    press(page, "0", "Enter")
    expect(page.locator("#saved")).to_have_text("Not saved yet: trying again")
    line_is_up = True
    page.evaluate("dispatchEvent(new Event('online'))")

    expect(page.locator("#saved")).to_have_text("Saved")
    assert len(tries) >= 2
    assert len(answers("rio", kinds.STRENGTH)) == 1


def test_rio_closes_the_tab_while_offline_and_the_next_one_sends_his_answer(page: Page, site: str) -> None:
    judging(page, site, "rio", kinds.RANKING)
    stored = len(answers("rio", kinds.RANKING))
    page.context.set_offline(True)
    press(page, "b", "Enter")
    expect(page.locator("#saved")).to_have_text("Not saved yet: trying again")
    first = page.locator("#task").get_attribute("data-assignment")

    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    expect(page.locator("#saved")).to_be_visible()
    assert asked == ["beforeunload"]
    context = page.context
    page.close()
    context.set_offline(False)
    later = context.new_page()
    later.goto(f"{site}/p/{kinds.RANKING}/rank/")

    expect(later.locator("#saved")).to_have_text("Saved")
    assert len(answers("rio", kinds.RANKING)) == stored + 1
    expect(later.locator("#task")).to_have_attribute("data-assignment", str(first))


def test_a_refusal_brings_the_item_back_with_its_choice(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.HARD)
    first = prompt(page)
    refuse = "<section id='task'><div data-conflict><p>The order given is wrong.</p></div></section>"
    page.route(SUBMIT, lambda route: route.fulfill(status=422, body=refuse), times=1)

    press(page, "2", "Enter")

    expect(page.locator("#saved")).to_have_text("Not saved")
    expect(page.locator(".task-notices")).to_contain_text("The order given is wrong.")
    expect(page.locator(".prompt")).to_have_text(first, use_inner_text=True)
    expect(page.locator("[name=verdict]:checked")).to_have_value("second")
    page.locator(".verdict", has_text="Tie").click()
    page.click(".submit")
    moved_on(page, first)
    assert [row["answer"]["verdict"] for row in answers("nia", kinds.HARD)] == ["tie"]


def test_noa_judges_one_item_in_two_tabs_and_the_second_is_told(page: Page, site: str) -> None:
    judging(page, site, "noa", kinds.HARD)
    other = page.context.new_page()
    judging(other, site, "noa", kinds.HARD)
    said = prompt(page)
    assert prompt(other) == said
    press(page, "1", "Enter")
    moved_on(page, said)

    press(other, "2", "Enter")

    expect(other.locator(".task-notices")).to_contain_text("You have already judged this item")
    expect(other.locator("#saved")).to_have_text("Not saved")
    expect(other.locator(".prompt")).to_have_text(prompt(page), use_inner_text=True)
    assert [row["answer"]["verdict"] for row in answers("noa", kinds.HARD)] == ["first"]


def test_oli_changes_his_last_answer_and_goes_on_where_he_was(page: Page, site: str) -> None:
    judging(page, site, "oli", kinds.HARD)
    first = prompt(page)
    press(page, "1", "Enter")
    moved_on(page, first)
    second = prompt(page)

    press(page, "u")
    expect(page.locator("#revises")).to_contain_text("It stands as it is until you submit another")
    expect(page.locator("[name=verdict]:checked")).to_have_value("first")
    press(page, "0", "Enter")

    expect(page.locator(".prompt")).to_have_text(second, use_inner_text=True)
    expect(page.locator("#saved")).to_have_text("Saved")
    stored = answers("oli", kinds.HARD)
    assert [(row["revision"], row["answer"]["verdict"]) for row in stored] == [(1, "first"), (2, "tie")]
    press(page, "u")
    expect(page.locator("#revises")).to_be_visible()
    page.click("#leave")
    expect(page.locator(".prompt")).to_have_text(second, use_inner_text=True)
    assert len(answers("oli", kinds.HARD)) == 2


def test_oli_puts_an_item_to_the_end_of_his_queue(page: Page, site: str) -> None:
    judging(page, site, "oli", kinds.RATING)
    put_off = prompt(page)

    press(page, "l")

    moved_on(page, put_off, saved="Put to the end of your queue")


def test_both_items_are_held_while_quin_is_there(page: Page, site: str) -> None:
    page.clock.install()
    judging(page, site, "quin", kinds.RATING)
    held: list[str] = []
    page.on("request", lambda request: held.append(request.url) if "/beat/" in request.url else None)

    with page.expect_response(lambda answer: "/beat/" in answer.url and len(set(held)) == 2):
        for _ in range(5):  # the next item may have come, and not been taken in yet
            page.clock.run_for(61_000)
            page.title()

    expect(page.locator("#task")).to_be_visible()


def test_quin_gives_actions_other_keys_but_no_key_twice(page: Page, site: str) -> None:
    let_in(page.context, site, "quin")
    page.goto(f"{site}/account/keys/?project={kinds.WRITING}")
    page.locator("[name=skip]").press("u")
    page.get_by_role("button", name="Save these keys").click()
    expect(page.locator("#refusal")).to_contain_text("“Skip; then a digit for the reason” and to “Undo")
    page.wait_for_load_state()
    page.locator("[name=skip]").press("j")
    page.get_by_role("button", name="Save these keys").click()
    expect(page.locator("#refusal")).to_contain_text("The key j is used on every page to go to the next row")
    page.wait_for_load_state()
    page.locator("[name=skip]").press("x")
    page.get_by_role("button", name="Save these keys").click()
    expect(page.locator(".toast")).to_contain_text("Your keys are saved.")

    with page.expect_response(AHEAD):  # the scripts are there, and listen
        page.get_by_role("link", name="Back to judging").click()
    expect(page.locator("#skip summary kbd")).to_have_text("x")
    press(page, "s")
    expect(page.locator("#skip")).not_to_have_attribute("open", "")
    press(page, "x")
    expect(page.locator("#skip")).to_have_attribute("open", "")
    press(page, "Escape", "?")
    expect(page.locator("dialog[open] .keys")).to_contain_text("xSkip")


def test_rio_reads_the_exact_text_stacked_and_finds_it_so_again(page: Page, site: str) -> None:
    judging(page, site, "rio", kinds.HARD)
    code = page.locator(".response", has_text="Run this").first
    with page.expect_response(re.compile("/account/preferences/")):
        press(page, "r")
    expect(code.locator(".text.raw")).to_contain_text("```python\ndef area(r):", use_inner_text=True)
    expect(code.locator("[data-shown]")).to_be_hidden()
    with page.expect_response(re.compile("/account/preferences/")):
        press(page, "v")

    page.reload()

    expect(page.locator(".response .text.raw").first).to_be_visible()
    expect(page.locator("#rank")).to_have_attribute("data-layout", "stacked")
    press(page, "1", "Enter")
    expect(page.locator("#saved")).to_have_text("Saved")
    assert answers("rio", kinds.HARD)[-1]["layout"] == "stacked"


def test_rio_closes_the_guidelines_and_hears_of_a_newer_version(page: Page, site: str) -> None:
    judging(page, site, "rio", kinds.EDITING)
    page.get_by_role("button", name="I have read version 1").click()
    expect(page.locator("#guide-new")).to_have_count(0)
    with page.expect_response(re.compile("/account/preferences/")):
        press(page, "g")
    page.reload()
    expect(page.locator("#guide")).not_to_have_attribute("open", "")
    expect(page.locator("#guide-new")).to_have_count(0)
    publish(kinds.EDITING, 2, "Prefer what is short.")
    first = prompt(page)

    press(page, "l")
    moved_on(page, first, saved="Put to the end of your queue")
    second = prompt(page)
    press(page, "l")
    moved_on(page, second, saved="Put to the end of your queue")

    expect(page.locator("#guide-new")).to_have_text("New: you read version 1")
    press(page, "g")
    expect(page.locator(".guide-text")).to_contain_text("Prefer what is short.")


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1440), pytest.param("dark", 390, marks=pytest.mark.heavy)]
)
def test_no_kind_of_task_has_a_fault_that_axe_or_the_screen_shows(
    chromium: Browser, site: str, theme: str, width: int
) -> None:
    context = chromium.new_context(color_scheme=theme, viewport={"width": width, "height": 844})  # type: ignore[arg-type]
    let_in(context, site, "emma")
    page = context.new_page()
    found = {}
    for path in [*(f"/p/{slug}/rank/" for slug in PROJECTS), "/account/keys/"]:
        page.goto(site + path)
        expect(page.locator("main")).to_be_visible()
        if wrong := complaints(page, width):
            found[path] = wrong
    context.close()
    assert found == {}
