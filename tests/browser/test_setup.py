"""From nothing to people who judge: a project is set up in the browser, by mouse, by keyboard, and without scripts."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import world
from tests.browser.visits import complaints_everywhere, let_in

pytestmark = [pytest.mark.browser]
PATIENCE = 180_000
PAGES = ["work/", "setup/", "preview/", "guidelines/", "people/", "imports/"]


def start_project(page: Page, site: str, name: str, template: str = "pairwise") -> str:
    """The address of a new project, started on its page."""
    page.goto(f"{site}/projects/new/")
    page.check(f"[name=template][value={template}]")
    page.fill("[name=name]", name)
    page.click("button:has-text('Start project')")
    expect(page.locator("h1")).to_have_text("Set-up")
    return page.url.removesuffix("setup/")


def rows(folder: Path, count: int, *, size: int = 0) -> Path:
    file = folder / "answers.jsonl"
    lines = [
        {
            "prompt": f"How do I close account {n}?",
            "responses": [f"Open Settings. {'x' * size}", f"No idea {n}."],
        }
        for n in range(count)
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    return file


def test_ada_starts_a_project_by_keyboard_alone(page: Page, site: str) -> None:
    let_in(page.context, site, "ada")
    page.goto(f"{site}/projects/new/")
    page.locator("[name=template]").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[name=template]:checked")).to_have_value("ranking")
    page.keyboard.press("Tab")
    page.keyboard.type("Ranked by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Set-up")
    expect(page.locator("[name=task]")).to_have_value("ranking")


def test_a_file_is_sent_with_a_bar_and_its_rows_are_followed(page: Page, site: str, tmp_path: Path) -> None:
    let_in(page.context, site, "ada")
    home = start_project(page, site, "Uploaded")
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    slow.send("Network.emulateNetworkConditions", conditions)
    page.goto(f"{home}imports/")
    page.evaluate(
        """() => { window.said = []; const line = document.querySelector("[data-upload-words]");
        new MutationObserver(() => window.said.push(line.textContent)).observe(line, { childList: true });
        window.addEventListener("pagehide", () => sessionStorage.setItem("said", JSON.stringify(window.said))); }"""
    )
    page.set_input_files("[name=file]", rows(tmp_path, 40, size=20_000))
    page.fill("[name=licence]", "CC-BY-4.0")
    page.check("[name=scrub]")
    page.click("button:has-text('Import file')")

    page.wait_for_url(re.compile(r"/imports/\d+/$"), timeout=PATIENCE)
    expect(page.locator("#report")).to_contain_text("Succeeded", timeout=PATIENCE)
    expect(page.locator("#report dd").first).to_have_text("40")
    expect(page.locator("#report")).not_to_have_attribute("hx-trigger", "every 2s")
    expect(page.locator("#report")).to_contain_text("CC-BY-4.0")
    said = json.loads(page.evaluate("sessionStorage.getItem('said')"))
    assert any(re.search(r"[\d.]+ [kM]B of [\d.]+ [kM]B sent", words) for words in said), said


def test_a_refused_file_says_why_beside_the_form_and_stays_chosen(
    page: Page, site: str, tmp_path: Path
) -> None:
    let_in(page.context, site, "ada")
    page.goto(f"{start_project(page, site, 'Refused')}imports/")
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    page.set_input_files("[name=file]", empty)
    page.click("button:has-text('Import file')")
    expect(page.locator("[data-upload-words]")).to_have_text("The submitted file is empty.")
    expect(page.locator("[name=file]")).to_have_value(re.compile(r"empty\.jsonl$"))
    expect(page.locator("[data-upload-send]")).to_be_enabled()


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        ("abort", "The connection was lost and nothing was imported"),
        ("stop", "Stopped. Nothing was imported."),
    ],
)
def test_an_upload_that_is_cut_off_imports_nothing_and_can_be_sent_again(
    page: Page, site: str, tmp_path: Path, fate: str, words: str
) -> None:
    held: list[Route] = []

    def meet(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
        elif fate == "abort":
            route.abort()
        else:
            held.append(route)

    let_in(page.context, site, "ada")
    page.goto(f"{start_project(page, site, f'Cut off by {fate}')}imports/")
    page.route("**/imports/", meet)
    page.set_input_files("[name=file]", rows(tmp_path, 3))
    page.click("button:has-text('Import file')")
    if fate == "stop":
        page.click("button:has-text('Stop sending')")
    expect(page.locator("[data-upload-words]")).to_contain_text(words)

    page.unroute("**/imports/")
    page.click("button:has-text('Import file')")
    expect(page.locator("#report")).to_contain_text("Succeeded", timeout=PATIENCE)


def test_a_file_is_sent_without_scripts(site: str, chromium: Browser, tmp_path: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    let_in(page.context, site, "ada")
    page.goto(f"{start_project(page, site, 'Without scripts')}imports/")
    page.set_input_files("[name=file]", rows(tmp_path, 2))
    page.click("button:has-text('Import file')")
    expect(page.locator("h1")).to_have_text("answers.jsonl")
    context.close()


def test_nora_joins_by_a_link_and_the_link_is_used_up(page: Page, site: str, chromium: Browser) -> None:
    let_in(page.context, site, "ada")
    home = start_project(page, site, "By invitation")
    page.goto(f"{home}people/")
    page.fill("[name=note]", "Nora")
    page.click("button:has-text('Make a link')")
    link = page.locator("#link").inner_text()
    page.goto(f"{home}people/")
    expect(page.locator("#link")).to_have_count(0)

    nora = chromium.new_context().new_page()
    nora.goto(link)
    nora.fill("[name=username]", "nora")
    nora.fill("[name=password1]", world.PASSWORD)
    nora.fill("[name=password2]", world.PASSWORD)
    nora.click("button:has-text('Make an account and join')")
    expect(nora).to_have_url(f"{home}rank/")
    nora.goto(link)
    expect(nora.locator("h1")).to_have_text("This link cannot be used")
    nora.context.close()

    page.reload()
    expect(page.locator("main")).to_contain_text("nora")
    page.click("summary[aria-label='Remove nora']")
    page.click("button:has-text('Remove nora')")
    expect(page.locator(".toast")).to_contain_text("nora is no longer here")


def test_guidelines_are_previewed_saved_and_never_overwritten(page: Page, site: str) -> None:
    let_in(page.context, site, "ada")
    home = start_project(page, site, "Guided")
    page.goto(f"{home}guidelines/")
    page.fill("#id_text", "Prefer what is true.")
    page.click("button:has-text('Preview')")
    expect(page.locator("#preview")).to_contain_text("Prefer what is true.")
    expect(page.locator("#id_text")).to_have_value("Prefer what is true.")

    other = page.context.new_page()
    other.goto(f"{home}guidelines/")
    other.fill("#id_text", "Prefer what is short.")
    other.click("button:has-text('Save as version 1')")
    expect(other.locator(".versions li")).to_have_count(1)
    other.close()

    page.click("button:has-text('Save as version 1')")
    expect(page.locator(".notice.warn")).to_contain_text("ada saved version 1 while you were writing")
    expect(page.locator("#id_text")).to_have_value("Prefer what is true.")
    expect(page.locator(".diff .removed")).to_contain_text("Prefer what is short.")
    page.click("button:has-text('Save as version 2')")
    expect(page.locator(".versions li")).to_have_count(2)


def test_the_preview_takes_no_click_and_no_key(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/preview/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    expect(page.locator(".submit")).to_be_disabled()
    for key in ("1", "Enter", "s", "u"):
        page.keyboard.press(key)
    expect(page.locator("[name=verdict]:checked")).to_have_count(0)
    assert "POST" not in asked


def test_cleo_sees_how_the_work_goes(page: Page, site: str) -> None:
    let_in(page.context, site, "cleo")
    page.goto(f"{site}/p/{world.SLUG}/work/")
    expect(page.locator("#agreement")).not_to_contain_text("…")
    expect(page.locator("#agreement")).to_contain_text("By person")
    expect(page.locator("#pace svg").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator("main")).to_contain_text("judgments are still wanted")


@pytest.mark.heavy
def test_no_page_of_the_set_up_is_complained_about_empty_or_filled(chromium: Browser, site: str) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    let_in(page.context, site, "ada")
    empty = start_project(page, site, "Seen by everybody", "ratings").removeprefix(site)
    paths = [f"{home}{name}" for home in (empty, f"/p/{world.SLUG}/") for name in PAGES]
    found = {}
    for path in [*paths, "/projects/new/", "/join/nothing/"]:
        page.goto(site + path)
        if wrong := complaints_everywhere(page):
            found[path] = wrong
    context.close()
    assert found == {}
