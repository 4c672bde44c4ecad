"""Ways into the site that many journeys share, and what its database says afterwards."""

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import world

AHEAD = re.compile(r"/rank/\d+/ahead/$")
SCREENS = (("light", 1280), ("dark", 390))
NARROW = 700  # pixels, below which pages have one column
COLOURS_ONLY = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
MAY_DIFFER = (
    "button-name link-name aria-hidden-focus nested-interactive region scrollable-region-focusable duplicate-id-aria "
    "label"
)
ON_A_PHONE = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": MAY_DIFFER.split()}}
LOOK_AGAIN = "options => axe.run({exclude: ['.rail']}, options)"  # the rail is the same on every page: test_pages looks
SUBMIT = re.compile(r"/rank/\d+/$")


def let_in(context: BrowserContext, site: str, who: str) -> None:
    """Sign in by the session that the site opened for everyone."""
    sessions = json.loads(database_file().with_name(world.SESSIONS).read_text())
    context.add_cookies([{"name": "sessionid", "value": sessions[who], "url": site}])


def database_file() -> Path:
    return Path(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))


def judging(page: Page, site: str, who: str, project: str) -> Page:
    """Open the annotating page, and wait until the item after the first one is there."""
    let_in(page.context, site, who)
    with page.expect_request_finished(lambda request: AHEAD.search(request.url) is not None):
        page.goto(f"{site}/p/{project}/rank/")
    page.evaluate("0")  # what came is taken in before this
    return page


def without_scripts(browser: Any, site: str, who: str, project: str) -> Page:
    context = browser.new_context(java_script_enabled=False)
    let_in(context, site, who)
    page: Page = context.new_page()
    page.goto(f"{site}/p/{project}/rank/")
    return page


def prompt(page: Page) -> str:
    return page.locator(".prompt").inner_text()


def moved_on(page: Page, before: str, *, saved: str = "Saved") -> None:
    expect(page.locator(".prompt")).not_to_have_text(before, use_inner_text=True)
    expect(page.locator("#saved")).to_have_text(saved)


def press(page: Page, *keys: str) -> None:
    """Press them one by one, once the page listens: its scripts come after its first words."""
    page.wait_for_load_state()
    for key in keys:
        page.keyboard.press(key)


def settled(page: Page) -> None:
    """Wait until scripts listen and no part of the page is on its way: what came listens 20 ms after it came."""
    page.wait_for_load_state()
    expect(page.locator(".htmx-request, .htmx-added, .htmx-settling")).to_have_count(0)


def complaints(page: Page, width: int) -> list[str]:
    """What axe says of the page, and whether it is wider than the screen. Nothing moves while it looks."""
    settled(page)
    page.emulate_media(reduced_motion="reduce")
    found = told(Axe().run(page, options={"resultTypes": ["violations"]}).response)
    if page.evaluate("document.documentElement.scrollWidth") > width:
        found.append("wider than the screen")
    return found


def complaints_in_both_themes(page: Page, width: int) -> list[str]:
    """Those of the light page, and what axe says of its colours once it is dark: all else is the same in the dark, and
    colours are the same on every screen, so that a narrow one is looked at in the light only.

    Nothing may move (`reduced_motion` of the context), or colours on their way from light to dark would be judged.
    """
    page.emulate_media(color_scheme="light")
    found = complaints(page, width)
    if width < NARROW:
        return found
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(LOOK_AGAIN, COLOURS_ONLY)
    return found + [f"dark: {words}" for words in told(dark)]


def complaints_everywhere(page: Page) -> list[str]:
    """On a desk all that axe knows, and its colours in the dark; on a phone, where the menu is another one and there is
    one column, the rules that can tell the two apart, and whether the page is wider than the screen."""
    page.set_viewport_size({"width": 1280, "height": 844})
    found = complaints_in_both_themes(page, 1280)
    page.set_viewport_size({"width": 390, "height": 844})
    found += [f"390: {words}" for words in told(page.evaluate(LOOK_AGAIN, ON_A_PHONE))]
    found += ["wider than a phone"] * bool(page.evaluate("document.documentElement.scrollWidth > 390"))
    page.set_viewport_size({"width": 1280, "height": 844})
    return found


def told(answer: dict[str, Any]) -> list[str]:
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in answer["violations"]]


def answers(who: str, project: str) -> list[dict[str, Any]]:
    """What is stored of this person's answers, oldest first."""
    with closing(sqlite3.connect(database_file(), timeout=30)) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "SELECT j.answer, j.revision, j.layout, j.strength, j.active_ms, j.item_id FROM labeling_judgment j "
            "JOIN labeling_user u ON u.id = j.person_id JOIN labeling_project p ON p.id = j.project_id "
            "WHERE u.username = ? AND p.slug = ? ORDER BY j.id",
            (who, project),
        ).fetchall()
    return [{**dict(row), "answer": json.loads(row["answer"])} for row in rows]


def seen_everywhere(page: Page) -> None:
    """No complaint on a desk in the light nor on a phone in the dark."""
    for theme, width in SCREENS:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        assert complaints(page, width) == [], (theme, width)
    page.set_viewport_size({"width": 1280, "height": 900})


def publish(project: str, number: int, text: str) -> None:
    """Give a project newer guidelines, as an owner would in another window."""
    with closing(sqlite3.connect(database_file(), timeout=30)) as database, database:
        (key,) = database.execute("SELECT id FROM labeling_project WHERE slug = ?", (project,)).fetchone()
        made = database.execute(
            "INSERT INTO labeling_guideline (project_id, number, text, created_at) VALUES (?, ?, ?, datetime('now'))",
            (key, number, text),
        )
        database.execute("UPDATE labeling_project SET guideline_id = ? WHERE id = ?", (made.lastrowid, key))
