"""Arranging training: a base model, a version to train on, and recipe processes that are only pretended."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labeling.models import DatasetVersion, Project
from tests import world
from training.launching import launch
from training.models import Checkpoint, TrainingRun
from training.registry import register_base


def root_checkpoint(name: str = "tiny") -> Checkpoint:
    return register_base(name=name, location=f"hub/{name}")


def judged_version(project: Project, *, items: int = 24, **recipe: Any) -> DatasetVersion:
    world.fill(project, items, start=project.items.count())
    world.judge_all(project, world.person("ben"))
    return world.frozen(project, **recipe)


def launched(project: Project, version: DatasetVersion | None = None, **options: Any) -> TrainingRun:
    options = {"method": "sft", "start": None, "values": {}, "person": None, **options}
    options["start"] = options["start"] or root_checkpoint()
    return launch(project=project, dataset_version=version or judged_version(project), **options)


RESULT = {
    "status": "succeeded",
    "kind": "adapter",
    "final": "final",
    "content_hash": "ab" * 32,
    "parameters": 100,
    "trainable": 10,
    "loss_first": 3.0,
    "loss_last": 1.0,
}


def write_event(path: Path, type: str, step: int = 0, **values: Any) -> None:
    line = {
        "type": type,
        "step": step,
        "time": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "values": values,
    }
    with (path / "events.jsonl").open("a") as out:
        out.write(json.dumps(line) + "\n")


def pretend(
    *, code: int = 0, result: dict[str, Any] | None = None, events: list[Any] | None = None
) -> Callable[..., int]:
    """A stand-in for run_recipe that writes these events and this result and ends with this code."""

    def run_recipe(recipe: str, run_dir: Path, watch: Callable[[], None], *_: Any) -> int:
        for type, step, values in events or []:
            write_event(run_dir, type, step, **values)
        watch()
        if result is not None:
            (run_dir / "result.json").write_text(json.dumps(result))
        return code

    return run_recipe
