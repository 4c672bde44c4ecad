"""Every page, as it is seen: no axe violation, nothing wider than the screen, in both themes, on a desk and a phone."""

import pytest
from playwright.sync_api import Browser

from tests.browser import world
from tests.browser.visits import complaints, complaints_everywhere, let_in

pytestmark = [pytest.mark.browser]

PAGES = [
    "",
    "rank/",
    "items/",
    "items/1/",
    "captures/",
    "captures/rules/",
    "captures/tokens/",
    "imports/",
    "imports/1/",
    "people/",
    "agreement/",
    "categories/",
    "datasets/",
    "datasets/1/",
    "datasets/1/choose/",
    "datasets/1/rows/0/",
    "datasets/new/",
    "datasets/new/?as=yaml",
    "datasets/compare/?from=1&to=1",
    "items/1/uses/",
    "withdrawals/",
    "runs/",
    "runs/new/",
    "runs/compare/",
    "pipelines/",
    "pipelines/new/",
    "policy/",
    "policy/settings/",
    "policy/notices/",
    "checkpoints/",
    "checkpoints/1/",
    "bases/",
    "evaluations/",
    "compare/",
    "leaderboard/",
    "suites/",
    "suites/new/",
    "judges/",
    "judges/new/",
    "decisions/",
    "ledger/",
    "ledger/new/",
    "rounds/",
    "endpoints/",
    "endpoints/new/",
    "generations/",
    "generations/new/",
    "studies/",
    "studies/new/",
    "playground/",
]


def test_ada_meets_no_page_that_axe_or_her_screen_complains_about(chromium: Browser, site: str) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    let_in(page.context, site, "ada")
    found = {}

    for path in ["/", "/account/tokens/", *(f"/p/{world.SLUG}/{name}" for name in PAGES)]:
        answer = page.goto(site + path)
        assert answer is not None
        assert answer.status == 200, path
        if wrong := complaints_everywhere(page):
            found[path] = wrong

    for width in (1280, 390):  # with the rail, and the phone's menu
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme="dark")
        found |= {f"frame in the dark, {width}": wrong for wrong in complaints(page, width)}
    context.close()
    assert found == {}
