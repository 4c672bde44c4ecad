"""Base models are registered from a page: looked at without loading, hashed by a job, and only where it is allowed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from labeling.errors import Refused
from labeling.models import Project, User
from tests import world
from tests.training.runs import launched, root_checkpoint
from training.bases import read_folder, register_model
from training.measuring import run_measurement
from training.models import BaseModel, Measurement


def saved_model(folder: Path, *, shape: tuple[int, int] = (3, 4), cut: int = 0, header: Any = None) -> Path:
    """A folder with a config and one tensor of zeros, its file shorter by `cut` bytes."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    size = 4 * shape[0] * shape[1]
    entry = {
        "w": {"dtype": "F32", "shape": list(shape), "data_offsets": [0, size]},
        "__metadata__": {"format": "pt"},
    }
    text = json.dumps(entry if header is None else header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(size)
    (folder / "model.safetensors").write_bytes(content[: len(content) - cut])
    return folder


@pytest.fixture
def models(settings: Any, tmp_path: Path) -> Path:
    settings.PREFLOOP_MODEL_FOLDERS = [str(tmp_path / "models")]
    return tmp_path / "models"


def test_emma_registers_a_folder_which_is_counted_at_once_and_hashed_by_a_job(
    project: Project, emma: User, leo: User, models: Path
) -> None:
    folder = saved_model(models / "small")
    client, url = world.sign_in(emma), reverse("training:bases", args=[project.slug])
    page = client.post(url, {"location": str(folder), "licence": "MIT"}, follow=True).text
    assert "small is registered" in page
    assert "not computed yet" in page
    run_measurement(Measurement.objects.get())
    base = BaseModel.objects.get()
    assert (base.parameters, base.licence, base.created_by, len(base.content_hash)) == (12, "MIT", emma, 64)
    assert base.content_hash[:12] in world.sign_in(leo).get(url).text
    assert "Register a base model" not in world.sign_in(leo).get(url).text


def test_a_hub_name_is_kept_with_its_revision_and_nothing_is_downloaded(project: Project, emma: User) -> None:
    client, url = world.sign_in(emma), reverse("training:bases", args=[project.slug])
    client.post(url, {"location": "org/model", "revision": "a1b2c3", "licence": "Apache-2.0"})
    base = BaseModel.objects.get()
    assert (base.name, base.location, base.revision, base.place) == (
        "model",
        "org/model",
        "a1b2c3",
        "org/model at a1b2c3",
    )
    assert Measurement.objects.count() == 0
    assert "the first run downloads it" in client.get(url).text
    refused = client.post(url, {"location": "org/model", "revision": "other"})
    assert refused.status_code == 422
    assert "already stands for org/model at a1b2c3" in refused.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"location": "/etc"}, "is not in a folder that models may be registered from"),
        ({"location": "{models}/../elsewhere"}, "is not in a folder that models may be registered from"),
        ({"location": "~/model"}, "is not in a folder"),
        ({"location": "{models}/nothing"}, "is not a folder; give the folder of a saved model"),
        ({"location": "{models}/small", "revision": "v1"}, "A folder has no revision"),
        ({"location": "two words"}, "neither a folder such as /models/base nor a hub name"),
        ({"location": "a/b/c"}, "neither a folder"),
        ({"location": "org/model", "revision": "x; rm"}, "The revision was given as 'x; rm'"),
        ({"location": "org/model", "licence": "x" * 101}, "The licence has 101 characters"),
        ({"location": ""}, "Give a folder"),
    ],
)
def test_what_cannot_be_registered_is_refused(
    project: Project, models: Path, given: dict[str, str], words: str
) -> None:
    saved_model(models / "small")
    saved_model(models.parent / "elsewhere")
    given = {**given, "location": given["location"].format(models=models)}
    with pytest.raises(Refused, match=words):
        register_model(project=project, person=None, **given)
    assert BaseModel.objects.count() == 0


def test_a_link_out_of_the_folder_is_not_followed(project: Project, models: Path) -> None:
    saved_model(models.parent / "elsewhere")
    models.mkdir()
    (models / "inside").symlink_to(models.parent / "elsewhere")
    with pytest.raises(Refused, match="is not in a folder that models may be registered from"):
        register_model(project=project, location=str(models / "inside"), person=None)


def test_weights_that_are_cut_short_or_no_safetensors_are_seen_without_loading_them(tmp_path: Path) -> None:
    assert read_folder(saved_model(tmp_path / "whole")) == 12
    shutil.copytree(tmp_path / "whole", tmp_path / "bare")
    (tmp_path / "bare" / "model.safetensors").unlink()
    (tmp_path / "bare" / "adapter_config.json").write_text("{}")
    (tmp_path / "bare" / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(Refused, match="holds an adapter; give the folder of the model"):
        read_folder(tmp_path / "bare")
    (tmp_path / "bare" / "adapter_config.json").unlink()
    (tmp_path / "bare" / "adapter_model.safetensors").unlink()
    with pytest.raises(Refused, match=r"has no weights and no model\.safetensors"):
        read_folder(tmp_path / "bare")
    for number, options in enumerate(
        ({"cut": 1}, {"cut": 70}, {"header": []}, {"header": {"w": {"shape": [1]}}})
    ):
        with pytest.raises(Refused, match=r"only its beginning|its header asks for"):
            read_folder(saved_model(tmp_path / f"bad{number}", **options))


def test_the_list_names_what_was_trained_on_a_base_in_this_project_only(project: Project, emma: User) -> None:
    launched(project, name="mine", start=root_checkpoint())
    other = world.make_project("Other")
    launched(other, name="theirs", start=root_checkpoint())
    page = world.sign_in(emma).get(reverse("training:bases", args=[project.slug])).text
    assert "mine" in page
    assert "theirs" not in page


@pytest.mark.django_db
def test_the_operator_registers_any_folder_and_it_is_hashed_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved_model(tmp_path / "anywhere")
    call_command("register_model", str(folder), "--licence", "MIT", "--json")
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["name"], said["parameters"], len(said["hash"])) == ("anywhere", 12, 64)
