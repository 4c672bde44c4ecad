"""The model card says what is stored; the archive is what the folder holds, and no more."""

import io
import tarfile
from pathlib import Path

import pytest
import yaml
from django.urls import reverse

from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.models import Item, Project, User
from tests import world
from tests.training.runs import RESULT, judged_version, launched, register_base
from training.archives import Archive
from training.cards import licences, model_card
from training.models import Checkpoint
from training.registry import register_checkpoint
from training.staging import note

HELD_OUT = {"held_out": {"loss": 2.25, "accuracy": 0.75}, "environment": {"torch": "2.13.0"}, "steps": 12}


@pytest.fixture
def checkpoint(project: Project) -> Checkpoint:
    version = judged_version(project)
    Item.objects.filter(pk__in=list(project.items.values_list("pk", flat=True)[:3])).update(
        licence="CC-BY-4.0"
    )
    root = register_base(
        name="small", location="org/small", revision="v1", licence="Apache-2.0", parameters=7
    )
    run = launched(project, version, start=root, name="a | strange *name*", values={"epochs": 2.0})
    run.result, run.loss_first, run.loss_last = {**RESULT, **HELD_OUT}, 3.0, 1.0
    run.save()
    return register_checkpoint(run=run, result=RESULT)


def test_the_card_tells_data_recipe_scores_licences_base_and_lineage(checkpoint: Checkpoint) -> None:
    licences.cache_clear()
    note(checkpoint=checkpoint, text="Only for **support**.", seen=None, person=None)
    card = model_card(checkpoint)
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "base_model": "org/small",
        "license": "Apache-2.0",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["prefloop", "sft", "adapter", "candidate"],
    }
    version = checkpoint.run.dataset_version
    for words in (
        r"# a | strange \*name\*",
        f"`{version.content_hash}`",
        "CC-BY-4.0 (3 items)",
        "- Items with at least 1 judgment are used.",
        "| epochs | 2.0 |",
        "| held out: accuracy | 0.75 |",
        "| last training loss | 1 |",
        "| torch | 2.13.0 |",
        "org/small at v1",
        "1. small (base)",
        "Only for **support**.",
    ):
        assert words in body, words
    assert model_card(checkpoint) == card
    assert str(checkpoint.path) not in card


def test_the_card_of_what_learned_from_something_withdrawn_says_so(
    checkpoint: Checkpoint, project: Project
) -> None:
    assert "Stale" not in model_card(checkpoint)
    withdraw(project=project, by=None, username="ben")
    assert "**Stale**" in model_card(checkpoint)


def stored(checkpoint: Checkpoint) -> Path:
    folder = Path(checkpoint.path)
    (folder / "deep").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 9000)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "deep" / ("long-" * 30 + ".json")).write_text("{}")
    (folder / "README.md").write_text("an older card")
    (folder / "elsewhere").symlink_to("/etc/passwd")
    return folder


def test_the_archive_holds_the_files_and_the_card_and_follows_no_link(
    checkpoint: Checkpoint, leo: User
) -> None:
    folder = stored(checkpoint)
    url = reverse("training:weights", args=[checkpoint.project.slug, checkpoint.pk])
    reply = world.sign_in(leo).get(url)
    content = b"".join(reply.streaming_content)
    assert int(reply["Content-Length"]) == len(content)
    assert reply["Content-Disposition"] == f'attachment; filename="a-strange-name-{checkpoint.pk}.tar"'
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        inside = {name.partition("/")[2]: tar.extractfile(name) for name in tar.getnames()}
        read = {name: file.read() for name, file in inside.items() if file}
    assert read.pop("README.md").decode() == model_card(checkpoint)
    kept = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert read == {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in kept if path.name != "README.md"
    }
    assert b"".join(Archive(checkpoint)) == content, "the same checkpoint gives the same bytes"


def test_files_of_any_size_have_a_header(checkpoint: Checkpoint) -> None:
    folder = stored(checkpoint)
    with (folder / "huge.safetensors").open("wb") as file:
        file.truncate(9 * 2**30)  # a hole: beyond what 11 octal digits can say
    archive = Archive(checkpoint)
    assert len(archive) > 9 * 2**30
    header = next(m.header for m in archive._members if m.size == 9 * 2**30)
    assert tarfile.TarInfo.frombuf(header, "utf-8", "strict").size == 9 * 2**30


def test_a_file_that_becomes_shorter_breaks_the_download_off(checkpoint: Checkpoint) -> None:
    folder = stored(checkpoint)
    archive = Archive(checkpoint)
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(OSError, match="became shorter while it was sent"):
        b"".join(archive)


def test_folders_that_are_not_ours_and_base_models_are_not_handed_out(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="get it from where it came: org/small at v1"):
        Archive(checkpoint.parent)
    with pytest.raises(Refused, match="not on this machine any more"):
        Archive(checkpoint)
    (tmp_path / "var" / "runs" / "x").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    for path in (tmp_path / "secret", tmp_path / "var" / "runs" / "x" / ".." / ".." / ".." / "secret"):
        checkpoint.path = str(path)
        with pytest.raises(Refused, match="not on this machine any more"):
            Archive(checkpoint)
