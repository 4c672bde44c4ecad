"""Whatever file Emma sends, every bad row gets a sentence with its line, and the good rows land once."""

import io
import json
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from evaluation.models import CaseImport, Suite
from evaluation.suites import (
    Put,
    create_suite,
    freeze_version,
    importing,
    living,
    put_cases,
    remove_cases,
    retag,
    run_import,
    start_import,
)
from evaluation.suites.reading import read_case, read_cases
from labeling.errors import Refused, RowRefused
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests.evaluation.suites import first
from tests.world import json_lines

pytestmark = pytest.mark.data_layer


@pytest.fixture
def suite(project: Project) -> Suite:
    return create_suite(project=project, name="Support", person=None)


def sent(suite: Suite, content: bytes, name: str = "cases.jsonl", person: User | None = None) -> CaseImport:
    batch = start_import(suite=suite, file=io.BytesIO(content), filename=name, person=person)
    run_import(batch)
    batch.refresh_from_db()
    return batch


def counts(batch: CaseImport) -> tuple[int, int, int, int]:
    return batch.new, batch.updated, batch.unchanged, batch.refused


def test_good_rows_land_and_each_bad_one_gets_its_line_and_reason(suite: Suite, emma: User) -> None:
    content = json_lines({"prompt": "One?", "reference": "1"}, {"reference": "no prompt"})
    content += b'{"prompt": "torn\n' + json_lines({"prompt": "Two?", "weight": "heavy"}, {"prompt": "Three?"})
    batch = sent(suite, content, person=emma)
    assert batch.status == Status.SUCCEEDED
    assert counts(batch) == (2, 0, 0, 3)
    assert [error["line"] for error in batch.row_errors] == [2, 3, 4]
    assert "there is no prompt among the fields (reference)" in batch.row_errors[0]["reason"]
    assert "not JSON" in batch.row_errors[1]["reason"]
    assert "the weight is 'heavy'; give a number above 0" in batch.row_errors[2]["reason"]
    assert [(case.position, case.source, case.created_by) for case in living(suite)] == [
        (0, "cases.jsonl:1", emma),
        (1, "cases.jsonl:5", emma),
    ]


FULL = {
    "id": "q-1",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So."},
    ],
    "rejected": "Because of many reasons.",
    "contexts": [{"text": "first"}, "second"],
    "tags": ["refund", " de "],
    "weight": 2,
    "checks": {"type": "contains", "text": "So"},
    "cluster": 7,
    "sealed": True,
}


def test_every_column_of_json_is_read(suite: Suite) -> None:
    sent(suite, json_lines(FULL))
    case = first(suite)
    assert (case.uid, case.preview, case.reference) == ("q-1", "Why?", "So.")
    assert case.rejected == "Because of many reasons."
    assert (case.contexts, case.tags) == (["first", "second"], ["refund", "de"])
    assert (case.weight, case.cluster, case.sealed) == (2.0, "7", True)
    assert case.checks == [{"type": "contains", "text": "So"}]


def test_every_column_of_csv_is_read(suite: Suite) -> None:
    content = (
        "ID,Prompt,Reference,Rejected,Contexts,Tags,Weight,Checks,Cluster,Sealed\n"
        '1,Why?,So.,Nay,"[""a"", ""b""]","refund, de",0.5,"[{""type"": ""json""}]",doc,no\n'
        "2,How?,True,,one text,,,,,yes\n"
    )
    batch = sent(suite, content.encode(), "cases.csv")
    assert (counts(batch), batch.row_errors) == ((2, 0, 0, 0), [])
    one, two = living(suite).order_by("position")
    assert (one.uid, one.contexts, one.tags, one.weight) == ("1", ["a", "b"], ["refund", "de"], 0.5)
    assert (one.checks, one.cluster, one.sealed) == ([{"type": "json"}], "doc", False)
    assert (two.reference, two.rejected, two.contexts, two.sealed) == ("True", None, ["one text"], True)


