"""Emma brings what she has from other tools: each format's sample becomes the drafts that stand beside it."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from labeling.errors import RowRefused
from labeling.importing.mapping import FORMATS, recognise, to_draft, to_drafts
from labeling.importing.oasst import joined
from labeling.importing.readers import read_rows
from labeling.models import Item, Judgment, Project
from tests import world

SAMPLES = Path(__file__).parents[1] / "data" / "formats"
GOLDEN = sorted(path.name for path in (SAMPLES / "expected").iterdir())


def plain_rows(path: Path, task: str) -> list[dict[str, Any]]:
    """What becomes of each row: the draft's fields that say something, or the sentence of its refusal."""
    rows: list[dict[str, Any]] = []
    for number, row in joined(read_rows(path)):
        try:
            if isinstance(row, RowRefused):
                raise row
            drafts = to_drafts(row, task=task)
        except RowRefused as refusal:
            rows.append({"row": number, "refused": refusal.sentence})
        else:
            rows += [{"row": number, **said(asdict(draft))} for draft in drafts]
    return rows


def said(value: Any) -> Any:
    """Without fields that hold nothing; what is in extra stays as it is, and a response always has its text."""
    if isinstance(value, list):
        return [said(part) for part in value]
    if not isinstance(value, dict):
        return value
    always = {"text"} if "origin" in value else set()
    return {
        key: part if key == "extra" else said(part)
        for key, part in value.items()
        if key in always or not (part is None or part is False or part in ("", [], {}))
    }


@pytest.mark.parametrize("golden", GOLDEN)
def test_a_sample_of_each_tool_becomes_the_drafts_beside_it(golden: str) -> None:
    sample, task = golden.removesuffix(".json").rsplit(".", 1)
    assert plain_rows(SAMPLES / sample, task) == json.loads((SAMPLES / "expected" / golden).read_text())


def test_every_sample_and_every_format_is_held_against_a_golden_file() -> None:
    covered = {golden.removesuffix(".json").rsplit(".", 1)[0] for golden in GOLDEN}
    assert covered == {path.name for path in SAMPLES.iterdir() if path.is_file()}
    rows = [row for sample in sorted(covered) for _, row in joined(read_rows(SAMPLES / sample))]
    found = {recognise(row, task="demonstration") for row in rows if isinstance(row, dict)}
    assert found == set(FORMATS) - {"auto"}


@pytest.mark.parametrize("task", ["pairwise", "ranking", "rating", "demonstration", "edit"])
def test_fields_that_fit_no_format_are_named_with_what_is_allowed(task: str) -> None:
    with pytest.raises(
        RowRefused, match=r"the fields \(colour, size\) fit no known format; give prompt with"
    ):
        to_draft({"size": 4, "colour": "red"}, task=task)


def imported(project: Project, sample: str, **options: Any) -> list[Item]:
    content = (SAMPLES / sample).read_bytes()
    batch = world.import_file(project, content, sample, **options)
    return list(Item.objects.filter(batch=batch).order_by("id"))


def labels(item: Item) -> list[tuple[str, str]]:
    given = Judgment.objects.filter(item=item).order_by("person__username")
    return [(judgment.person.username, judgment.label) for judgment in given]


@pytest.mark.parametrize("sample", ["label_studio_pairwise.json", "label_studio_pairwise_min.json"])
def test_label_studios_annotators_keep_their_newest_answer_in_either_export(
    project: Project, sample: str
) -> None:
    river, lake = imported(project, sample)
    assert labels(river) == [("import:label-studio-1", "0"), ("import:label-studio-2", "0")]
    assert labels(lake) == [("import:label-studio-2", "0")]


def test_rows_that_only_repeat_a_judgment_are_counted_as_duplicates(project: Project) -> None:
    content = (SAMPLES / "label_studio_pairwise_min.json").read_bytes()
    batch = world.import_file(project, content, "min.json")
    assert (batch.new, batch.duplicate, batch.refused) == (2, 1, 0)


def test_every_item_says_where_it_is_from_and_under_which_licence(project: Project) -> None:
    found = imported(project, "items.jsonl", licence="CC-BY-4.0")
    assert [(item.source_ref, item.licence) for item in found] == [
        ("quiz:7", "CC0-1.0"),
        ("items.jsonl:2", "CC-BY-4.0"),
        ("items.jsonl:3", "CC-BY-4.0"),
    ]


