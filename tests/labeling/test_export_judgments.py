"""What people said leaves as a file that says it again when it is imported elsewhere."""

import csv
import hashlib
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling import exporting_judgments
from labeling.errors import Refused
from labeling.exporting_judgments import export_judgments, stream_judgments
from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft
from labeling.models import Item, Judgment, Project, User
from tests import world

pytestmark = pytest.mark.data_layer


def exported(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(stream_judgments(project=project)).splitlines()]


def table(project: Project) -> list[dict[str, str]]:
    text = b"".join(stream_judgments(project=project, format="csv")).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def judged(project: Project, *verdicts: VerdictDraft, responses: int = 2, **fields: Any) -> Item:
    """An item with these judgments, as an import stores it."""
    draft = ItemDraft(
        messages=[{"role": "user", "content": fields.pop("prompt", "p")}],
        responses=[ResponseDraft(f"answer {n}", origin=f"m{n}") for n in range(responses)],
        verdicts=list(verdicts),
        **fields,
    )
    (item,) = world.put(project, draft)
    return item


def test_a_judgment_leaves_with_its_item_and_how_it_was_given(project: Project, ben: User) -> None:
    (item,) = world.fill(project, 1)
    judgment = world.judge_next(project, ben, "1")
    assert judgment is not None
    (row,) = exported(project)
    assert row["messages"] == item.messages
    assert [response["origin"] for response in row["responses"]] == ["secret-model-a", "secret-model-b"]
    assert row["verdicts"] == [
        {
            "person": "ben",
            "kind": "pairwise",
            "label": "1",
            "display_order": judgment.display_order,
            "created_at": judgment.created_at.isoformat(),
        }
    ]


def test_items_without_a_judgment_stay_at_home(project: Project, ben: User) -> None:
    world.fill(project, 3)
    world.judge_next(project, ben)
    assert len(exported(project)) == 1


def test_ratings_are_told_by_stored_response_however_they_were_shown(project: Project, ben: User) -> None:
    item = judged(project, VerdictDraft("ben", "rating", ratings={"truth": [1, 2, 3]}), responses=3)
    assert exported(project)[0]["verdicts"][0]["ratings"] == {"truth": [1, 2, 3]}
    shown = Judgment.objects.get(item=item)
    assert exporting_judgments._stored_order({"truth": [30, 10, 20]}, [2, 0, 1]) == {"truth": [10, 20, 30]}
    assert shown.display_order == []


