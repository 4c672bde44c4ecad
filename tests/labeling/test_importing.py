"""Invariant 8: whatever file Emma sends, every bad row gets a sentence with its line number and the good rows land."""

import io
import json
import zlib
from typing import Any

import pytest

from labeling.errors import Refused
from labeling.importing import batches
from labeling.importing.batches import run_import, start_import
from labeling.lifecycle import Status
from labeling.models import ImportBatch, Item, Project, Response
from tests import world
from tests.world import good_row, gzipped, import_file, json_lines

pytestmark = pytest.mark.data_layer


def errors(batch: ImportBatch) -> list[tuple[int, str]]:
    return list(batch.row_errors.values_list("line", "reason"))


def counts(batch: ImportBatch) -> tuple[int, int, int]:
    return batch.new, batch.duplicate, batch.refused


def test_good_rows_land_and_each_malformed_one_gets_its_line_and_reason(project: Project) -> None:
    content = (
        json_lines(good_row(1)) + b'{"prompt": "torn\n' + b"\n" + json_lines(good_row(2), {"prompt": "only"})
    )
    batch = import_file(project, content)
    assert batch.status == Status.SUCCEEDED
    assert counts(batch) == (2, 0, 2)
    assert [line for line, _ in errors(batch)] == [2, 5]
    assert "not JSON" in errors(batch)[0][1]
    assert "fit no known format" in errors(batch)[1][1]