def test_a_source_with_a_long_file_name_still_ends_with_the_line(project: Project) -> None:
    content = world.json_lines(world.good_row(1), world.good_row(2))
    batch = world.import_file(project, content, "f" * 300)
    assert [item.source_ref for item in batch.items.order_by("id")] == ["f" * 198 + ":1", "f" * 198 + ":2"]


def test_the_same_responses_are_imported_and_flagged_but_not_under_two_labels(project: Project) -> None:
    same = {"prompt": "p", "responses": ["a", "a"]}
    preferred = {"prompt": "p", "chosen": "a", "rejected": "a"}
    batch = world.import_file(project, world.json_lines(same, preferred))
    assert Item.objects.get(batch=batch).extra == {"identical_responses": [[0, 1]]}
    assert "the same text; there is nothing to compare" in batch.row_errors.get().reason


def test_answers_that_were_discarded_or_drafts_in_argilla_are_no_judgments() -> None:
    row = {
        "fields": {"prompt": "p", "response-1": "a", "response-2": "b"},
        "responses": [
            {"user_id": "u1", "status": status, "values": {"preference": {"value": "response-2"}}}
            for status in ("draft", "discarded")
        ],
    }
    assert to_draft(row).verdicts == []


def test_what_cannot_be_told_in_another_tools_answers_is_kept_but_never_guessed() -> None:
    row = {
        "fields": {"prompt": "p", "response-1": "a", "response-2": "b"},
        "responses": [
            {
                "user_id": "u1",
                "status": "submitted",
                "values": {"language": {"value": "A"}, "size": {"value": 3}},
            }
        ],
    }
    draft = to_draft(row)
    assert draft.verdicts == []
    assert draft.extra == {"unread_answers": {"u1": {"language": "A", "size": 3}}}


def test_emma_takes_the_pairs_of_pandalm_with_or_without_the_votes() -> None:
    (row, *_) = json.loads((SAMPLES / "pandalm.json").read_text())
    alone, voted = (to_draft(row, format=name) for name in ("pandalm", "pandalm-votes"))
    assert (alone.responses, alone.verdicts, len(voted.verdicts)) == (voted.responses, [], 3)


def test_an_answer_left_of_label_studio_means_the_response_that_stood_there() -> None:
    row = {
        "data": {"prompt": "p", "answer1": "a", "answer2": "b"},
        "annotations": [
            {
                "completed_by": {"email": "ben@example.org"},
                "result": [{"from_name": "c", "to_name": "answer2,answer1", "value": {"selected": "left"}}],
            }
        ],
    }
    (verdict,) = to_draft(row).verdicts
    assert (verdict.person, verdict.label) == ("ben@example.org", "1")


def test_messages_of_a_tree_whose_parent_is_elsewhere_are_refused_and_the_rest_lands(
    project: Project,
) -> None:
    lines = (SAMPLES / "oasst_messages.jsonl").read_text().splitlines()
    orphan = {**json.loads(lines[2]), "message_id": "a-7", "parent_id": "gone"}
    content = "\n".join([*lines[:3], json.dumps(orphan), *lines[3:]]).encode()
    batch = world.import_file(project, content, "messages.jsonl")
    assert (batch.new, batch.refused) == (2, 1)
    error = batch.row_errors.get()
    assert error.line == 4
    assert "the parent gone of message a-7 is not among the rows of its tree" in error.reason


def shared(*parts: str) -> Path:
    path = world.SHARED_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path.name} is not here; it is part of the shared data, not of the repository")
    return path


REAL = {
    ("llamafactory-formats", "dpo_en_demo.first60.json", "pairwise"): 60,
    ("llamafactory-formats", "dpo_zh_demo.first40.json", "pairwise"): 40,
    ("llamafactory-formats", "kto_en_demo.first60.json", "rating"): 60,
    ("llmbar", "LLMBar__Natural.json", "pairwise"): 100,
    ("gsm8k", "train.first500.jsonl", "demonstration"): 500,
    ("truthfulqa", "TruthfulQA.part.csv", "demonstration"): 409,
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_of_other_projects_are_read_whole(name: tuple[str, str, str]) -> None:
    folder, file, task = name
    rows = plain_rows(shared(folder, file), task)
    assert len(rows) == REAL[name]
    assert not [row for row in rows if "refused" in row]


def test_the_trees_of_open_assistant_give_an_item_for_each_prompt_with_two_replies_or_more() -> None:
    rows = plain_rows(shared("open-assistant", "en_100_tree.part.jsonl"), "ranking")
    assert Counter(len(row["responses"]) for row in rows) == {2: 30, 3: 65, 4: 15, 6: 1, 9: 1}
    assert sum("verdicts" in row for row in rows) == 111
