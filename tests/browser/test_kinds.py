"""Every other kind of task: by keyboard alone, by mouse, and without scripts."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import kinds
from tests.browser.visits import answers, judging, moved_on, press, prompt, without_scripts

pytestmark = [pytest.mark.browser]


def order(page: Page) -> str:
    return page.locator("input[type=hidden][name=order]").input_value()


def drag(page: Page, chip: Locator, target: Locator, *, at: float = 0.5) -> None:
    """Press on a chip, go more than eight pixels, and let go over the target, `at` of its width from the left."""
    start, end = chip.bounding_box(), target.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(start["x"] + 20, start["y"] - 20)
    page.mouse.move(end["x"] + end["width"] * at, end["y"] + end["height"] / 2)
    page.mouse.up()


def test_nia_ranks_by_keyboard_alone(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.RANKING)
    said = prompt(page)
    expect(page.locator(".chip")).to_have_count(3)
    assert order(page) == ""

    press(page, "Enter")
    expect(page.locator("#saved")).to_have_text("Responses 1, 2, 3 have no place yet.")
    press(page, "2", "1", "3", "Backspace", "3", "=")
    assert order(page) == "2>1=3"
    press(page, "ArrowRight")
    assert order(page) == "2>1>3"
    press(page, "ArrowLeft", "ArrowLeft")
    assert order(page) == "2>3>1"
    press(page, "ArrowRight")
    assert order(page) in ("2>3=1", "2>1=3")
    expect(page.locator("#response-3 .place-word")).to_have_text("2nd =")
    press(page, "Enter")

    moved_on(page, said)
    assert answers("nia", kinds.RANKING)[-1]["answer"] in ({"order": "2>3=1"}, {"order": "2>1=3"})


def test_nia_ranks_twelve_responses_and_calls_four_all_bad(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.RANKING)
    said = prompt(page)
    expect(page.locator(".response")).to_have_count(12)
    press(page, "0", "Shift+Digit1", "Shift+Digit2", *"123456789", "Enter")
    moved_on(page, said)

    press(page, "b", "Enter")

    expect(page.locator("#saved")).to_have_text("Saved")
    expect(page.locator("[data-number=done]")).to_have_text("3")
    given = [row["answer"]["order"] for row in answers("nia", kinds.RANKING)[-2:]]
    assert given == ["10>11>12>1>2>3>4>5>6>7>8>9", "all_bad"]


def test_noa_drags_responses_to_their_places(page: Page, site: str) -> None:
    judging(page, site, "noa", kinds.RANKING)
    first, second, third = (page.locator(f"[data-chip='{number}']") for number in (1, 2, 3))
    places = page.locator(".places")

    drag(page, third, places)
    assert order(page) == "3"
    drag(page, first, places.locator("li").first, at=0.9)
    assert order(page) == "3>1"
    drag(page, second, places.locator("li").nth(1))
    assert order(page) == "3>1=2"
    drag(page, first, places.locator("li").first, at=0.1)
    assert order(page) == "1>3>2"
    drag(page, third, page.locator(".bucket"))
    assert order(page) == "1>2"
    expect(page.locator("#response-3 .place-word")).to_be_hidden()


def test_noa_places_by_clicks_and_a_press_that_hardly_moves_is_a_click(page: Page, site: str) -> None:
    judging(page, site, "rio", kinds.RANKING)
    page.click("[data-place='2']")
    box = page.locator("[data-chip='3']").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 25, box["y"] + 22)
    page.mouse.up()
    assert order(page) == "2>3"
    with page.expect_response(lambda reply: "order=2%3D3" in (reply.request.post_data or "")):
        page.click("[data-rank=equal]")
    assert order(page) == "2=3"

    page.reload()
    expect(page.locator(".places li .chip")).to_have_count(2)


def test_oli_ranks_without_scripts(site: str, chromium: Browser) -> None:
    page = without_scripts(chromium, site, "oli", kinds.RANKING)

    page.select_option("[name='place.1']", "2")
    page.select_option("[name='place.2']", "1")
    page.click(".submit")
    expect(page.locator(".task-notices")).to_contain_text("name each of the responses 1 to 3 once")
    expect(page.locator("[name='place.2']")).to_have_value("1")
    page.select_option("[name='place.3']", "2")
    page.click(".submit")

    expect(page.locator("#saved")).to_have_text("Saved")
    assert answers("oli", kinds.RANKING)[-1]["answer"] == {"order": "2>1=3"}
    page.context.close()


def test_nia_rates_by_keyboard_alone(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.RATING)
    said = prompt(page)

    press(page, "4", "5", "Enter")
    expect(page.locator("#saved")).to_have_text("2 fields are still open.")
    press(page, "3", "1", "ArrowUp", "ArrowUp", "ArrowLeft", "Enter")

    moved_on(page, said)
    assert answers("nia", kinds.RATING)[-1]["answer"] == {"ratings": {"helpful": [4, 3], "tone": [1, -2]}}


def test_what_noa_rated_so_far_is_where_she_left_it_after_a_reload(page: Page, site: str) -> None:
    judging(page, site, "noa", kinds.RATING)
    with page.expect_response(lambda response: response.url.endswith("/draft/")):
        page.locator("#response-2 .step", has_text="5").click()

    page.reload()

    expect(page.locator("[name='rating.helpful.2']:checked")).to_have_value("5")
    expect(page.locator("[name='rating.helpful.1']:checked")).to_have_count(0)


def test_oli_rates_without_scripts(site: str, chromium: Browser) -> None:
    page = without_scripts(chromium, site, "oli", kinds.RATING)

    for name, value in [("helpful.1", 5), ("helpful.2", 1), ("tone.1", 2), ("tone.2", -2)]:
        page.check(f"[name='rating.{name}'][value='{value}']")
    page.click(".submit")

    expect(page.locator("#saved")).to_have_text("Saved")
    page.context.close()


def test_nia_writes_by_keyboard_alone_and_sees_a_preview(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.WRITING)
    said = prompt(page)

    press(page, "e")
    page.keyboard.type("Use the **link**, it is quick & safe.")
    press(page, "Escape", "p")
    expect(page.locator("#preview")).to_contain_text("link")
    press(page, "p", "Enter")
    expect(page.locator("#saved")).to_have_text("Say why, in a few words.")
    page.keyboard.type("Asked for")
    press(page, "Control+Enter")

    moved_on(page, said)
    stored = answers("nia", kinds.WRITING)[-1]["answer"]
    assert stored == {"text": "Use the **link**, it is quick & safe.", "rationale": "Asked for"}


def test_oli_writes_without_scripts_and_loses_nothing_when_the_reason_is_missing(
    site: str, chromium: Browser
) -> None:
    page = without_scripts(chromium, site, "oli", kinds.WRITING)

    page.fill("[name=text]", "One line\nand another")
    page.fill("[name=rationale]", " ")
    page.click(".submit")
    expect(page.locator(".task-notices")).to_contain_text("The reason is empty")
    expect(page.locator("[name=text]")).to_have_value("One line\nand another")
    page.fill("[name=rationale]", "Because")
    page.click(".submit")

    expect(page.locator("#saved")).to_have_text("Saved")
    assert answers("oli", kinds.WRITING)[-1]["answer"]["text"] == "One line\nand another"
    page.context.close()


def test_nia_improves_a_response_by_keyboard_alone_and_sees_what_she_changed(page: Page, site: str) -> None:
    judging(page, site, "nia", kinds.EDITING)
    said = prompt(page)
    originals = [page.locator(f"#response-{n} [data-shown]").inner_text() for n in (1, 2)]

    press(page, "1", "Control+Enter")
    expect(page.locator("#saved")).to_contain_text("The text is as it was")
    press(page, "Control+End")
    page.keyboard.type(" Ask me if it fails.")
    expect(page.locator("#changes ins")).to_have_text(" Ask me if it fails.")
    expect(page.locator("#changes-line")).to_have_text("5 added, 0 removed, against response 1")
    press(page, "Escape", "2")
    expect(page.locator("#text")).to_have_value(originals[1])
    press(page, "Escape", "1")
    expect(page.locator("#text")).to_have_value(f"{originals[0]} Ask me if it fails.")
    press(page, "Control+Enter")

    moved_on(page, said)
    stored = answers("nia", kinds.EDITING)[-1]["answer"]
    assert stored == {"number": 1, "text": f"{originals[0]} Ask me if it fails."}


def test_oli_improves_a_response_without_scripts(site: str, chromium: Browser) -> None:
    page = without_scripts(chromium, site, "oli", kinds.EDITING)
    original = page.locator("#response-2 [data-shown]").inner_text()

    page.click("#response-2 a")
    expect(page.locator("[name=text]")).to_have_value(original)
    page.fill("[name=text]", f"{original} Really.")
    page.click(".submit")

    expect(page.locator("#saved")).to_have_text("Saved")
    assert answers("oli", kinds.EDITING)[-1]["answer"] == {"number": 2, "text": f"{original} Really."}
    page.context.close()


def test_what_is_shown_as_changed_turns_the_one_text_into_the_other(page: Page, site: str) -> None:
    judging(page, site, "noa", kinds.EDITING)
    wrong = page.evaluate(
        """async () => {
        const { wordDiff } = await import("/static/js/rank-diff.js");
        const words = ["a", "bee", " ", "  ", "\\n", ".", "日", "本", "é", "👩🏽‍🚀", "עברית", "x1"];
        let seed = 7;
        const pick = (n) => (seed = (seed * 48271) % 2147483647) % n;
        const text = (length) => Array.from({ length }, () => words[pick(words.length)]).join("");
        const wrong = [];
        const look = (before, after) => {
          const diff = wordDiff(before, after);
          const side = (kind) => diff.filter((run) => run.kind !== kind).map((run) => run.text).join("");
          if (side("ins") !== before || side("del") !== after) wrong.push([before.slice(0, 80), after.slice(0, 80)]);
        };
        for (let n = 0; n < 400; n += 1) look(text(pick(30)), text(pick(30)));
        const long = text(40000);
        look(long, long.slice(0, 90000) + " new words " + long.slice(90500));
        look(long, text(40000));
        return wrong;
      }"""
    )
    assert wrong == []
