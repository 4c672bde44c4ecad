"""Downloads: in parts, with a checksum, in every shape; and freezes on the page."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.urls import reverse

from labeling.curation import exporting, freezes, rowfile
from labeling.curation.freezes import run_freeze, start_freeze
from labeling.curation.recipe import Recipe
from labeling.curation.shapes import STYLES, shapes_of
from labeling.errors import RecipeRefused, Refused
from labeling.models import DatasetVersion, Freeze, Project, User
from tests import world


@pytest.fixture
def version(project: Project, ben: User) -> DatasetVersion:
    world.fill(project, 40)
    world.judge_all(project, ben, ["0", "1"] * 20)
    return world.frozen(project)


def url(version: DatasetVersion, format: str = "jsonl") -> str:
    return reverse("labeling:export", args=[version.project.slug, version.number, format])


def test_a_download_is_resumed_where_it_broke_off(version: DatasetVersion, emma: User) -> None:
    client, query = world.sign_in(emma), {"split": "train"}
    whole = client.get(url(version), query)
    content = whole.getvalue()
    assert whole["Accept-Ranges"] == "bytes"
    assert int(whole["Content-Length"]) == len(content)
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert whole["Repr-Digest"] == f"sha-256=:{digest}:"
    headers = {"range": f"bytes={len(content) // 3}-", "if-range": whole["ETag"]}
    rest = client.get(url(version), query, headers=headers)
    assert rest.status_code == 206
    assert content[: len(content) // 3] + rest.getvalue() == content
    assert rest["Content-Range"] == f"bytes {len(content) // 3}-{len(content) - 1}/{len(content)}"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=5-999999999", 206, slice(5, None)),
        ("bytes=999999999-", 416, None),
        ("bytes=-", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=0-1,4-5", 200, slice(None)),
    ],
)
def test_parts_are_those_of_the_standard(
    version: DatasetVersion, emma: User, asked: str, status: int, part: slice | None
) -> None:
    client = world.sign_in(emma)
    content = client.get(url(version, "parquet")).getvalue()
    reply = client.get(url(version, "parquet"), headers={"range": asked})
    assert reply.status_code == status
    if part is not None:
        assert reply.getvalue() == content[part]


def test_a_part_of_another_file_is_never_given(version: DatasetVersion, emma: User) -> None:
    headers = {"range": "bytes=10-", "if-range": '"the hash of another file"'}
    reply = world.sign_in(emma).get(url(version), headers=headers)
    assert reply.status_code == 200


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["preference", "sft", "text", "unpaired", "prompts"])
def test_every_kind_is_downloaded_in_every_shape(
    version: DatasetVersion, emma: User, kind: str, format: str, style: str, tmp_path: Path
) -> None:
    frozen = world.frozen(version.project, kind=kind) if kind != "preference" else version
    for shape in shapes_of(kind):
        query = {"split": "train", "shape": shape, "style": style}
        content = world.sign_in(emma).get(url(frozen, format), query).getvalue()
        if format == "jsonl":
            rows = [json.loads(line) for line in content.splitlines()]
        else:
            (tmp_path / "x.parquet").write_bytes(content)
            rows = pq.read_table(tmp_path / "x.parquet").to_pylist()
        assert rows == list(exporting.trainer_rows(frozen, split="train", shape=shape, style=style))
        assert rows


def test_explicit_texts_of_a_conversation_say_who_speaks(project: Project, ben: User) -> None:
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
    item = world.ItemDraft(
        messages=[{"role": role, "content": content} for role, content in turns],
        responses=[world.ResponseDraft("Later"), world.ResponseDraft("No")],
    )
    world.put(project, item)
    world.judge_all(project, ben)
    frozen = world.frozen(project, test_share=0)
    (row,) = exporting.trainer_rows(frozen, split="train", style="explicit")
    assert row["prompt"] == "user: Hi\n\nassistant: Hello\n\nuser: Bye\n\nassistant:"
    assert {row["chosen"], row["rejected"]} == {"Later", "No"}


def test_a_shape_that_the_kind_does_not_have_is_refused_with_those_it_has(version: DatasetVersion) -> None:
    with pytest.raises(Refused, match="can be given as preference, sft, prompts, not as unpaired; freeze"):
        list(exporting.trainer_rows(version, split="train", shape="unpaired"))
    with pytest.raises(Refused, match="'loud'; choose one of conversational, explicit"):
        list(exporting.trainer_rows(version, split="train", style="loud"))


def test_a_response_chosen_over_several_is_one_demonstration(ben: User) -> None:
    project = world.make_project()
    drafts = [world.draft(n, prompt="The same", first="The best", second=f"Worse {n}") for n in range(4)]
    world.put(project, *drafts)
    world.judge_all(project, ben)
    frozen = world.frozen(project, test_share=0)
    assert frozen.rows == 4
    (row,) = exporting.trainer_rows(frozen, split="train", shape="sft")
    assert row["completion"] == [{"role": "assistant", "content": "The best"}]


def test_a_full_disk_in_the_middle_of_a_freeze_leaves_nothing_behind(
    project: Project, ben: User, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fill(project, 30)
    world.judge_all(project, ben)
    add, written = rowfile.RowWriter.add, []

    def full(self: Any, row: Any) -> None:
        written.append(row)
        if len(written) > 10:
            raise OSError(28, "No space left on device")
        add(self, row)

    monkeypatch.setattr(rowfile.RowWriter, "add", full)
    with pytest.raises(RecipeRefused, match="No space left on device"):
        world.frozen(project)
    assert list((var / "datasets").iterdir()) == []
    assert DatasetVersion.objects.count() == 0
    monkeypatch.undo()
    assert world.frozen(project).number == 1


def test_a_full_disk_at_the_very_end_leaves_nothing_behind(
    project: Project, ben: User, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fill(project, 5)
    world.judge_all(project, ben)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("labeling.curation.freezing.write_manifest", full)
    with pytest.raises(RecipeRefused, match="No space left on device"):
        world.frozen(project)
    assert list((var / "datasets").iterdir()) == []
    assert DatasetVersion.objects.count() == 0


def test_a_freeze_is_carried_by_a_worker_to_a_version(project: Project, ben: User, emma: User) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben)
    client = world.sign_in(emma)
    sent = client.post(reverse("labeling:dataset_new", args=[project.slug]), form(test_share="0"))
    job = Freeze.objects.get()
    assert sent.status_code == 302, sent.text
    assert sent["Location"] == reverse("labeling:freeze", args=[project.slug, job.pk])
    assert "Waiting for a worker" in client.get(sent["Location"]).text
    run_freeze(job)
    run_freeze(job)  # a second message changes nothing
    version = DatasetVersion.objects.get()
    assert client.get(sent["Location"])["Location"].endswith(f"/datasets/{version.number}/")
    assert version.created_by == emma


def form(**changes: Any) -> dict[str, Any]:
    """The recipe form as a browser sends it."""
    return {
        "kind": "preference", "statuses": ["submitted", "in_review", "accepted"], "complete": "on",
        "min_judgments": "1", "aggregation": "majority", "min_agreement": "50", "ties": "drop", "both_bad": "drop",
        "ranking_pairs": "all", "margin_scale": "1", "synthetic": "include", "tokenizer": "words",
        "test_share": "20", "validation_share": "0", "seed": "0", "near_duplicates": "80",
        "decontaminate": ["ngram", "minhash"], **changes,
    }  # fmt: skip


def test_what_blocks_is_shown_and_frozen_only_with_a_reason(project: Project, ben: User, emma: User) -> None:
    world.put(project, *[world.draft(n, first=f"Mail a{n}@example.org.") for n in range(4)])
    world.judge_all(project, ben)
    job = start_freeze(project=project, recipe=Recipe(), person=emma)
    run_freeze(job)
    client = world.sign_in(emma)
    page = client.get(reverse("labeling:freeze", args=[project.slug, job.pk]))
    assert "an e-mail address, a phone number or a card number" in page.text.lower()
    anyway = reverse("labeling:freeze_anyway", args=[project.slug, job.pk])
    assert client.post(anyway, {"override": " "}).status_code == 422
    client.post(anyway, {"override": "Invented addresses."})
    again = Freeze.objects.exclude(pk=job.pk).get()
    run_freeze(again)
    assert DatasetVersion.objects.get().override == "Invented addresses."
    shown = client.get(reverse("labeling:dataset", args=[project.slug, 1])).text
    assert "Invented addresses." in shown


def test_a_cancelled_freeze_stops_and_keeps_nothing(
    project: Project, ben: User, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben)
    job = start_freeze(project=project, recipe=Recipe(), person=None)

    def asked_to_stop(**options: Any) -> None:
        job.request_cancel()
        options["beat"](0.5)

    monkeypatch.setattr(freezes, "freeze", asked_to_stop)
    run_freeze(job)
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert DatasetVersion.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_tokens": "9", "max_tokens": "3"}, "lower min_tokens"),
        ({"ties": "unpaired"}, "only the kind unpaired keeps single responses"),
        ({"min_judgments": "0"}, "0 is too little; give 1 or more"),
        ({"statuses": []}, "required"),
    ],
)
def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(
    project: Project, emma: User, changes: dict[str, Any], words: str
) -> None:
    page = world.sign_in(emma).post(
        reverse("labeling:dataset_new", args=[project.slug]), form(seed="77", **changes)
    )
    assert page.status_code == 422
    assert words in page.text
    assert 'value="77"' in page.text
    assert not Freeze.objects.exists()


def test_a_recipe_is_written_as_yaml_too_and_begun_from_a_version(
    version: DatasetVersion, emma: User
) -> None:
    client, address = world.sign_in(emma), reverse("labeling:dataset_new", args=[version.project.slug])
    document = "kind: sft\ncomplete: false\ntest_share: 0.5\n"
    assert "40" in client.get(address, {"as": "yaml", "document": document}).text
    sent = client.post(address, {"as": "yaml", "document": document})
    assert sent.status_code == 302
    assert Freeze.objects.get().recipe["kind"] == "sft"
    wrong = client.post(address, {"as": "yaml", "document": "kind: magic"})
    assert (wrong.status_code, "kind is &#x27;magic&#x27;" in wrong.text) == (422, True)
    again = client.get(address, {"from": version.number}).text
    assert 'name="complete"' in again
    assert 'name="complete" checked' not in again.replace('id="id_complete" ', "")
