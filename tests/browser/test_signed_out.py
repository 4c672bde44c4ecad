"""A session that ends while its page is open: nothing is lost, nothing is claimed, the way back in is at hand."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import world
from tests.browser.conftest import sign_in
from tests.browser.visits import let_in

pytestmark = [pytest.mark.browser]


def test_ben_loses_his_session_but_not_his_choice(page: Page, site: str) -> None:
    let_in(page.context, site, "ben")
    page.goto(f"{site}/p/{world.SLUG}/rank/")
    prompt = page.locator(".prompt").inner_text()
    page.context.clear_cookies(name="sessionid")

    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("Choice not kept yet")
    page.keyboard.press("Enter")

    expect(page.locator("#saved")).to_have_text("Not saved")
    expect(page.locator(".task-notices")).to_contain_text("You were signed out")
    expect(page.locator(".toast")).to_have_count(1)
    expect(page.locator(".toast a")).to_have_attribute("target", "_blank")
    expect(page.locator("[name=verdict]:checked")).to_have_value("first")
    expect(page.locator(".prompt")).to_have_text(prompt, use_inner_text=True)

    other = page.context.new_page()
    sign_in(other, site, "ben")
    other.close()
    page.keyboard.press("Enter")

    expect(page.locator("#saved")).to_have_text("Saved")
    expect(page.locator(".prompt")).not_to_have_text(prompt, use_inner_text=True)
    expect(page.locator(".toast")).to_have_count(0)
    expect(page.locator(".task-notices")).not_to_contain_text("signed out")


def test_ben_is_not_told_saved_by_a_page_that_is_no_answer(page: Page, site: str) -> None:
    let_in(page.context, site, "ben")
    page.goto(f"{site}/p/{world.SLUG}/rank/")
    prompt = page.locator(".prompt").inner_text()
    page.route(
        re.compile(r"/rank/\d+/$"), lambda route: route.fulfill(status=200, body="<p>Sign in here</p>")
    )

    page.keyboard.press("2")
    page.keyboard.press("Enter")

    expect(page.locator("#saved")).to_have_text("Not saved")
    expect(page.locator(".prompt")).to_have_text(prompt, use_inner_text=True)
    expect(page.locator("[name=verdict]:checked")).to_have_value("second")


def test_emmas_live_page_says_it_once_and_asks_no_more(page: Page, site: str) -> None:
    """The block polls as it does while a run works; the server it asks has forgotten her."""
    asked: list[str] = []
    let_in(page.context, site, "emma")
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.route(f"{site}/p/{world.SLUG}/runs/", make_live)
    page.goto(f"{site}/p/{world.SLUG}/runs/")
    page.on("request", lambda request: asked.append(request.url) if "hx-request" in request.headers else None)
    page.context.clear_cookies(name="sessionid")

    with page.expect_response(lambda response: response.status == 401):
        page.clock.run_for(3100)
    expect(page.locator(".toast p")).to_have_text(
        "You were signed out. Sign in again to go on. Sign in (new tab)"
    )
    page.clock.run_for(20_000)

    expect(page.locator(".toast")).to_have_count(1)
    assert len(asked) == 1
    expect(page.locator("#rows")).to_be_visible()
    expect(page.locator("[name=password]")).to_have_count(0)

    other = page.context.new_page()
    sign_in(other, site, "emma")
    other.close()
    with page.expect_response(lambda response: response.status == 200):
        page.clock.run_for(3100)
    expect(page.locator(".toast")).to_have_count(0)


def make_live(route: Route) -> None:
    """The page as the server makes it, its block made to poll; the polls themselves go through untouched."""
    if "hx-request" in route.request.headers:
        route.continue_()
        return
    answer = route.fetch()
    live = '<div id="rows" hx-get="./" hx-trigger="every 3s" hx-swap="outerHTML"'
    route.fulfill(response=answer, body=answer.text().replace('<div id="rows"', live))
