"""What a row must hold depends on what is asked of people; judgments that come with it must say something of it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from labeling.errors import RowRefused
from labeling.importing.mapping import FORMATS, MIN_RESPONSES, to_draft, to_drafts
from labeling.importing.oasst import joined
from labeling.importing.readers import read_rows
from labeling.models import Item, Judgment, Project
from tests import world

SAMPLES = Path(__file__).parents[1] / "data" / "formats"


def item(responses: int, **fields: Any) -> dict[str, Any]:
    return {"prompt": "p", "responses": [f"answer {n}" for n in range(responses)], **fields}


@pytest.mark.parametrize(("task", "least"), MIN_RESPONSES.items())
def test_a_task_takes_its_least_number_of_responses_and_none_below(task: str, least: int) -> None:
    assert len(to_draft(item(least), task=task).responses) == least
    if least:
        with pytest.raises(RowRefused, match=f"{least - 1} responses?;"):
            to_draft(item(least - 1), task=task)


@pytest.mark.parametrize("task", ["ranking", "rating", "demonstration", "edit"])
def test_up_to_fifty_responses_are_taken_where_the_task_allows_it(task: str) -> None:
    assert len(to_draft(item(50), task=task).responses) == 50
    with pytest.raises(RowRefused, match="there are 51 responses; an item has up to 50; split the row"):
        to_draft(item(51), task=task)


def test_a_comparison_takes_two_responses_and_says_what_takes_more() -> None:
    with pytest.raises(RowRefused, match="3 responses; a pairwise item has exactly 2; a project that ranks"):
        to_draft(item(3))


def test_a_project_for_demonstrations_takes_a_prompt_alone(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(task="demonstration")
    project.refresh_from_db()
    batch = world.import_file(project, world.json_lines({"prompt": "Write."}, {"question": "Why?"}))
    assert (batch.new, batch.refused) == (2, 0)


VERDICTS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"person": " ", "kind": "pairwise", "label": "0"}, "a verdict is by ' '; name its person"),
    "an unknown kind": ({"person": "ben", "kind": "vote", "label": "0"}, "of the kind 'vote'; use pairwise"),
    "an unknown label": (
        {"person": "ben", "kind": "pairwise", "label": "left"},
        "has the label 'left'; use 0, 1, tie",
    ),
    "a position twice": (
        {"person": "ben", "kind": "ranking", "label": "0>0"},
        "name each position from 0 to 1 once",
    ),
    "a position too many": (
        {"person": "ben", "kind": "ranking", "label": "0>1>2"},
        "name each position from 0 to 1",
    ),
    "no order": (
        {"person": "ben", "kind": "ranking", "label": "best"},
        "ranking cannot be read: The order given",
    ),
    "a strength of 9": (
        {"person": "ben", "kind": "pairwise", "label": "0", "strength": 9},
        "is 9; use 1, 2, 3",
    ),
    "a half strength": (
        {"person": "ben", "kind": "pairwise", "strength": 0.5},
        "is 0.5; it must be a whole number",
    ),
    "one rating of two": (
        {"person": "ben", "kind": "rating", "ratings": {"truth": [1]}},
        "must hold 2 values",
    ),
    "ratings in words": (
        {"person": "ben", "kind": "rating", "ratings": {"truth": "high"}},
        "list of whole numbers",
    ),
    "no text": ({"person": "ben", "kind": "demonstration"}, "ben's demonstration verdict has no text"),
    "an edit of response 7": (
        {"person": "ben", "kind": "edit", "edited": 7, "text": "x"},
        "is of response 7; edited is a position from 0 to 1",
    ),
    "an edited demonstration": (
        {"person": "ben", "kind": "demonstration", "edited": 0, "text": "x"},
        "its kind is edit then",
    ),
    "a list as person": ({"person": ["ben"], "kind": "pairwise"}, "person of verdict 1 is a list"),
    "an endless reason": (
        {"person": "ben", "kind": "pairwise", "label": "0", "rationale": "x" * 10_001},
        "a rationale has up to 10,000 letters",
    ),
    "NUL in a reason": ({"person": "ben", "kind": "pairwise", "label": "0", "rationale": "\0"}, "NUL"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_judgment_that_says_nothing_of_the_item_is_refused_with_the_reason(name: str) -> None:
    verdict, words = VERDICTS[name]
    with pytest.raises(RowRefused) as refusal:
        to_draft(item(2, verdicts=[verdict]))
    assert words in refusal.value.sentence


def test_nobody_judges_an_item_twice() -> None:
    twice = [{"person": "ben", "kind": "pairwise", "label": label} for label in "01"]
    with pytest.raises(RowRefused, match="ben judged the item twice; keep one of the verdicts"):
        to_draft(item(2, verdicts=twice))


@pytest.mark.parametrize(
    ("pair", "ranking"), [("0", "0>1"), ("1", "1>0"), ("tie", "0=1"), ("both_bad", "both_bad")]
)
def test_of_two_responses_a_comparison_is_a_ranking_and_back(pair: str, ranking: str) -> None:
    compared = item(2, verdicts=[{"person": "ben", "kind": "pairwise", "label": pair}])
    ranked = item(2, verdicts=[{"person": "ben", "kind": "ranking", "label": ranking}])
    assert to_draft(compared, task="ranking").verdicts == to_draft(ranked, task="ranking").verdicts
    assert to_draft(compared).verdicts == to_draft(ranked).verdicts


def test_judgments_of_another_kind_stay_with_the_item_and_are_not_lost_the_second_time() -> None:
    rated = {"person": "ben", "kind": "rating", "ratings": {"truth": [1, 2]}}
    first = to_draft(item(2, verdicts=[rated]))
    assert (first.verdicts, first.extra) == ([], {"other_judgments": [rated]})
    again = to_draft(item(2, extra=first.extra, verdicts=[{**rated, "person": "bea"}]))
    assert [kept["person"] for kept in again.extra["other_judgments"]] == ["ben", "bea"]


def test_judgments_of_a_file_are_stored_under_names_that_cannot_sign_in(project: Project) -> None:
    row = item(2, verdicts=[{"person": "ben", "kind": "pairwise", "label": "1", "strength": 2}])
    world.import_file(project, world.json_lines(row))
    judgment = Judgment.objects.select_related("person").get()
    assert (judgment.label, judgment.strength, judgment.person.username) == ("1", 2, "import:ben")
    assert not judgment.person.is_active


ROW_REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "PandaLM's vote of 3": (
        {"instruction": "p", "response1": "a", "response2": "b", "annotator1": 3},
        "annotator1 is 3; it must be 0 for a tie, or 1 or 2",
    ),
    "a label of perhaps": (
        {"prompt": "p", "completion": "a", "label": "perhaps"},
        "label is 'perhaps'; it must be",
    ),
    "texts that share no word": ({"chosen": "yes", "rejected": "no"}, "prompt is missing"),
    "a text that goes on": ({"chosen": "The sky", "rejected": "The sky is"}, "prompt is missing"),
    "lists of unequal length": (
        {"_server_id": None, "prompt": "p", "response_a": "a", "response_b": "b"}
        | {"q.responses": ["response_a"], "q.responses.users": [], "q.responses.status": None},
        "q has 1 responses, 0 users and 1 statuses",
    ),
    "a record without a prompt": (
        {"fields": {"colour": "red"}},
        "none of the fields (colour) is a prompt; name it prompt, instruction",
    ),
    "annotations as text": ({"data": {"prompt": "p"}, "annotations": "none"}, "annotations must be a list"),
    "a tree whose reply is a text": (
        {"prompt": {"text": "p", "role": "prompter", "replies": ["a"]}},
        "replies of",
    ),
    "a tree of a bot": ({"prompt": {"text": "p", "role": "robot", "replies": []}}, "has the role 'robot'"),
    "a tree without replies": (
        {"prompt": {"text": "p", "role": "prompter", "replies": []}},
        "no assistant reply",
    ),
    "a picture in the prompt": (
        {"prompt": [{"role": "user", "content": [{"type": "image"}]}], "chosen": "a", "rejected": "b"},
        "message 1 of prompt has no text content",
    ),
    "a response as number": ({"prompt": "p", "answers": [1, 2]}, "answers 1 is neither a text nor an object"),
}


@pytest.mark.parametrize("name", ROW_REFUSALS)
def test_a_row_of_another_tool_that_does_not_hold_together_is_refused(name: str) -> None:
    row, words = ROW_REFUSALS[name]
    with pytest.raises(RowRefused) as refusal:
        to_drafts(row, task="rating")
    assert words in refusal.value.sentence


def spoiled(value: Any, dice: random.Random) -> Any:
    """The value with something in it taken away or replaced by what nobody expects there."""
    if dice.random() < 0.1:
        return dice.choice(
            [None, 3, 0.5, True, "", "x", [], {}, [None], [{}], {"value": []}, [[]], {"role": []}]
        )
    if isinstance(value, dict):
        return {key: spoiled(part, dice) for key, part in value.items() if dice.random() > 0.05}
    return [spoiled(part, dice) for part in value] if isinstance(value, list) else value


def test_spoiled_rows_of_every_format_are_read_or_refused_but_never_crash() -> None:
    dice, outcomes = random.Random(20), {"read": 0, "refused": 0}
    rows = [row for path in sorted(SAMPLES.glob("*.*")) for _, row in read_rows(path)]
    for number in range(200 * len(rows)):
        row = spoiled(rows[number % len(rows)], dice)
        for _, whole in joined(iter([(1, row)])):
            try:
                if isinstance(whole, RowRefused):
                    raise whole
                to_drafts(
                    whole,
                    format=dice.choice([*FORMATS, "auto", "auto"]),
                    task=dice.choice(list(MIN_RESPONSES)),
                )
                outcomes["read"] += 1
            except RowRefused:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 500


def test_the_command_takes_a_file_or_a_folder_and_refuses_what_is_neither(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text("prompt,chosen,rejected\nwrite to ben@example.org,a,b\n")
    call_command("import_items", project.slug, str(tmp_path), "--scrub", "--licence", "MIT", "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["new"] == 1
    stored = Item.objects.get()
    assert (stored.messages[0]["content"], stored.licence) == ("write to [EMAIL]", "MIT")
    call_command("import_items", project.slug, str(tmp_path / "rows.csv"))
    assert Item.objects.count() == 2
    with pytest.raises(CommandError, match="is no file and no folder; give the path of one that exists"):
        call_command("import_items", project.slug, str(tmp_path / "gone"))
