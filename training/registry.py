"""Base models and checkpoints: registered once, identified by the hash of their weights."""

import json
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from labeling.curation.tokens import register_tokenizer
from labeling.errors import Refused
from labeling.models import Project, User
from training.models import BaseModel, Checkpoint, TrainingRun


def register_base(
    *,
    name: str,
    location: str,
    revision: str = "",
    content_hash: str = "",
    parameters: int | None = None,
    licence: str = "",
    person: User | None = None,
) -> Checkpoint:
    """Make a base model known; returns its root checkpoint. The same name and place again give the same one."""
    if Path(location).is_absolute() and not (Path(location) / "config.json").is_file():
        raise Refused(
            f"{location} holds no model (config.json is missing); give the folder of a saved model."
        )
    with transaction.atomic():
        base, new = BaseModel.objects.get_or_create(
            name=name,
            defaults={
                "location": location,
                "revision": revision,
                "created_by": person,
                "content_hash": content_hash,
                "parameters": parameters,
                "licence": licence,
            },
        )
        if not new and (base.location, base.revision) != (location, revision):
            raise Refused(f"The name {name!r} already stands for {base.place}; choose another name.")
        checkpoint, _ = Checkpoint.objects.get_or_create(
            base=base,
            kind=Checkpoint.Kind.BASE,
            defaults={"name": name, "path": location, "content_hash": content_hash, "parameters": parameters},
        )
    register_tokenizer(name=name, path=Path(location))
    return checkpoint


def register_checkpoint(*, run: TrainingRun, result: dict[str, Any]) -> Checkpoint:
    """Make the weights of a finished run known. Repeating it gives the same checkpoint."""
    checkpoint, _ = Checkpoint.objects.get_or_create(
        run=run,
        defaults={
            "project": run.project,
            "base": run.base,
            "parent": run.start,
            "name": run.name,
            "kind": result["kind"],
            "path": str(run.path / result["final"]),
            "content_hash": result["content_hash"],
            "parameters": result["parameters"],
            "trainable": result["trainable"],
            "line": Checkpoint.Line.REWARD if run.method == "reward" else Checkpoint.Line.POLICY,
        },
    )
    return checkpoint


def foundation(checkpoint: Checkpoint) -> tuple[str, str | None]:
    """(location, revision) of the model of full weights that a checkpoint was trained from or sits on."""
    parent = checkpoint.parent
    while parent is not None and parent.kind == Checkpoint.Kind.ADAPTER:
        parent = parent.parent
    if parent is not None and parent.kind == Checkpoint.Kind.FULL:
        return parent.path, None
    return checkpoint.base.location, checkpoint.base.revision or None


def trunk(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint of whole weights that this one is, or that its adapter sits on."""
    below = checkpoint
    while below.kind == Checkpoint.Kind.ADAPTER:
        below = below.parent or Checkpoint.objects.get(base=below.base, kind=Checkpoint.Kind.BASE)
    return below


def ancestors(checkpoint: Checkpoint) -> list[Checkpoint]:
    """The checkpoints that this one grew from, the root first."""
    found: list[Checkpoint] = []
    parent = checkpoint.parent
    while parent is not None:
        found.append(parent)
        parent = parent.parent
    return found[::-1]


def adapter_kind(checkpoint: Checkpoint) -> str:
    """PEFT's name of the kind of adapter, such as LORA; empty for full weights and where the folder cannot be read."""
    try:
        config = json.loads((Path(checkpoint.path) / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(config.get("peft_type", ""))


def visible_checkpoints(project: Project) -> QuerySet[Checkpoint]:
    """The checkpoints that a project may start from and score: its own, and the base models."""
    rows = Checkpoint.objects.filter(Q(project=project) | Q(kind=Checkpoint.Kind.BASE)).defer("deltas")
    return rows.select_related(
        "base", "parent", "run", "run__dataset_version", "run__dataset_version__project"
    )


def find_checkpoint(*, project: Project, name: str) -> Checkpoint:
    """A checkpoint by number or name (the newest of that name). Raises Refused with the names there are."""
    rows = visible_checkpoints(project)
    is_number = name.isascii() and name.isdigit()
    found = rows.filter(pk=name).first() if is_number else rows.filter(name=name).order_by("-id").first()
    if found is None:
        known = ", ".join(sorted(set(rows.values_list("name", flat=True)[:20]))) or "none yet"
        raise Refused(f"There is no checkpoint {name!r} here. Known: {known}.")
    return found


def read_result(path: Path) -> dict[str, Any] | None:
    """The result file of a recipe process; None while there is none."""
    try:
        result: dict[str, Any] = json.loads((path / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return result
