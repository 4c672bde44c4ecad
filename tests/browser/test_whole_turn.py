"""One turn of the loop with nothing pretended: trained, measured, read, asked again with other contexts, judged blind,
trained again by a policy, and tied into a round."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import world
from tests.browser.visits import complaints_everywhere, judging, let_in, moved_on, prompt
from tests.browser.visits import press as keys

pytestmark = [pytest.mark.browser, pytest.mark.heavy]
PATIENCE = 300_000  # ms: models are loaded, trained and asked on the way
HOME = f"/p/{world.SLUG}"
FIRST, SECOND = "ben", "bea"
PROMPTS = 24
SUITE, CHECKPOINT, STUDY = "Parcels", "first turn", "Which one do people prefer"


def file_of(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def visit(page: Page, site: str, who: str, address: str) -> None:
    page.context.clear_cookies()
    let_in(page.context, site, who)
    page.goto(f"{site}{HOME}{address}")


def test_emma_trains_a_checkpoint_and_measures_it_on_cases_with_contexts(
    page: Page, site: str, tmp_path: Path
) -> None:
    visit(page, site, "emma", "/runs/new/")
    page.fill("[name=name]", CHECKPOINT)
    page.select_option("[name=start]", label="tiny")
    page.get_by_role("button", name="Start this run").click()
    expect(page.locator("#live")).to_contain_text("Succeeded", timeout=PATIENCE)

    places = ["Utrecht", "Delft", "Ghent", "Lille"]
    cases = [
        {
            "prompt": f"Where is parcel {number}?",
            "reference": places[number % 4],
            "contexts": [f"Parcel {number} lies in {places[number % 4]}.", "Parcels are sent on Mondays."],
            "gold": [f"Parcel {number} lies in {places[number % 4]}."],
            "tags": [places[number % 4].lower()],
        }
        for number in range(12)
    ]
    page.goto(f"{site}{HOME}/suites/new/?way=file")
    page.get_by_label("Name").fill(SUITE)
    page.set_input_files("[name=file]", file_of(tmp_path / "parcels.jsonl", cases))
    page.get_by_role("button", name="Create suite and import").click()
    expect(page.locator("#report")).to_contain_text("None: every row was read.", timeout=PATIENCE)
    page.get_by_role("link", name="See the cases").click()
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Metric to add").select_option("contains")
    page.get_by_role("button", name="Add a metric").click()
    expect(page.locator("fieldset.metric")).to_have_count(1)
    with page.expect_navigation():  # not to be cut off by the next page
        page.get_by_role("button", name="Save settings").click()

    page.goto(f"{site}{HOME}/evaluations/")
    page.get_by_label("Suite", exact=True).select_option(label=SUITE)
    page.get_by_label("Checkpoints").select_option(label=CHECKPOINT)
    page.get_by_text("Settings: baseline, engine, sampling").click()
    page.get_by_label("Engine").select_option("transformers")
    page.get_by_label("Contexts").select_option("retrieved")
    page.get_by_label("Max tokens").fill("12")
    page.get_by_role("button", name="Start evaluation").click()
    expect(page.locator("#live")).to_contain_text("Read a random sample of its failures", timeout=PATIENCE)


def test_leo_reads_failures_and_emma_learns_which_stage_is_to_blame(page: Page, site: str) -> None:
    visit(page, site, "leo", "/evaluations/")
    page.locator("#rows tbody a").first.click()
    page.get_by_role("button", name="Read a random sample of its failures").click()
    page.get_by_role("link", name="Read the first failure").first.click()
    for place in (1, 2):
        expect(page.locator("h1")).to_contain_text(f"Failure {place} ")
        keys(page, str(place), "Enter")
    expect(page.locator("h1")).to_contain_text("Failure 3 ")

    visit(page, site, "emma", "/errors/")
    page.locator("#rows tbody a, main tbody a").first.click()
    page.get_by_text("Ask again with other contexts").click()
    page.get_by_label("Failing cases").fill("6")
    page.get_by_role("button", name="Plan four runs").click()
    expect(page.locator("h1")).to_have_text("Which stage is to blame")
    assert complaints_everywhere(page) == []
    expect(page.locator("#stages-title")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#live table").first.locator("tbody tr")).to_have_count(4)
    expect(page.locator("#live table").first).not_to_contain_text("failed")
    assert complaints_everywhere(page) == []
    page.get_by_role("link", name="Compare the arms case by case").click()
    expect(page).to_have_url(re.compile("/compare/"))
    expect(page.locator("h1")).to_be_visible()


def test_people_judge_a_study_blind_and_emma_takes_its_look(page: Page, site: str, tmp_path: Path) -> None:
    visit(page, site, "emma", "/studies/new/")
    page.get_by_label("tiny", exact=True).check()
    page.get_by_label(CHECKPOINT).check()
    page.get_by_label("Win rate to find, %").fill("80")
    page.get_by_label("Looks", exact=True).fill("1")
    page.get_by_label("Prompts", exact=True).select_option("file")
    asked = [{"prompt": f"Tell me about bridge {number}."} for number in range(PROMPTS)]
    page.set_input_files("[name=file]", file_of(tmp_path / "bridges.jsonl", asked))
    page.get_by_label("Max tokens").fill("10")
    page.fill("[name=name]", STUDY)
    page.get_by_text("Engine, system message, sampling").click()
    page.get_by_label("Engine").select_option("transformers")
    page.get_by_role("button", name="Reckon").click()
    expect(page.locator("#planner")).to_contain_text(f"there are {PROMPTS}")
    page.get_by_role("button", name="Start the study").click()
    expect(page.locator("h1")).to_have_text(STUDY)
    expect(page.locator("#study")).to_contain_text("How far people are", timeout=PATIENCE)
    study = page.url
    expect(page.get_by_role("button", name="Take look 1")).to_be_disabled()
    assert complaints_everywhere(page) == []

    judged(page, site, FIRST, PROMPTS // 2)
    judged(page, site, SECOND, PROMPTS)
    judged(page, site, FIRST, PROMPTS)  # he holds what he was shown last
    visit(page, site, "emma", "/studies/")
    page.goto(study)
    expect(page.locator("#study")).to_contain_text(f"{PROMPTS} of {PROMPTS}")
    expect(page.locator("#study")).not_to_contain_text("Equivalent or preferred")
    page.get_by_role("button", name="Take look 1").click()
    expect(page.locator("#result-title")).to_have_text("What look 1 found")
    expect(page.locator("#rates-chart svg")).to_be_visible()
    assert complaints_everywhere(page) == []

    visit(page, site, "leo", "/studies/")
    page.get_by_role("link", name=STUDY).click()
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Markdown").click()
    assert "Equivalent or preferred" in fetched.value.path().read_text()


def judged(page: Page, site: str, who: str, most: int, *, of_study: bool = True) -> None:
    """Judge pairs of bridges, which come before other work, as long as there are any; or else other work."""
    page.context.clear_cookies()
    judging(page, site, who, world.SLUG)
    for _ in range(most):
        said = prompt(page)
        if ("bridge" in said) is not of_study:
            return
        assert CHECKPOINT not in page.locator("main").inner_text()
        keys(page, "1", "Enter")
        moved_on(page, said)


def test_a_policy_trains_again_and_says_where_it_ended(page: Page, site: str) -> None:
    judged(page, site, FIRST, 3, of_study=False)  # what the study was told is not trained on
    visit(page, site, "emma", "/policy/")
    page.get_by_role("link", name="Set up a policy").first.click()
    page.get_by_label("Start by itself").uncheck()
    page.get_by_label("Run to follow").select_option(index=1)
    page.get_by_label("Freeze even what the check would block, because").fill("a test")
    page.get_by_label("Suite").select_option(label=SUITE)
    page.get_by_label("Engine").select_option("transformers")
    page.get_by_label("Max tokens").fill("12")
    page.get_by_role("button", name="Set up this policy").click()
    expect(page.get_by_role("button", name="Retrain now")).to_be_visible()
    assert complaints_everywhere(page) == []
    page.get_by_role("button", name="Retrain now").click()
    expect(page.locator("h1")).to_contain_text("of the retrain policy")
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", "every 3s", timeout=PATIENCE)
    steps = page.locator("#live .step")
    expect(steps).to_have_count(5)
    for place in range(3):
        expect(steps.nth(place)).to_contain_text("Done")
    expect(page.locator("#live .notice")).to_contain_text(re.compile("gate|candidate|cases"))
    assert complaints_everywhere(page) == []


def test_a_round_ties_the_turn_and_is_stale_once_a_judgment_is_altered(page: Page, site: str) -> None:
    visit(page, site, "emma", "/datasets/1/")
    page.get_by_role("button", name="Tie into a round").click()
    expect(page.locator(".round-chain")).to_contain_text(CHECKPOINT)
    expect(page.locator("main")).to_contain_text("Every judgment in it is as it was when it was frozen.")
    page.get_by_role("link", name="Change", exact=True).click()
    page.get_by_label("Study").select_option(label=STUDY)
    assert complaints_everywhere(page) == []
    page.get_by_role("button", name="Save the round").click()
    expect(page.locator(".round-chain")).to_contain_text(STUDY)
    assert complaints_everywhere(page) == []
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Markdown").click()
    assert STUDY in fetched.value.path().read_text()
    address = page.url

    visit(page, site, "leo", "/review/")
    keys(page, "j", "x")
    expect(page.locator("textarea:focus")).to_have_count(1)
    page.keyboard.type("The second one is better.")
    keys(page, "Control+Enter")
    expect(page.locator(".notice.good")).to_contain_text("it comes first when they go on")
    page.goto(address)
    expect(page.locator("main")).to_contain_text("Stale.")
    assert complaints_everywhere(page) == []
