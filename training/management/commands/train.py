"""manage.py train --method sft|dpo --dataset V --base B [--start C] [--adaptation full|lora] … [--wait]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.commands import VerbCommand, find_version
from labeling.waiting import carried
from training.launching import drive, launch
from training.models import BaseModel, Checkpoint, TrainingRun
from training.registry import find_checkpoint, register_base
from training.specs import METHODS

TYPES = {
    "epochs": float,
    "learning_rate": float,
    "batch_size": int,
    "max_length": int,
    "seed": int,
    "beta": float,
}


class Command(VerbCommand):
    help = "Start a training run; with --wait, see it to its end."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--method", required=True, choices=list(METHODS))
        parser.add_argument("--dataset", required=True, help="PROJECT:NUMBER")
        parser.add_argument(
            "--base", required=True, help="name or folder of a base model, or of a checkpoint to go on from"
        )
        parser.add_argument("--adaptation", default="lora", choices=["full", "lora"])
        parser.add_argument("--name", default="")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")
        for name, kind in TYPES.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind)

    def run(self, **options: Any) -> dict[str, Any]:
        version = find_version(options["dataset"], options["person"], "train")
        values = {name: options[name] for name in ("adaptation", *TYPES) if options[name] is not None}
        run = launch(
            project=version.project,
            method=options["method"],
            dataset_version=version,
            start=_start(version.project, options["base"]),
            values=values,
            person=None,
            name=options["name"],
        )
        self.say(f"run {run.pk} ({run.name}) is queued")
        if options["wait"]:
            run = carried(run, drive)
            self.say(
                f"run {run.pk} {run.get_status_display().lower()}: loss {run.loss_first} to {run.loss_last}"
            )
        return _facts(run)


def _start(project: Any, name: str) -> Checkpoint:
    if Path(name).is_dir() and not BaseModel.objects.filter(name=name).exists():
        return register_base(name=Path(name).name, location=str(Path(name).resolve()))
    return find_checkpoint(project=project, name=name)


def _facts(run: TrainingRun) -> dict[str, Any]:
    checkpoint = Checkpoint.objects.filter(run=run).first()
    return {
        "run": run.pk,
        "status": run.status,
        "loss_first": run.loss_first,
        "loss_last": run.loss_last,
        "checkpoint": checkpoint.pk if checkpoint else None,
        "hash": checkpoint.content_hash if checkpoint else None,
    }