KINDS: dict[str, tuple[str, int, list[VerdictDraft]]] = {
    "pairwise": (
        "pairwise",
        2,
        [
            VerdictDraft("ben", "pairwise", "1", strength=3, rationale="why"),
            VerdictDraft("bea", "pairwise", "tie"),
        ],
    ),
    "ranking": (
        "ranking",
        4,
        [VerdictDraft("ben", "ranking", "2>0=1>3"), VerdictDraft("bea", "ranking", "both_bad")],
    ),
    "rating": ("rating", 1, [VerdictDraft("ben", "rating", ratings={"truth": [4], "style": [None]})]),
    "demonstration": ("demonstration", 0, [VerdictDraft("ben", "demonstration", text="Mine.")]),
    "edit": ("edit", 2, [VerdictDraft("ben", "edit", edited=0, text="Better.", rationale="shorter")]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_that_is_imported_elsewhere_is_exported_byte_for_byte_again(db: None, kind: str) -> None:
    task, responses, verdicts = KINDS[kind]
    first, second = (world.make_project(name, task=task) for name in ("First", "Second"))
    judged(first, *verdicts, responses=responses, source_ref="quiz:1", licence="MIT", synthetic=True)
    judged(
        first, *verdicts, responses=responses, source_ref="q", prompt="مرحبا 👋 \u2028", extra={"topic": "ö"}
    )
    content = b"".join(stream_judgments(project=first))
    batch = world.import_file(second, content)
    assert (batch.new, batch.refused) == (2, 0)
    assert b"".join(stream_judgments(project=second)) == content


def test_what_people_judged_here_is_exported_byte_for_byte_again_elsewhere(
    project: Project, ben: User
) -> None:
    world.put(project, *(world.draft(number, source_ref=f"quiz:{number}") for number in range(6)))
    world.judge_all(project, ben, ["0", "1", "tie", "both_bad"])
    other = world.make_project("Other")
    content = b"".join(stream_judgments(project=project))
    world.import_file(other, content)
    assert b"".join(stream_judgments(project=other)) == content
    clicked = [list(p.judgments.order_by("item").values_list("answer", flat=True)) for p in (project, other)]
    assert [answer.get("verdict") for answer in clicked[1]] == [
        answer["verdict"] if answer["verdict"] in ("first", "second") else None for answer in clicked[0]
    ]


def test_an_annotator_of_this_project_and_one_of_a_file_with_the_same_name_stay_apart(
    project: Project, ben: User
) -> None:
    Project.objects.filter(pk=project.pk).update(overlap=2)
    project.refresh_from_db()
    judged(project, VerdictDraft("ben", "pairwise", "0"))
    world.judge_next(project, ben, "1")
    (row,) = exported(project)
    assert {v["person"]: v["label"] for v in row["verdicts"]} == {"import:ben": "0", "ben": "1"}


def test_a_spreadsheet_has_a_line_for_each_judgment_and_a_column_for_each_response(project: Project) -> None:
    judged(
        project, VerdictDraft("ben", "ranking", "1>0"), VerdictDraft("bea", "ranking", "0>1"), licence="MIT"
    )
    judged(project, VerdictDraft("ben", "ranking", "2>1>0", rationale='say "why", twice'), responses=3)
    rows = table(project)
    assert [(row["person"], row["label"], row["response_3"]) for row in rows] == [
        ("ben", "1>0", ""),
        ("bea", "0>1", ""),
        ("ben", "2>1>0", "answer 2"),
    ]
    assert (rows[0]["licence"], rows[0]["model_2"], rows[2]["rationale"]) == ("MIT", "m1", 'say "why", twice')


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1"])
def test_a_text_that_a_spreadsheet_would_run_is_made_harmless(project: Project, text: str) -> None:
    judged(project, VerdictDraft("ben", "pairwise", "0", rationale=text))
    assert table(project)[0]["rationale"] == f"'{text}"
    assert exported(project)[0]["verdicts"][0]["rationale"] == text


def test_a_list_in_markdown_is_left_as_it_is(project: Project) -> None:
    judged(project, VerdictDraft("ben", "pairwise", "0", rationale="- one\n- two"))
    assert table(project)[0]["rationale"] == "- one\n- two"


def test_an_unknown_format_is_refused_before_anything_is_read(project: Project) -> None:
    with pytest.raises(Refused, match="'xml'; choose one of jsonl, csv"):
        stream_judgments(project=project, format="xml")


def fill_judged(project: Project, count: int) -> None:
    start = project.items.count()
    world.put(
        project,
        *[
            world.draft(start + n, verdicts=[VerdictDraft(who, "pairwise", "0") for who in ("ben", "bea")])
            for n in range(count)
        ],
    )


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_each_chunk_of_items_costs_two_queries_however_large_the_project(
    project: Project, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(exporting_judgments, "CHUNK", 10)
    counts = []
    for _ in range(2):
        fill_judged(project, 20)
        with CaptureQueriesContext(connection) as queries:
            b"".join(stream_judgments(project=project, format=format))
        counts.append(len(queries))
    assert counts[1] - counts[0] == 4


def peak(project: Project, format: str) -> int:
    tracemalloc.start()
    for part in stream_judgments(project=project, format=format):
        assert part
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_memory_does_not_grow_with_the_project(
    project: Project, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(exporting_judgments, "CHUNK", 20)
    monkeypatch.setattr(exporting_judgments, "ROWS", 50)
    fill_judged(project, 100)
    small = min(peak(project, format) for _ in range(3))
    fill_judged(project, 900)
    assert peak(project, format) < 3 * small


def test_the_command_writes_the_file_and_tells_its_hash(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_judged(project, 3)
    out = tmp_path / "judgments.jsonl"
    call_command("export_judgments", project.slug, str(out), "--json")
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    content = out.read_bytes()
    assert result == {
        "file": str(out),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert content == b"".join(stream_judgments(project=project))


def test_a_file_that_cannot_be_written_is_refused_and_leaves_nothing_behind(
    project: Project, tmp_path: Path
) -> None:
    fill_judged(project, 1)
    (tmp_path / "taken").mkdir()
    with pytest.raises(Refused, match="cannot be written"):
        export_judgments(project=project, out=tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken", "var"] or not list(
        tmp_path.glob("*.building")
    )


def test_ben_who_only_judges_exports_nothing(project: Project, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("export_judgments", project.slug, str(tmp_path / "out"), "--as", "ben")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["labeling:judgments", "api-judgments"])
def test_emma_downloads_what_was_said_but_not_of_items_that_she_may_still_be_given(
    project: Project, ben: User, bea: User, emma: User, name: str
) -> None:
    world.fill(project, 2)
    for who in (ben, bea):
        world.judge_next(project, who, "1")
    world.judge_next(project, ben, "1")
    client = world.sign_in(emma)
    page = client.get(reverse(name, args=[project.slug, "csv"]))
    assert page.status_code == 200
    assert page["Content-Disposition"] == f'attachment; filename="{project.slug}-judgments.csv"'
    found = list(csv.DictReader(io.StringIO(b"".join(page.streaming_content).decode(), newline="")))
    assert sorted(row["person"] for row in found) == ["bea", "ben"]
    assert client.get(reverse(name, args=[project.slug, "xml"])).status_code == 404


@pytest.mark.parametrize("name", ["labeling:judgments", "api-judgments"])
def test_ben_and_strangers_cannot_download_what_was_said(
    project: Project, ben: User, mallory: User, name: str
) -> None:
    here = reverse(name, args=[project.slug, "jsonl"])
    assert world.sign_in(ben).get(here).status_code == 403
    assert world.sign_in(mallory).get(here).status_code == 404
