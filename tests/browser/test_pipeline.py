"""Emma trains a policy in three steps on one form: real runs, one page, and a step again alone."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import world
from tests.browser.visits import complaints, let_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 240_000  # ms, for three runs on a busy machine
SHORT = {"epochs": "1", "batch_size": "4"}


@pytest.mark.heavy
def test_emma_trains_a_policy_in_three_steps(page: Page, site: str) -> None:
    let_in(page.context, site, "emma")
    page.goto(f"{site}/p/{world.SLUG}/runs/")
    page.get_by_role("link", name="Pipelines").click()
    page.get_by_role("link", name="Start a pipeline").click()
    page.fill("[name=name]", "three steps")
    page.select_option("[name=start]", label="tiny")
    for role in ("sft", "reward", "policy"):
        for name, value in SHORT.items():
            page.fill(f"[name={role}-{name}]", value)
    page.locator("#advanced-policy > summary").click()
    for name, value in {"rollout_size": "8", "response_length": "8", "held_prompts": "4"}.items():
        page.fill(f"[name=policy-{name}]", value)
    page.fill("[name=policy-epochs]", "0.2")
    page.set_viewport_size({"width": 390, "height": 844})
    assert complaints(page, 390) == []
    page.get_by_role("button", name="Start these steps").click()

    expect(page.locator("h1")).to_have_text("three steps")
    policy = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Earn the reward"))
    expect(policy).to_contain_text(re.compile("Waiting for the|Waiting\\s+for the"))
    expect(page.locator("#live .page-head")).to_contain_text("Succeeded", timeout=PATIENCE)
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", "every 3s")
    assert complaints(page, 390) == []

    answers = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Answer as people do"))
    with page.expect_navigation():
        answers.get_by_role("button", name="Train again", exact=True).click()
    expect(answers).to_contain_text("Succeeded", timeout=PATIENCE)
    expect(policy).to_contain_text("The supervised fine-tuning was trained again since.", timeout=PATIENCE)
    policy.get_by_role("link", name="Open this run").click()
    page.get_by_role("link", name="a step of three steps").click()
    expect(page.locator("h1")).to_have_text("three steps")
