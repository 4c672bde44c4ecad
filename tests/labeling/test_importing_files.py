"""Invariant 8 for tables, columns and archives: all are read row by row, and what cannot be read gets a sentence."""

import io
import json
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labeling.errors import ImportRefused, Refused, RowRefused
from labeling.importing import folders
from labeling.importing.batches import run_import, start_folder_import
from labeling.importing.readers import read_rows
from labeling.lifecycle import Status
from labeling.models import Item, Project
from tests.world import good_row, gzipped, import_file

GOOD = [good_row(n) for n in range(3)]
Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def rows(path: Path) -> list[Any]:
    return [row for _, row in read_rows(path)]


def sentences(path: Path) -> list[tuple[int, str]]:
    return [(number, row.sentence) for number, row in read_rows(path) if isinstance(row, RowRefused)]


CSV = {
    "commas": 'prompt,chosen,rejected\np,"a, b",c\n',
    "semicolons": "prompt;chosen;rejected\np;a, b;c\n",
    "tabs": "prompt\tchosen\trejected\np\ta, b\tc\n",
    "bars": "prompt|chosen|rejected\np|a, b|c\n",
    "a byte order mark": "\ufeffprompt;chosen;rejected\np;a, b;c\n",
    "Windows lines": 'prompt,chosen,rejected\r\np,"a, b",c\r\n',
    "old Macintosh lines": 'prompt,chosen,rejected\rp,"a, b",c\r',
    "quoted names": '"prompt","chosen","rejected"\n"p","a, b","c"\n',
    "single quotes": "'prompt','chosen','rejected'\n'p','a, b','c'\n",
    "capital names": 'Prompt,CHOSEN,Rejected\np,"a, b",c\n',
    "no line end": 'prompt,chosen,rejected\np,"a, b",c',
    "blank lines": '\n\nprompt,chosen,rejected\n\np,"a, b",c\n\n',
    "a column without a name": ',prompt,chosen,rejected\n0,p,"a, b",c\n',
}


@pytest.mark.parametrize("dialect", CSV)
def test_a_table_is_read_in_whatever_way_it_was_written(write: Write, dialect: str) -> None:
    path = write("rows.csv", CSV[dialect].encode())
    assert rows(path) == [{"prompt": "p", "chosen": "a, b", "rejected": "c"}]


def test_quotes_and_line_breaks_inside_cells_stay_as_they_are(write: Write) -> None:
    table = 'prompt,chosen,rejected\n"one\r\ntwo\n","say ""yes""",no\nthree,"a\n\nb",c\n'
    path = write("rows.csv", table.encode())
    assert [number for number, _ in read_rows(path)] == [2, 5]
    assert rows(path)[0] == {"prompt": "one\r\ntwo\n", "chosen": 'say "yes"', "rejected": "no"}


def test_quotes_that_are_escaped_by_a_backslash_are_quotes(write: Write) -> None:
    path = write("rows.csv", b'prompt,chosen,rejected\n"p","say \\"yes\\" now","no"\n')
    assert rows(path)[0]["chosen"] == 'say "yes" now'


def test_an_empty_cell_is_no_value(write: Write) -> None:
    path = write("rows.csv", b"prompt,response_1,response_2,response_3\np,a,b,\n")
    assert rows(path) == [{"prompt": "p", "response_1": "a", "response_2": "b"}]


def test_messages_in_a_cell_are_messages_and_a_prompt_about_json_is_a_text(write: Write) -> None:
    dialogue = json.dumps([{"role": "user", "content": "p"}]).replace('"', '""')
    table = f'prompt,completion\n"{dialogue}",a\n"[1, 2]",b\n"{{""a"": 1}}",c\n'
    prompts = [row["prompt"] for row in rows(write("rows.csv", table.encode()))]
    assert prompts == [[{"role": "user", "content": "p"}], "[1, 2]", '{"a": 1}']


