"""What Emma downloads is what was frozen, in the columns that a trainer expects."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.urls import reverse

from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, User
from tests import world

MESSAGE = {"role", "content"}


@pytest.fixture
def version(project: Project, ben: User) -> DatasetVersion:
    world.fill(project, 20)
    world.judge_all(project, ben, ["0", "1"] * 10)
    return world.frozen(project)


def well_formed(row: dict[str, Any], columns: set[str]) -> bool:
    return set(row) == columns and all(set(message) == MESSAGE for name in columns for message in row[name])


def test_jsonl_has_the_columns_of_trls_preference_trainers(version: DatasetVersion, tmp_path: Path) -> None:
    paths = exporting.export(version, tmp_path / "out")
    found = {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in paths}
    assert {split: len(rows) for split, rows in found.items()} == {
        split: counts["rows"] for split, counts in version.splits.items()
    }
    assert all(well_formed(row, {"prompt", "chosen", "rejected"}) for rows in found.values() for row in rows)
    assert all(row["chosen"] != row["rejected"] for rows in found.values() for row in rows)


def test_jsonl_for_sft_has_prompt_and_the_chosen_completion(version: DatasetVersion, tmp_path: Path) -> None:
    exporting.export(version, tmp_path / "out", shape="sft")
    lines = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    chosen = [row["chosen"] for row in rowfile.read(version.path, split="train")]
    assert all(well_formed(row, {"prompt", "completion"}) for row in lines)
    assert [row["completion"][0]["content"] for row in lines] == chosen


def test_parquet_holds_the_same_rows_as_jsonl(version: DatasetVersion, tmp_path: Path) -> None:
    exporting.export(version, tmp_path / "a")
    exporting.export(version, tmp_path / "b", format="parquet")
    lines = [json.loads(line) for line in (tmp_path / "a" / "train.jsonl").read_text().splitlines()]
    assert pq.read_table(tmp_path / "b" / "train.parquet").to_pylist() == lines


@pytest.mark.filterwarnings("ignore")  # what the datasets library says of itself on import is not ours
def test_the_folder_loads_with_the_datasets_library(version: DatasetVersion, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    (test, train) = exporting.export(version, tmp_path / "out", format="datasets")
    loaded = datasets.load_from_disk(str(train))
    assert loaded.column_names == ["prompt", "chosen", "rejected"]
    assert loaded.num_rows + datasets.load_from_disk(str(test)).num_rows == version.rows


def test_an_unknown_format_is_refused(version: DatasetVersion, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="'csv'; choose one of jsonl, parquet, datasets"):
        exporting.export(version, tmp_path / "out", format="csv")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused(version: DatasetVersion, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file is in the way")
    with pytest.raises(Refused, match="cannot be written"):
        exporting.export(version, tmp_path / "out")


def rewrite(version: DatasetVersion) -> None:
    """Somebody swaps one answer in the file."""
    rows = list(rowfile.read(version.path))
    rows[0]["chosen"] = "tampered"
    with rowfile.RowWriter(version.path / rowfile.FILE_NAME, version.kind) as writer:
        for row in rows:
            writer.add(row)


def cut(version: DatasetVersion) -> None:
    path = version.path / rowfile.FILE_NAME
    path.write_bytes(path.read_bytes()[:-50])


def lose(version: DatasetVersion) -> None:
    (version.path / rowfile.FILE_NAME).unlink()


HARM = {
    "rewritten": (rewrite, "somebody changed the file. Restore it from a backup"),
    "cut": (cut, "somebody changed the file. Restore it from a backup"),
    "lost": (lose, "cannot be read"),
}


@pytest.mark.parametrize("harm", HARM)
def test_rows_that_are_not_what_was_frozen_are_not_handed_out(
    version: DatasetVersion, emma: User, tmp_path: Path, harm: str
) -> None:
    do, words = HARM[harm]
    do(version)
    with pytest.raises(Refused, match=words):
        exporting.export(version, tmp_path / "out")
    for format in ("jsonl", "parquet"):
        url = reverse("labeling:export", args=[version.project.slug, version.number, format])
        reply = world.sign_in(emma).get(url)
        assert reply.status_code == 409
        assert words in reply.text


@pytest.mark.parametrize("harm", ["cut", "lost"])
def test_the_page_of_a_version_says_that_its_rows_are_gone(
    version: DatasetVersion, emma: User, harm: str
) -> None:
    HARM[harm][0](version)
    page = world.sign_in(emma).get(reverse("labeling:dataset", args=[version.project.slug, version.number]))
    assert page.status_code == 200
    assert "restore them from a backup" in page.text


def test_emma_downloads_each_split_and_shape(version: DatasetVersion, emma: User) -> None:
    url = reverse("labeling:export", args=[version.project.slug, version.number, "jsonl"])
    reply = world.sign_in(emma).get(url, {"split": "test", "shape": "sft"})
    rows = [json.loads(line) for line in reply.getvalue().splitlines()]
    assert len(rows) == version.splits["test"]["rows"]
    assert all(well_formed(row, {"prompt", "completion"}) for row in rows)
    assert "attachment" in reply["Content-Disposition"]


def test_emma_downloads_the_frozen_file_itself(version: DatasetVersion, emma: User) -> None:
    url = reverse("labeling:export", args=[version.project.slug, version.number, "parquet"])
    reply = world.sign_in(emma).get(url)
    assert reply.getvalue() == (version.path / rowfile.FILE_NAME).read_bytes()


@pytest.mark.parametrize("query", [{"split": "dev"}, {"shape": "reward"}])
def test_a_split_or_shape_that_is_not_there_is_not_found(
    version: DatasetVersion, emma: User, query: dict[str, str]
) -> None:
    url = reverse("labeling:export", args=[version.project.slug, version.number, "jsonl"])
    assert world.sign_in(emma).get(url, query).status_code == 404