BAD_ROWS = {
    "no rejected": ({"prompt": "p", "chosen": "a"}, "rejected is missing"),
    "null chosen": ({"prompt": "p", "chosen": None, "rejected": "b"}, "chosen is missing"),
    "empty prompt": ({"prompt": "  ", "chosen": "a", "rejected": "b"}, "prompt is empty"),
    "a number as prompt": ({"prompt": 7, "chosen": "a", "rejected": "b"}, "prompt must be a text or a list"),
    "a number as response": ({"prompt": "p", "responses": ["a", 3]}, "response 2 is neither a text"),
    "responses as text": ({"prompt": "p", "responses": "ab"}, "responses is a str"),
    "three responses": (
        {"prompt": "p", "responses": ["a", "b", "c"]},
        "3 responses; a pairwise item has exactly 2",
    ),
    "the same response twice": ({"prompt": "p", "chosen": "a", "rejected": "a"}, "same text"),
    "a strange role": (
        {"messages": [{"role": "boss", "content": "x"}], "responses": ["a", "b"]},
        "'boss'; use",
    ),
    "a message without text": ({"messages": [{"role": "user"}], "responses": ["a", "b"]}, "no text content"),
    "no messages": ({"messages": [], "responses": ["a", "b"]}, "must be a text or a list of messages"),
    "a list as PandaLM instruction": (
        {"instruction": [], "response1": "a", "response2": "b"},
        "instruction is a list",
    ),
    "no object": (["a", "b"], "the row is a list; each row must be a JSON object"),
    "a bare text": ("hello", "the row is a str"),
    "null": (None, "the row is a NoneType"),
    "NUL in the prompt": ({**good_row(9), "prompt": "a\0b"}, "NUL"),
    "NUL in a response": ({**good_row(9), "chosen": "a\0b"}, "NUL"),
    "NUL in the source": ({"prompt": "p", "responses": ["a", "b"], "source": "x\0"}, "NUL"),
    "NUL in the licence": ({"prompt": "p", "responses": ["a", "b"], "licence": "x\0"}, "NUL"),
    "NUL in an origin": ({"prompt": "p", "responses": [{"text": "a", "origin": "\0"}, "b"]}, "NUL"),
    "NUL in extra": ({"prompt": "p", "responses": ["a", "b"], "extra": {"k": ["\0"]}}, "NUL"),
    "half a surrogate": ({**good_row(9), "rejected": "\ud83d"}, "surrogate"),
    "half a surrogate in extra": (
        {"prompt": "p", "responses": ["a", "b"], "extra": {"\udc00": 1}},
        "surrogate",
    ),
    "not a number in extra": (
        {"prompt": "p", "responses": ["a", "b"], "extra": {"k": float("nan")}},
        "not a number",
    ),
    "a field named NUL": ({"\0": 1}, "(\\u0000) fit no known format"),
    "a field named half a surrogate": ({"\ud800": 1}, "(\\ud800) fit no known format"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_row_that_cannot_be_an_item_is_refused_with_the_reason(project: Project, name: str) -> None:
    row, words = BAD_ROWS[name]
    batch = import_file(project, json_lines(good_row(1), row, good_row(2)))
    assert counts(batch) == (2, 0, 1)
    ((line, reason),) = errors(batch)
    assert line == 2
    assert words in reason


def test_bytes_that_are_not_utf8_and_raw_nul_bytes_cost_their_line_only(project: Project) -> None:
    bad = [
        b'{"prompt": "caf\xe9", "chosen": "a", "rejected": "b"}\n',
        b'{"prompt": "a\0b", "chosen": "", "rejected": "b"}\n',
    ]
    filler = json_lines(
        *[good_row(n) for n in range(100)]
    )  # beyond the bytes that tell what kind of file it is
    batch = import_file(project, filler + bad[0] + bad[1] + json_lines(good_row(100)))
    assert counts(batch) == (101, 0, 2)
    assert [line for line, _ in errors(batch)] == [101, 102]
    assert "not valid UTF-8" in errors(batch)[0][1]
    assert "not JSON" in errors(batch)[1][1]


def test_a_line_of_more_than_a_megabyte_costs_that_line_only(project: Project) -> None:
    long = {**good_row(2), "chosen": "x" * 2_500_000}
    batch = import_file(project, json_lines(good_row(1), long, good_row(3)))
    assert counts(batch) == (2, 0, 1)
    assert errors(batch)[0][0] == 2
    assert "longer than 1,000,000 bytes" in errors(batch)[0][1]


def test_an_array_of_rows_reads_like_lines(project: Project) -> None:
    rows = [good_row(1), {"prompt": "only"}, "text", {**good_row(2), "chosen": "y" * 1_100_000}, good_row(3)]
    batch = import_file(project, json.dumps(rows).encode(), "rows.json")
    assert counts(batch) == (2, 0, 3)
    assert [line for line, _ in errors(batch)] == [2, 3, 4]


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb\xbf \r\n", b"\n\n"])
def test_a_byte_order_mark_or_white_space_before_the_rows_is_no_matter(project: Project, mark: bytes) -> None:
    batch = import_file(project, mark + json.dumps([good_row(1)]).encode(), "rows.json")
    again = import_file(project, mark + json_lines(good_row(2)))
    assert (counts(batch), counts(again)) == ((1, 0, 0), (1, 0, 0)), (errors(batch), errors(again))


def test_an_array_that_stops_being_json_in_the_middle_keeps_what_came_before(project: Project) -> None:
    content = json.dumps([good_row(1), good_row(2)]).encode()[:-1] + b", {broken"
    batch = import_file(project, content, "rows.json")
    assert counts(batch) == (2, 0, 1)
    assert errors(batch)[0][0] == 3
    assert "stops being JSON at this row" in errors(batch)[0][1]


def test_rows_nested_without_end_are_refused_with_a_sentence(project: Project) -> None:
    deep = (
        b'{"prompt": "p", "responses": ["a", "b"], "extra": '
        + b'{"a":' * 20_000
        + b"1"
        + b"}" * 20_000
        + b"}"
    )
    lines = import_file(project, json_lines(good_row(1)) + deep + b"\n")
    array = import_file(project, b"[" + json.dumps(good_row(2)).encode() + b"," + deep + b"]", "rows.json")
    assert (counts(lines), counts(array)) == ((1, 0, 1), (1, 0, 1))


WHOLE_FILES: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "is empty"),
    "white space only": (b" \n\t\n" * 5000, "only white space"),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a PNG picture"),
    "a ZIP": (b"PK\x03\x04" + b"\0" * 50, "a ZIP or Office file"),
    "a Parquet file": (b"PAR1" + b"\x15\x04" * 50, "a Parquet file"),
    "a PDF": (b"%PDF-1.7 ...", "a PDF"),
    "binary": (b"\0\1\2\3" * 100, "not a text file"),
    "UTF-16": (json.dumps(good_row(1)).encode("utf-16"), "not a text file"),
    "CSV": (b"prompt,chosen,rejected\n1,2,3\n", "not JSON"),
    "an empty gzip": (gzipped(b""), "only white space"),
    "a gzip cut after its head": (gzipped(json_lines(good_row(1)))[:12], "cannot be unpacked"),
    "a gzip of a PNG": (gzipped(b"\x89PNG\r\n\x1a\n" + b"\0" * 50), "not a text file"),
}


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_a_file_of_no_use_fails_with_a_sentence_that_names_it_as_emma_did(
    project: Project, name: str
) -> None:
    content, words = WHOLE_FILES[name]
    batch = import_file(project, content, "my rows.jsonl")
    assert batch.status == Status.FAILED
    assert batch.error.startswith("my rows.jsonl ")
    assert words in batch.error
    assert Item.objects.count() == 0