def test_parquet_is_read(suite: Suite, tmp_path: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": n, "prompt": f"Question {n}?", "tags": ["a"], "reference": "yes"} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "cases.parquet")
    batch = sent(suite, (tmp_path / "cases.parquet").read_bytes(), "cases.parquet")
    assert counts(batch) == (3, 0, 0, 0)
    assert first(suite).tags == ["a"]


BAD = {
    "no object": (["a"], "the row is a list; each row must be an object"),
    "an empty prompt": ({"prompt": "  "}, "prompt is empty"),
    "a strange role": ({"messages": [{"role": "boss", "content": "x"}]}, "has the role 'boss'"),
    "a prompt that ends with the answer": (
        {"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        "prompt ends with the assistant",
    ),
    "a context without text": ({"prompt": "p", "contexts": [{"id": 1}]}, "context 1 has no text"),
    "contexts as a number": ({"prompt": "p", "contexts": 3}, "contexts must be a text or a list of texts"),
    "tags as objects": ({"prompt": "p", "tags": [{}]}, "tags must be words"),
    "too many tags": ({"prompt": "p", "tags": [str(n) for n in range(21)]}, "there are 21 tags"),
    "checks as words": ({"prompt": "p", "checks": "must be short"}, "checks must be JSON"),
    "checks with NaN": (
        {"prompt": "p", "checks": [{"type": "numeric", "value": float("nan")}]},
        "check 1, numeric, cannot be used",
    ),
    "a misspelt check": (
        {"prompt": "p", "checks": [{"type": "json"}, {"type": "contians", "text": "x"}]},
        "check 2 has the type 'contians'; choose one of exact, ",
    ),
    "a check without a type": ({"prompt": "p", "checks": '{"foo": 1}'}, "check 1 has the type None"),
    "a pattern that is none": (
        {"prompt": "p", "checks": [{"type": "regex", "pattern": "("}]},
        "check 1, regex, cannot be used: ",
    ),
    "a weight of nothing": ({"prompt": "p", "weight": 0}, "the weight is 0; give a number above 0"),
    "an infinite weight": ({"prompt": "p", "weight": "inf"}, "the weight is 'inf'"),
    "a seal of its own kind": ({"prompt": "p", "sealed": "maybe"}, "sealed is 'maybe'; write yes or no"),
    "NUL": ({"prompt": "a\0b"}, "NUL"),
    "half a surrogate": ({"prompt": "p", "reference": "\ud83d"}, "surrogate"),
    "a cluster as a list": ({"prompt": "p", "cluster": [1]}, "cluster must be a text"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_refused_with_what_is_wrong(what: str) -> None:
    row, words = BAD[what]
    with pytest.raises(RowRefused) as refused:
        read_case(row)
    assert words in str(refused.value)


def test_the_same_file_again_changes_nothing_and_an_id_updates(suite: Suite) -> None:
    rows = [{"id": n, "prompt": f"Question {n}?", "reference": "a"} for n in range(3)]
    assert counts(sent(suite, json_lines(*rows))) == (3, 0, 0, 0)
    freeze_version(suite=suite, person=None)
    assert counts(sent(suite, json_lines(*rows))) == (0, 0, 3, 0)
    assert suite.versions.count() == 1
    rows[1]["reference"] = "b"
    assert counts(sent(suite, json_lines(*rows))) == (0, 1, 2, 0)
    assert [case.reference for case in living(suite)] == ["a", "b", "a"]


def test_an_update_keeps_what_the_file_does_not_say(suite: Suite) -> None:
    sent(suite, json_lines({"id": 1, "prompt": "Why?", "reference": "a"}))
    retag(suite=suite, uids=["1"], add=["refund"], person=None)
    sent(suite, json_lines({"id": 1, "prompt": "Why?", "reference": "b"}))
    assert (first(suite).tags, first(suite).reference) == (["refund"], "b")


def test_rows_without_an_id_are_the_same_where_their_texts_are(suite: Suite) -> None:
    rows = [{"prompt": "Why?", "reference": "a"}, {"prompt": "Why?", "reference": "b"}]
    batch = sent(suite, json_lines(*rows, rows[0]))
    assert counts(batch) == (2, 0, 0, 1)
    assert "stand in row 1 already; the case is kept once" in batch.row_errors[0]["reason"]
    assert counts(sent(suite, json_lines(*rows))) == (0, 0, 2, 0)


def test_an_id_that_stands_twice_in_a_file_is_told_of(suite: Suite) -> None:
    batch = sent(suite, json_lines({"id": "a", "prompt": "One?"}, {"id": "a", "prompt": "Two?"}))
    assert batch.row_errors == [
        {"line": 2, "reason": "the id 'a' stands in row 1 already; give each case its own"}
    ]
    assert first(suite).preview == "One?"


def test_a_removed_case_comes_back_with_its_file(suite: Suite) -> None:
    row = {"id": "a", "prompt": "One?"}
    sent(suite, json_lines(row))
    remove_cases(suite=suite, uids=["a"], person=None)
    assert counts(sent(suite, json_lines(row))) == (1, 0, 0, 0)


def test_an_import_that_was_killed_goes_on_where_it_stopped(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.suites.importing.CHUNK", 2)
    rows = [{"id": n, "prompt": f"Question {n}?"} for n in range(5)]
    batch = start_import(suite=suite, file=io.BytesIO(json_lines(*rows)), filename="a.jsonl", person=None)
    real, calls = CaseImport.cancel_requested, []

    def dies(self: CaseImport) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(CaseImport, "cancel_requested", dies)
    with pytest.raises(KeyboardInterrupt):
        run_import(batch)
    CaseImport.objects.filter(pk=batch.pk).update(status=Status.QUEUED)
    batch.refresh_from_db()
    assert (batch.rows, batch.new) == (2, 2)
    run_import(batch)
    assert (batch.status, counts(batch)) == (Status.SUCCEEDED, (5, 0, 0, 0))


def test_a_suite_is_not_frozen_in_the_middle_of_an_import(suite: Suite) -> None:
    sent(suite, json_lines({"prompt": "One?"}))
    batch = start_import(suite=suite, file=io.BytesIO(b"{}"), filename="more.jsonl", person=None)
    with pytest.raises(Refused, match=r"more.jsonl is being imported into Support; wait for its end"):
        freeze_version(suite=suite, person=None)
    batch.request_cancel()
    assert freeze_version(suite=suite, person=None).cases == 1


def test_an_import_says_how_many_cases_came_under_seal_beside_a_sealed_one(suite: Suite) -> None:
    sent(suite, json_lines({"prompt": "One?", "reference": "1", "sealed": "yes"}))
    batch = sent(suite, json_lines({"prompt": "One?", "reference": "I"}, {"prompt": "Two?"}))
    assert (counts(batch), batch.sealed) == ((2, 0, 0, 0), 1)


def test_a_picture_is_refused_as_a_whole(suite: Suite) -> None:
    batch = sent(suite, b"\x89PNG\r\n", "cases.png")
    assert (batch.status, living(suite).count()) == (Status.FAILED, 0)
    assert "is a PNG picture" in batch.error


def test_only_the_first_refused_rows_are_kept_but_all_are_counted(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.suites.importing.KEPT_ERRORS", 2)
    batch = sent(suite, b"\n".join(json.dumps({"no": n}).encode() for n in range(5)) + b"\n")
    assert (batch.refused, len(batch.row_errors)) == (5, 2)


@pytest.mark.heavy
def test_a_hundred_thousand_cases_with_bad_rows_are_stored_a_chunk_at_a_time(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, statements, ahead = 100_000, [0], [0]
    marks: list[int] = []

    def counted(execute: Any, *given: Any) -> Any:
        statements[0] += 1
        return execute(*given)

    def read(found: Any, **more: Any) -> Any:
        for row in read_cases(found, **more):
            ahead[0] += 1
            yield row

    def put(**given: Any) -> Put:
        marks.append(statements[0])
        assert ahead[0] <= importing.CHUNK
        ahead[0] = 0
        return put_cases(**given)

    monkeypatch.setattr(importing, "read_cases", read)
    monkeypatch.setattr(importing, "put_cases", put)
    content = b"".join(
        b'{"reference": "none"}\n'
        if n % 50 == 49
        else b'{"prompt": "Question %d?", "reference": "yes"}\n' % n
        for n in range(rows)
    )
    with connection.execute_wrapper(counted):
        batch = sent(suite, content)
    assert (batch.status, counts(batch)) == (Status.SUCCEEDED, (98_000, 0, 0, 2_000))
    assert living(suite).count() == 98_000
    assert [error["line"] for error in batch.row_errors] == [
        50 * n for n in range(1, importing.KEPT_ERRORS + 1)
    ]
    words = "there is no prompt among the fields (reference); name it prompt or messages"
    assert {error["reason"] for error in batch.row_errors} == {words}
    costs = {after - before for before, after in pairwise(marks)}
    assert len(marks) == rows / importing.CHUNK
    assert max(costs) <= min(costs) + 1