BAD_LINES = {
    "too few cells": (b"p,a", "has 2 cells, but the first line names 3 columns"),
    "too many cells": (b"p,a,b,c", "has 4 cells"),
    "bytes of Latin-1": (b"caf\xe9,a,b", "not valid UTF-8"),
    "text after a closing quote": (b'p,"a" b,c', "not well quoted"),
    "a cell of more than a megabyte": (b'p,"' + b"x\n" * 600_000 + b'",c', "longer than 1,000,000"),
    "one line of more than a megabyte": (b"p," + b"x" * 1_200_000 + b",c", "longer than 1,000,000"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_of_a_table_costs_that_line_only(write: Write, name: str) -> None:
    line, words = BAD_LINES[name]
    path = write("rows.csv", b"prompt,chosen,rejected\np1,a,b\n" + line + b"\np2,a,b\n")
    assert [row["prompt"] for row in rows(path) if isinstance(row, dict)] == ["p1", "p2"]
    ((number, sentence),) = sentences(path)
    assert number == 3
    assert words in sentence


def test_a_cell_of_almost_a_megabyte_is_read(write: Write) -> None:
    path = write("rows.csv", b'prompt,chosen,rejected\np,"' + b"line\n" * 190_000 + b'",c\n')
    assert len(rows(path)[0]["chosen"]) == 950_000


def test_a_quote_that_never_closes_is_told_and_what_came_before_is_read(write: Write) -> None:
    path = write("rows.csv", b'prompt,chosen,rejected\np1,a,b\np2,"a,b\np3,a,b\n')
    assert [row["prompt"] for row in rows(path) if isinstance(row, dict)] == ["p1"]
    assert sentences(path) == [
        (3, "the row is not well quoted (unexpected end of data); double the quotes inside a cell")
    ]


def test_a_packed_table_that_is_cut_off_keeps_the_rows_before_the_cut(write: Write) -> None:
    lines = [f"question {n * n},answer {n * 7919},no {n}" for n in range(20_000)]
    whole = gzipped("\n".join(["prompt,chosen,rejected", *lines]).encode())
    path = write("rows.csv.gz", whole[: len(whole) // 2])
    found = rows(path)
    assert 1000 < len(found) < 20_000
    assert "cut off here" in found[-1].sentence
    assert isinstance(found[-2], dict)


def test_a_table_whose_columns_share_a_name_is_refused(project: Project) -> None:
    batch = import_file(project, b"prompt,text,text\np,a,b\n", "twice.csv")
    assert batch.status == Status.FAILED
    assert batch.error == "twice.csv has the column text more than once; give each column its own name."


def parquet(values: list[dict[str, Any]], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(values), sink, **options)
    return sink.getvalue()


def arrow(values: list[dict[str, Any]]) -> bytes:
    table, sink = pa.Table.from_pylist(values), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table, max_chunksize=1000)
    return sink.getvalue()


def arrow_with_footer(values: list[dict[str, Any]]) -> bytes:
    table, sink = pa.Table.from_pylist(values), io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize("make", [parquet, arrow, arrow_with_footer])
def test_columnar_files_give_the_same_rows_as_lines(
    write: Write, make: Callable[[list[dict[str, Any]]], bytes]
) -> None:
    values = [
        {"prompt": [{"role": "user", "content": f"Question {n}?"}], "chosen": "a", "rejected": "b"}
        for n in range(700)
    ]
    assert list(read_rows(write("rows.bin", make(values)))) == list(enumerate(values, start=1))


def test_many_row_groups_are_read_one_after_another(write: Write) -> None:
    assert rows(write("rows.parquet", parquet(GOOD * 100, row_group_size=7))) == GOOD * 100


def test_a_text_that_is_not_utf8_costs_its_row_of_a_columnar_file(write: Write) -> None:
    array = pa.array([b"good", b"caf\xe9", b"fine"]).view(pa.string())
    table, sink = pa.table({"prompt": array}), io.BytesIO()
    pq.write_table(table, sink)
    path = write("rows.parquet", sink.getvalue())
    assert [row["prompt"] for row in rows(path) if isinstance(row, dict)] == ["good", "fine"]
    assert sentences(path) == [(2, "a text of the row is not valid UTF-8; write the file again")]


BROKEN = {
    "a parquet file cut short": (parquet(GOOD)[:-20], "is a Parquet file that cannot be read"),
    "an arrow file of nothing": (b"\xff\xff\xff\xff\0\0", "is an Arrow file that cannot be read"),
    "an arrow file cut short": (arrow_with_footer(GOOD)[:-20], "is an Arrow file that cannot be read"),
    "a zip cut short": (b"PK\x03\x04 and no more", "is a ZIP or Office file that cannot be unpacked"),
    "a JPEG": (b"\xff\xd8\xff\xe0" + b"\0" * 20, "is a JPEG picture"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_opened_fails_with_its_name(project: Project, name: str) -> None:
    content, words = BROKEN[name]
    batch = import_file(project, content, "mine.parquet")
    assert batch.status == Status.FAILED
    assert batch.error.startswith(f"mine.parquet {words}")


def test_an_arrow_file_that_breaks_off_keeps_what_came_before(write: Write) -> None:
    whole = arrow([good_row(n) for n in range(3000)])
    found = rows(write("rows.arrow", whole[: len(whole) * 2 // 3]))
    assert isinstance(found[0], dict)
    assert "is damaged from here on" in found[-1].sentence


def save(folder: Path, values: list[dict[str, Any]], *, shards: int = 1) -> Path:
    """A dataset as `datasets` saves it."""
    folder.mkdir(parents=True)
    names = [f"data-{n:05}-of-{shards:05}.arrow" for n in range(shards)]
    for n, name in enumerate(names):
        (folder / name).write_bytes(arrow(values[n::shards]))
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0", "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_emma_imports_a_saved_dataset_where_it_lies(project: Project, tmp_path: Path) -> None:
    folder = save(tmp_path / "pairs", GOOD, shards=2)
    batch = start_folder_import(project=project, folder=folder, person=None, licence="MIT")
    run_import(batch)
    batch.refresh_from_db()
    assert (batch.status, batch.new, batch.filename) == (Status.SUCCEEDED, 3, "pairs")
    assert Item.objects.filter(licence="MIT", source_ref__startswith="pairs:").count() == 3
    assert (folder / "state.json").exists()


def test_a_saved_dataset_with_splits_gives_all_of_them_in_their_order(tmp_path: Path) -> None:
    for split, value in (("train", good_row(1)), ("test", good_row(2))):
        save(tmp_path / "both" / split, [value])
    (tmp_path / "both" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert list(read_rows(tmp_path / "both")) == [(1, good_row(1)), (2, good_row(2))]


def test_the_datasets_library_itself_writes_what_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    parts = {"train": datasets.Dataset.from_list(GOOD), "test": datasets.Dataset.from_list(GOOD[:1])}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"), num_proc=None)
    assert rows(tmp_path / "saved") == [*GOOD, *GOOD[:1]]


def test_a_folder_of_files_is_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text(json.dumps(good_row(1)) + "\n\n" + json.dumps(good_row(2)))
    (tmp_path / "data" / "b.csv").write_text("prompt,chosen,rejected\np,a,b\n")
    (tmp_path / "README.md").write_text("not data")
    assert [number for number, _ in read_rows(tmp_path)] == [1, 3, 5]


FOLDERS: dict[str, tuple[dict[str, str], str]] = {
    "nothing in it": ({}, "holds 0 data files; give 1 to 10,000 files"),
    "a part elsewhere": (
        {"state.json": '{"_data_files": [{"filename": "../secret.arrow"}]}'},
        "names the part '../secret.arrow', which is not in it",
    ),
    "a part that is gone": (
        {"state.json": '{"_data_files": [{"filename": "x.arrow"}]}'},
        "names the part 'x.arrow'",
    ),
    "no parts": ({"state.json": "{}"}, "is a saved dataset without rows"),
    "a broken state": ({"state.json": "{"}, "state.json of folder cannot be read"),
    "no splits": ({"dataset_dict.json": "{}"}, "is a saved DatasetDict without splits"),
    "a selection": ({"state.json": '{"_indices_files": [{}]}'}, "call flatten_indices()"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_no_use_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    files, words = FOLDERS[name]
    (tmp_path / "folder").mkdir()
    for file, text in files.items():
        (tmp_path / "folder" / file).write_text(text)
    with pytest.raises(ImportRefused) as refusal:
        list(read_rows(tmp_path / "folder"))
    assert words in refusal.value.sentence


def zipped(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def tarred(members: dict[str, bytes], *, link: str = "") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("link.json")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return sink.getvalue()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_packed_dataset_is_imported_and_leaves_nothing_behind(
    project: Project, tmp_path: Path, var: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    folder = save(tmp_path / "pairs", GOOD)
    packed = pack({f"pairs/{path.name}": path.read_bytes() for path in folder.iterdir()})
    batch = import_file(project, packed, "pairs.zip")
    assert (batch.status, batch.new) == (Status.SUCCEEDED, 3), batch.error
    assert list((var / "uploads").iterdir()) == []


ARCHIVES: dict[str, tuple[bytes, str]] = {
    "a path upwards": (
        zipped({"../../rows.jsonl": b"{}"}),
        "holds the path '../../rows.jsonl', which leads out",
    ),
    "a path from the root": (tarred({"/etc/rows.json": b"{}"}), "holds the path '/etc/rows.json'"),
    "a Windows path": (zipped({"c:\\rows.json": b"{}"}), "which leads out of it"),
    "a link": (tarred({}, link="/etc/passwd"), "holds the link or device 'link.json'"),
    "a bomb": (zipped({"rows.jsonl": b" " * 60_000_000}), "unpacks to more than 50 MB"),
    "an office file": (zipped({"xl/workbook.xml": b"<x/>"}), "holds 0 data files"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_not_safe_or_of_no_use_is_refused(project: Project, var: Path, name: str) -> None:
    content, words = ARCHIVES[name]
    batch = import_file(project, content, "packed")
    assert batch.status == Status.FAILED
    assert words in batch.error
    assert not list(var.rglob("unpacked-*"))


def test_an_archive_of_too_many_files_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 2)
    batch = import_file(project, zipped({f"{n}.txt": b"" for n in range(3)}), "many.zip")
    assert batch.error == "many.zip holds more than 2 files; pack fewer."


def test_a_folder_with_a_path_that_does_not_fit_is_refused(project: Project, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d" * 100] * 6)
    with pytest.raises(Refused, match="more than 500 letters; move the folder up"):
        start_folder_import(project=project, folder=deep, person=None)


def big_csv(path: Path) -> None:
    with path.open("w") as out:
        out.write("prompt,chosen,rejected\n")
        out.writelines(f'question {n},"{"long text " * 50}\n",no\n' for n in range(20_000))


def big_parquet(path: Path) -> None:
    batch = pa.RecordBatch.from_pylist(
        [{"prompt": f"{n}" * 100, "chosen": "long text " * 50} for n in range(1000)]
    )
    with pq.ParquetWriter(path, batch.schema) as out:
        for _ in range(20):
            out.write_batch(batch)


@pytest.mark.parametrize("make", [big_csv, big_parquet])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "big")
    stream: Iterator[Any] = read_rows(tmp_path / "big")
    list(islice(stream, 2000))
    tracemalloc.start()
    assert sum(1 for _ in stream) >= 17_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000