def test_a_gzip_that_is_cut_off_keeps_the_rows_before_the_cut(project: Project) -> None:
    rows = [{**good_row(n), "chosen": f"{zlib.crc32(bytes([n % 256]) * n):x}" * 40} for n in range(3000)]
    whole = gzipped(json_lines(*rows))
    batch = import_file(project, whole[: len(whole) // 2], "rows.jsonl.gz")
    assert batch.status == Status.SUCCEEDED
    assert 0 < batch.new < 3000
    assert batch.refused == 1
    assert errors(batch) == [(batch.new + 1, errors(batch)[0][1])]
    assert "cut off" in errors(batch)[0][1]


@pytest.mark.parametrize("shape", ["lines", "array"])
def test_a_gzip_that_is_damaged_inside_keeps_the_rows_before_the_damage(project: Project, shape: str) -> None:
    rows = [{**good_row(n), "chosen": f"{zlib.crc32(bytes([n % 256]) * n):x}" * 40} for n in range(3000)]
    damaged = bytearray(gzipped(json_lines(*rows) if shape == "lines" else json.dumps(rows).encode()))
    middle = len(damaged) // 2
    damaged[middle : middle + 200] = b"\xff" * 200
    batch = import_file(project, bytes(damaged), "rows.jsonl.gz")
    assert batch.status == Status.SUCCEEDED
    assert 0 < batch.new < 3000
    assert batch.refused >= 1


@pytest.mark.parametrize("apart", [1, 700])
def test_a_row_that_stands_twice_in_a_file_is_one_item_and_one_duplicate(
    project: Project, apart: int
) -> None:
    rows = [good_row(n) for n in range(apart)]
    batch = import_file(project, json_lines(*rows, rows[0]))
    assert counts(batch) == (apart, 1, 0)
    assert Item.objects.count() == apart


def test_a_second_import_of_the_same_file_brings_nothing_new(project: Project) -> None:
    content = json_lines(*[good_row(n) for n in range(3)])
    assert counts(import_file(project, content)) == (3, 0, 0)
    assert counts(import_file(project, content)) == (0, 3, 0)
    assert project.assignments.count() == 3


class Killed(BaseException):
    """The worker's process is gone."""


def test_an_import_that_is_killed_half_way_and_run_again_ends_with_the_same_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [good_row(n) for n in range(1100)]
    content = json_lines(*rows[:600], rows[0], {"bad": 1}, *rows[600:], rows[5])
    batch = start_import(project=project, file=io.BytesIO(content), filename="f", person=None)
    store, calls = batches.add_items, []

    def dies_in_the_third_chunk(**values: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return store(**values)

    monkeypatch.setattr(batches, "CHUNK", 500)
    monkeypatch.setattr(batches, "add_items", dies_in_the_third_chunk)
    with pytest.raises(Killed):
        run_import(batch)
    monkeypatch.undo()
    assert 0 < Item.objects.count() < 1100
    batch = ImportBatch.objects.get(pk=batch.pk)
    ImportBatch.objects.filter(pk=batch.pk).update(status=Status.QUEUED)
    run_import(batch)
    batch.refresh_from_db()
    assert counts(batch) == (1100, 2, 1)
    assert Item.objects.count() == project.assignments.count() == 1100
    assert Response.objects.count() == 2200
    assert batch.row_errors.count() == 1


def test_emma_can_stop_an_import_between_two_chunks(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json_lines(*[good_row(n) for n in range(1200)])
    batch = start_import(project=project, file=io.BytesIO(content), filename="f", person=None)
    store = batches.add_items

    def stop_after_the_first(**values: Any) -> Any:
        ImportBatch.objects.get().request_cancel()
        return store(**values)

    monkeypatch.setattr(batches, "CHUNK", 500)
    monkeypatch.setattr(batches, "add_items", stop_after_the_first)
    run_import(batch)
    batch.refresh_from_db()
    assert (batch.status, batch.new) == (Status.CANCELLED, 500)
    assert Item.objects.count() == 500


@pytest.mark.parametrize("packed", [False, True])
def test_emma_sees_which_share_of_the_file_has_been_read(
    project: Project, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    content = json_lines(*[good_row(n) for n in range(3000)])
    content = gzipped(content) if packed else content
    batch = start_import(project=project, file=io.BytesIO(content), filename="f", person=None)
    store, seen = batches.add_items, []

    def look(**values: Any) -> Any:
        seen.append(ImportBatch.objects.get().progress)
        return store(**values)

    monkeypatch.setattr(batches, "CHUNK", 500)
    monkeypatch.setattr(batches, "add_items", look)
    run_import(batch)
    shares = [share for share in seen if share is not None]
    assert len(shares) == 5
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.6 < shares[-1] <= 1


def test_only_the_first_errors_are_kept_but_all_are_counted(project: Project) -> None:
    batch = import_file(project, b'{"no": 1}\n' * 1203)
    assert batch.refused == 1203
    assert batch.row_errors.count() == 500


def test_an_unknown_format_is_refused_before_anything_is_stored(project: Project) -> None:
    with pytest.raises(Refused, match="'xml'; choose one of auto"):
        import_file(project, b"<a/>", format="xml")
    assert ImportBatch.objects.count() == 0


def test_a_number_of_five_thousand_digits_costs_its_line_only(project: Project) -> None:
    row = b'{"prompt": "p", "responses": ["a", "b"], "extra": {"k": ' + b"1" * 5000 + b"}}\n"
    batch = import_file(project, row + json_lines(good_row(1)))
    assert counts(batch) == (1, 0, 1)
    assert errors(batch)[0][0] == 1


def test_names_that_are_longer_than_their_column_are_cut_and_the_row_lands(project: Project) -> None:
    responses = [{"text": "a", "origin": "o" * 300}, "b"]
    long = {"prompt": "p" * 500, "responses": responses, "licence": "l" * 300, "source": "s" * 300}
    batch = import_file(project, json_lines(long), "f" * 300, licence="x" * 300)
    item = Item.objects.get(batch=batch)
    assert (len(item.preview), len(item.licence), len(item.source_ref)) == (200, 100, 200)
    assert len(item.responses.get(position=0).origin) == 120


def test_the_licence_of_the_file_is_given_to_rows_without_one(project: Project) -> None:
    own = {"prompt": "p", "responses": ["a", "b"], "licence": "MIT"}
    import_file(project, json_lines(own, good_row(1)), licence="Apache-2.0")
    assert list(Item.objects.order_by("id").values_list("licence", flat=True)) == ["MIT", "Apache-2.0"]


def test_a_finished_import_leaves_no_upload_behind(project: Project, var: Any) -> None:
    import_file(project, json_lines(good_row(1)))
    assert list((var / "uploads").iterdir()) == []


def data(*parts: str) -> bytes:
    path = world.SHARED_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not here; it is part of the shared data, not of the repository")
    return path.read_bytes()


def test_the_999_pairs_of_pandalm_land_and_are_duplicates_the_second_time(project: Project) -> None:
    content = data("pandalm", "testset-v1.json")
    assert counts(import_file(project, content, "testset-v1.json")) == (999, 0, 0)
    assert counts(import_file(project, content, "testset-v1.json")) == (0, 999, 0)
    assert Item.objects.values("prompt_hash").distinct().count() == 170
    assert Response.objects.filter(text__in=["True", "False"]).count() >= 6
    assert Response.objects.filter(text="").count() == 54


def test_the_1156_dialogues_of_hh_land_but_for_those_that_differ_before_the_last_answer(
    project: Project,
) -> None:
    content = data("hh-rlhf-harmless", "harmless-base-test.part.jsonl.gz")
    batch = import_file(project, content, "harmless.jsonl.gz")
    reasons = {reason for _, reason in errors(batch)}
    assert batch.new + batch.duplicate + batch.refused == 1156
    assert all("differ before the last answer" in reason for reason in reasons)
    assert counts(batch) == (1156, 0, 0)
