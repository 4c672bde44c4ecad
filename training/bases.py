"""Register base models from a page: what a folder is looked at for, and which folders may be named."""

import math
import re
from pathlib import Path

from django.conf import settings
from django.db.models import Prefetch, QuerySet

from labeling.errors import Refused
from labeling.models import Project, User
from training.measuring import start_measurement
from training.models import BaseModel, Checkpoint, TrainingRun
from training.registry import register_base
from training.weights import WeightsDamaged, check_folder, is_adapter, read_tensors

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
REVISION = re.compile(r"[\w./-]{1,100}")


def register_model(
    *,
    project: Project,
    location: str,
    person: User | None,
    name: str = "",
    revision: str = "",
    licence: str = "",
) -> Checkpoint:
    """Make a folder or a hub model known as a base. Raises Refused where it is damaged or may not be named.

    Of a folder only the headers of its weights are read here; its hash is computed by a job. Nothing is downloaded.
    """
    location, name = location.strip().rstrip("/"), name.strip() or Path(location.strip()).name
    _refuse_long(name=(name, 120), location=(location, 500), licence=(licence, 100))
    if location.startswith(("/", "~", ".")):
        path = _allowed_folder(location)
        parameters: int | None = read_folder(path)
        if revision:
            raise Refused(
                "A folder has no revision; leave it empty, or give the name of the model on the hub."
            )
        location = str(path)
    elif HUB_NAME.fullmatch(location):
        parameters = None
        if revision and not REVISION.fullmatch(revision):
            raise Refused(f"The revision was given as {revision!r}; give a commit, a tag or a branch.")
    else:
        raise Refused(
            f"{location!r} is neither a folder such as /models/base nor a hub name such as org/model."
        )
    root = register_base(
        name=name, location=location, revision=revision, parameters=parameters, licence=licence, person=person
    )
    if root.base.is_local and not root.content_hash:
        start_measurement(checkpoint=root, project=project, person=person)
    return root


def _refuse_long(**given: tuple[str, int]) -> None:
    for what, (text, limit) in given.items():
        if len(text) > limit:
            raise Refused(f"The {what} has {len(text)} characters; up to {limit} are allowed.")
    if not given["name"][0]:
        raise Refused("Give a folder such as /models/base, or a hub name such as org/model.")


def _allowed_folder(location: str) -> Path:
    """The folder, links resolved, where pages may take models from. What lies elsewhere is not even looked at."""
    path = Path(location).resolve()
    allowed = [Path(folder).resolve() for folder in settings.PREFLOOP_MODEL_FOLDERS]
    if not Path(location).is_absolute() or not any(path.is_relative_to(folder) for folder in allowed):
        known = ", ".join(map(str, allowed)) or "none"
        raise Refused(
            f"{location} is not in a folder that models may be registered from ({known}); put it there, or ask the "
            "operator to extend PREFLOOP_MODEL_FOLDERS."
        )
    return path


def read_folder(path: Path) -> int:
    """The number of parameters of a saved model, from the headers of its safetensors files.

    Raises Refused where configuration, tokenizer or weights are missing, unreadable or cut short, and for adapters.
    """
    try:
        if is_adapter(path):
            raise Refused(f"{path} holds an adapter; give the folder of the model that it was trained on.")
        check_folder(path)
        return sum(math.prod(tensor.shape) for tensor in read_tensors(path).values())
    except WeightsDamaged as damage:
        raise Refused(f"{damage}.") from damage


def known_bases(project: Project) -> QuerySet[BaseModel]:
    """Every base model, each with the runs of this project that trained on it as `runs_here`."""
    runs = TrainingRun.objects.filter(project=project).only("id", "name", "base", "status", "project")
    return BaseModel.objects.select_related("created_by").prefetch_related(
        Prefetch("training_runs", queryset=runs, to_attr="runs_here")
    )
