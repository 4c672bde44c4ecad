"""Ada talks to two models: text appears as it is written, a blind vote by key shows who is who, and is a judgment."""

import re
import sqlite3
from contextlib import closing

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import world
from tests.browser.visits import complaints, database_file, let_in

pytestmark = [pytest.mark.browser]
STATE = re.compile(r"/state/\?")


def second_base() -> None:
    """The same weights under another name, so that there are two to compare."""
    with closing(sqlite3.connect(database_file(), timeout=30)) as database, database:
        database.row_factory = sqlite3.Row
        base = copied(database, "training_basemodel", {"name": "tiny again"})
        copied(database, "training_checkpoint", {"name": "tiny again", "base_id": base})


def copied(database: sqlite3.Connection, table: str, changes: dict[str, object]) -> int:
    row = dict(database.execute(f"SELECT * FROM {table} ORDER BY id LIMIT 1").fetchone()) | changes
    del row["id"]
    marks = ", ".join("?" * len(row))
    names = ", ".join(f'"{name}"' for name in row)
    made = database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [*row.values()])
    return int(made.lastrowid or 0)


def half_written(route: Route) -> None:
    """What the page is told while an answer is on its way: the tiny model's are over before anybody has looked."""
    seen = "left=0" in route.request.url
    sides = [
        {"place": place, "state": "writing", "words": "", "text": text, "again": False, "next": 9}
        for place, text in (("left", "Once upon" if seen else ""), ("right", ""))
    ]
    route.fulfill(json={"changed": False, "live": True, "replies": sides})


def ask_until_it_is_seen_writing(page: Page) -> None:
    """Where the machine stalls, both answers can be there before the page that asked for them."""
    box = page.get_by_label("Message", exact=True)
    expect(box).to_be_visible()
    page.wait_for_load_state()
    for turn in range(1, 6):
        box.press_sequentially("Tell me more.")
        box.press("Enter")
        expect(page.locator("#talk .exchange")).to_have_count(turn)
        if page.locator("#talk[data-live]").count():
            return
    pytest.fail("Five messages were answered before their page was there.")


def votes() -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database_file(), timeout=30)) as database:
        return database.execute(
            "SELECT i.source_kind, j.answer FROM labeling_judgment j JOIN labeling_item i ON i.id = j.item_id "
            "WHERE i.source_kind = 'playground'"
        ).fetchall()


def test_ada_chats_with_two_and_votes_without_knowing_who_is_who(page: Page, site: str) -> None:
    second_base()
    let_in(page.context, site, "ada")
    page.route(STATE, half_written)
    page.goto(f"{site}/p/{world.SLUG}/playground/")
    page.get_by_label("Who answers").select_option(label="tiny")
    page.get_by_label("Beside it").select_option(label="tiny again")
    page.get_by_label("Blind").check()
    page.get_by_text("Settings: sampling").click()
    page.get_by_label("Max tokens").fill("120")
    page.get_by_label("Temperature").fill("1.0")
    page.get_by_role("button", name="Begin").click()

    ask_until_it_is_seen_writing(page)
    left, heads = page.locator("[data-last] [data-place=left]"), page.locator("[data-last] .answer-head h3")
    expect(left.locator("[data-text]")).to_have_text("Once upon")
    page.unroute(STATE)
    page.reload()
    expect(left.locator(".answer-body")).to_have_text(re.compile(r"\w"), timeout=240_000)
    expect(page.get_by_text("Which answer is better?")).to_be_visible(timeout=120_000)
    expect(heads).to_have_text(["Left", "Right"])
    assert complaints(page, 1280) == []

    page.locator("body").press("2")
    expect(page.get_by_text("You preferred the right answer, by tiny")).to_be_visible()
    expect(heads.first).to_have_text(re.compile("Left: tiny"))
    assert votes() == [("playground", '{"verdict": "second"}')]
