"""Emma's path from judgments to files: a recipe, what it gives, the freeze, what changed, the download."""

import hashlib
import json

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import world
from tests.browser.visits import complaints, let_in, without_scripts

pytestmark = [pytest.mark.browser]
PATIENCE = 180_000  # ms: how long a worker may take on a busy machine


def test_emma_builds_a_recipe_freezes_compares_and_downloads(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/datasets/")
    page.get_by_role("link", name="New version").click()
    expect(page.locator("#preview .ledger")).to_contain_text("left out: somebody may still be given the item")
    expect(page.locator("#preview .ledger")).not_to_contain_text("Train")
    page.wait_for_load_state()

    page.get_by_label("Only items that nobody may still be given").uncheck()
    expect(page.locator("#preview button.primary")).to_contain_text("Freeze 40 rows")
    expect(page.locator("#preview .sample")).to_have_count(20)
    page.get_by_text("Splits and evaluation").click()
    page.get_by_label("Held out for evaluation, %").fill("50")
    expect(page.locator("#preview .ledger")).to_contain_text("Test")
    page.get_by_label("Most answers of one person").fill("12")
    expect(page.locator("#preview button.primary")).to_have_text("Freeze 12 rows")
    assert complaints(page, 1280) == []
    page.locator("#preview button.primary").click()

    expect(page.locator("h1")).to_have_text("Version 2: 12 rows", timeout=PATIENCE)
    expect(page.locator("#recipe-title ~ ol")).to_contain_text("At most 12 answers of one person count.")
    assert complaints(page, 1280) == []

    page.get_by_role("link", name="version 1", exact=True).click()
    expect(page.locator("h1")).to_have_text("Version 1 to version 2")
    expect(page.locator("#recipes-title ~ .table-wrap")).to_contain_text("annotator_cap")
    expect(page.locator("#counts-title ~ dl")).to_contain_text("Removed")
    assert complaints(page, 1280) == []

    page.go_back()
    with page.expect_download() as fetched:
        page.locator(".file a", has_text="JSONL").first.click()
    content = fetched.value.path().read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    assert {"prompt", "chosen", "rejected"} == set(rows[0])
    reply = page.request.head(fetched.value.url)
    assert reply.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'

    page.locator(".sample").first.get_by_role("link", name="Who said so").click()
    expect(page.locator("#said-title ~ .table-wrap, #said-title ~ p").first).to_be_visible()
    assert complaints(page, 1280) == []


def test_what_the_check_finds_is_frozen_only_with_a_reason(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/datasets/1/")
    page.get_by_role("link", name="New version from this recipe").click()
    page.get_by_text("Splits and evaluation").click()
    page.get_by_label("Seed").fill("77")
    page.locator("#preview button.primary").click()
    expect(page.locator("h1")).to_have_text("The check found something", timeout=PATIENCE)
    expect(page.locator(".findings")).to_contain_text("One person gave most of the judgments")
    assert complaints(page, 1280) == []
    page.locator("[name=override]").fill("Bea judged everything; it is a try.")
    page.get_by_role("button", name="Freeze all the same").click()
    expect(page.locator(".notice.warn")).to_contain_text("it is a try", timeout=PATIENCE)


def test_a_recipe_that_cannot_be_is_refused_while_it_is_written(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/datasets/new/")
    page.get_by_text("How answers become one").click()
    page.get_by_label("Ties").select_option("unpaired")
    expect(page.locator("#preview")).to_contain_text("only the kind unpaired keeps single responses")
    page.get_by_label("Kind").select_option("unpaired")
    expect(page.locator("#preview")).not_to_contain_text("only the kind unpaired")


def test_without_scripts_a_recipe_is_checked_and_frozen_too(chromium: Browser, site: str) -> None:
    page = without_scripts(chromium, site, "emma", world.SLUG)
    page.goto(f"{site}/p/{world.SLUG}/datasets/new/?as=yaml")
    page.locator("[name=document]").fill("kind: sft\ncomplete: false\nmin_judgments: nine\n")
    page.locator("#preview button").click()
    expect(page.locator(".notice.danger").first).to_contain_text("min_judgments is 'nine'")
    page.locator("[name=document]").fill("kind: sft\ncomplete: false\n")
    page.locator("#preview button").click()
    expect(page.locator("h1")).not_to_have_text("New version")
    page.context.close()


def test_emma_chooses_the_best_rows_and_sees_why_before_she_freezes_them(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/datasets/1/")
    page.get_by_role("link", name="Choose the best rows").click()
    page.get_by_label("How many rows").fill("6")
    page.get_by_label("Weight of quality").fill("25")
    page.get_by_role("button", name="Choose").click()
    expect(page.locator("h1")).to_contain_text("6 of", timeout=PATIENCE)
    expect(page.locator("#picks-title ~ .table-wrap tbody tr")).to_have_count(6)
    expect(page.locator("#choice-map canvas, #choice-map svg").first).to_be_visible(timeout=PATIENCE)
    for width, theme in ((1280, "light"), (390, "dark")):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        assert complaints(page, width) == []

    page.get_by_role("button", name="Freeze these rows").click()
    expect(page.locator(".notice").first).to_contain_text("Rows chosen out of version 1", timeout=PATIENCE)
    page.get_by_role("link", name="which, and why").click()
    expect(page.locator(".notice").first).to_contain_text("Frozen as version")
