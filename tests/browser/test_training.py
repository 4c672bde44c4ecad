"""An engineer's path: start a run, see the loss move, stop another, evaluate what came of it."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import world
from tests.browser.conftest import sign_in
from tests.browser.visits import complaints, database_file, let_in, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 180_000  # ms: how long a page may take on a busy machine before the test gives up
LAUNCH = f"/p/{world.SLUG}/runs/new/"
SAVED_EVERY = (
    50  # steps, the default: what a process that could not write a checkpoint within its grace may lose
)
FOUND = r"/step ([\d,]+) of/.exec(document.querySelector('#live')?.textContent)?.[1] ?? '0'"
STEP = f"Number(({FOUND}).replaceAll(',', ''))"


def start_run(page: Page, site: str, name: str, *, epochs: int) -> None:
    page.goto(f"{site}/p/{world.SLUG}/runs/")
    page.get_by_role("link", name="Start a run").first.click()
    page.fill("[name=name]", name)
    page.select_option("[name=start]", label="tiny")
    page.fill("[name=epochs]", str(epochs))
    page.fill("[name=batch_size]", "2")
    page.locator("#advanced > summary").click()
    page.fill("[name=logging_steps]", "1")
    page.get_by_role("button", name="Start this run").click()
    expect(page.locator("h1")).to_have_text(name)


def step(page: Page) -> int:
    """The step that the header of the page shows."""
    return int(page.evaluate(STEP))


def pretend_run(name: str, steps: int) -> int:
    """A run that a worker would be at: its row and its events, but no process."""
    with closing(sqlite3.connect(database_file(), timeout=30)) as database, database:
        database.row_factory = sqlite3.Row
        version = database.execute(
            "SELECT id, project_id FROM labeling_datasetversion ORDER BY id"
        ).fetchone()
        start = database.execute("SELECT id, base_id FROM training_checkpoint WHERE name = 'tiny'").fetchone()
        now = datetime.now(UTC).isoformat(" ")
        facts = {
            "project_id": version["project_id"], "name": name, "method": "sft", "dataset_version_id": version["id"],
            "base_id": start["base_id"], "start_id": start["id"], "spec": json.dumps({"epochs": 3.0}),
            "folder": name, "status": "running", "attempt": 1, "error": "", "created_at": now, "queued_at": now,
            "started_at": now, "heartbeat_at": "2999-01-01 00:00:00", "step": 0, "total_steps": 400, "result": "{}",
            "prepared": "{}", "waiting": "",
        }  # fmt: skip
        marks = ", ".join("?" for _ in facts)
        made = database.execute(
            f"INSERT INTO training_trainingrun ({', '.join(facts)}) VALUES ({marks})", list(facts.values())
        )
    assert made.lastrowid is not None
    report(made.lastrowid, 1, steps)
    return made.lastrowid


def report(run: int, first: int, last: int) -> None:
    """Write the events of these steps, as the worker does."""
    now = datetime.now(UTC).isoformat(" ")
    rows = [(run, step, "log", step, now, json.dumps({"loss": 3 / step})) for step in range(first, last + 1)]
    with closing(sqlite3.connect(database_file(), timeout=30)) as database, database:
        database.executemany(
            'INSERT INTO training_runevent (run_id, seq, type, step, time, "values") VALUES (?, ?, ?, ?, ?, ?)',
            rows,
        )


def resumed_at(name: str) -> int:
    """The step of the checkpoint that a run went on from."""
    with closing(sqlite3.connect(database_file(), timeout=30)) as database:
        asked = (
            "SELECT training_runevent.step FROM training_runevent JOIN training_trainingrun AS run ON run.id = run_id "
            "WHERE run.name = ? AND type = 'resume'"
        )
        return int(database.execute(asked, [name]).fetchone()[0])


def end(run: int) -> None:
    with closing(sqlite3.connect(database_file(), timeout=30)) as database, database:
        database.execute("UPDATE training_trainingrun SET status = 'cancelled' WHERE id = ?", (run,))


def test_emma_launches_a_run_and_sees_the_loss_chart_move(page: Page, site: str) -> None:
    sign_in(page, site, "emma")
    start_run(page, site, "emma's first", epochs=3)

    expect(page.locator("#loss svg")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#live")).to_contain_text("Succeeded", timeout=PATIENCE)
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", "every 3s")
    page.goto(f"{site}/p/{world.SLUG}/checkpoints/")
    expect(page.locator("main")).to_contain_text("emma's first")


def test_the_chart_of_a_live_run_moves_and_stays_the_same_drawing(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    run = pretend_run("on its way", 12)
    page.goto(f"{site}/p/{world.SLUG}/runs/{run}/")
    expect(page.locator("#loss svg .mark-symbol path")).to_have_count(12)
    page.evaluate("document.querySelector('#loss svg').dataset.first = 'yes'")
    page.locator("#loss-table > summary").click()

    report(run, 13, 30)

    expect(page.locator("#loss svg .mark-symbol path")).to_have_count(30)
    expect(page.locator("#loss svg")).to_have_attribute("data-first", "yes")
    expect(page.locator("#loss-table tbody tr")).to_have_count(30)
    expect(page.locator("#loss-table tbody")).to_be_visible()
    end(run)


@pytest.mark.heavy
def test_emma_cancels_a_run_and_resumes_it_where_it_was(page: Page, site: str) -> None:
    sign_in(page, site, "emma")
    start_run(page, site, "too long", epochs=90)
    expect(page.locator("#loss svg")).to_be_visible(timeout=PATIENCE)
    page.locator("#run-log > summary").click()

    page.get_by_role("button", name="Cancel run").click()
    expect(page.locator("#live")).to_contain_text("Cancelled", timeout=PATIENCE)
    reached = step(page)

    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#live")).to_contain_text("Running", timeout=PATIENCE)
    page.wait_for_function(f"reached => ({STEP}) > reached", arg=reached, timeout=PATIENCE)
    assert resumed_at("too long") >= reached - SAVED_EVERY
    page.get_by_role("button", name="Cancel run").click()
    expect(page.locator("#live")).to_contain_text("Cancelled", timeout=PATIENCE)


def test_emma_runs_it_again_with_changes(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    run = pretend_run("first try", 3)
    end(run)
    page.goto(f"{site}/p/{world.SLUG}/runs/{run}/")
    page.get_by_role("link", name="Run again with changes").click()
    expect(page.locator("[name=epochs]")).to_have_value("3")

    page.fill("[name=epochs]", "1000")
    page.get_by_role("button", name="Start this run").click()
    expect(page.locator("#id_epochs_error")).to_contain_text("epochs was given as 1000.0")
    page.fill("[name=epochs]", "1")
    page.fill("[name=name]", "second try")
    page.get_by_role("button", name="Start this run").click()

    expect(page.locator("#live")).to_contain_text("Changed from first try")
    expect(page.locator("#live")).to_contain_text("became 1", use_inner_text=False)


def test_what_the_form_shows_follows_the_choices_and_keeps_what_was_typed(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(site + LAUNCH)
    page.fill("[name=epochs]", "2")
    page.locator("#advanced > summary").click()
    expect(page.locator("[name=lora_r]")).to_be_visible()

    page.select_option("[name=adaptation]", "full")
    expect(page.locator("[name=lora_r]")).to_have_count(0)
    expect(page.locator("[name=warmup]")).to_be_visible()
    settled(page)
    page.select_option("[name=method]", "dpo")
    expect(page.locator("[name=beta]")).to_be_visible()
    expect(page.locator("[name=epochs]")).to_have_value("2")
    settled(page)
    page.select_option("[name=preset]", "by_length")
    expect(page.locator("[name=beta]")).to_have_value("5")


def test_without_scripts_a_button_brings_the_fields_of_another_method(chromium: Browser, site: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    let_in(context, site, "emma")
    page = context.new_page()
    page.goto(site + LAUNCH)
    page.select_option("[name=method]", "dpo")
    page.fill("[name=name]", "kept")
    page.get_by_role("button", name="Show the settings of these choices").click()
    expect(page.locator("[name=beta]")).to_have_count(1)
    expect(page.locator("[name=name]")).to_have_value("kept")
    context.close()


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1280), pytest.param("dark", 390, marks=pytest.mark.heavy)]
)
def test_the_pages_of_runs_are_readable_by_everyone(
    chromium: Browser, site: str, theme: str, width: int
) -> None:
    context = chromium.new_context(color_scheme=theme, viewport={"width": width, "height": 844})  # type: ignore[arg-type]
    let_in(context, site, "emma")
    page = context.new_page()
    runs = [pretend_run(f"{theme} {n}", 40) for n in range(2)]
    for run in runs:
        end(run)
    found = {}
    for method in ("sft", "reward", "dpo", "kto"):
        page.goto(f"{site}{LAUNCH}?method={method}")
        page.locator("#advanced > summary").click()
        found[method] = complaints(page, width)
    for path in (f"runs/{runs[0]}/", f"runs/compare/?run={runs[0]}&run={runs[1]}", "runs/"):
        page.goto(f"{site}/p/{world.SLUG}/{path}")
        found[path] = complaints(page, width)
    context.close()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_emma_evaluates_the_base_and_leo_reads_the_numbers(page: Page, site: str) -> None:
    sign_in(page, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/evaluations/")
    if page.locator("details#start:not([open])").count():
        page.locator("#start > summary").click()
    held_out = page.locator("[name=on] option", has_text=" test").first.get_attribute("value")
    page.select_option("[name=on]", value=held_out)
    page.select_option("[name=checkpoints]", label="tiny")
    page.locator("#start details > summary").first.click()
    page.select_option("[name=engine]", value="transformers")
    page.locator("form:has([name=checkpoints]) button.primary").click()

    expect(page.locator("#live")).to_contain_text("preference: each target", timeout=PATIENCE)
    expect(page.locator("#live")).to_contain_text("tiny")
