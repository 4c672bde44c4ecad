"""manage.py train --method METHOD --dataset V --base B [--adaptation A] [--any-setting-of-its-spec X …] [--wait]"""

from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from labeling.commands import VerbCommand, find_version
from labeling.waiting import carried
from training.fields import choices_of, number_of
from training.launching import drive, launch
from training.models import BaseModel, Checkpoint, TrainingRun
from training.registry import find_checkpoint, register_base
from training.specs import METHODS


def settings() -> dict[str, dict[str, Any]]:
    """Every setting of every method as the options of its flag. A value out of bounds is refused by the spec."""
    flags: dict[str, dict[str, Any]] = {}
    for spec in METHODS.values():
        for name, info in spec.model_fields.items():
            if name == "method":
                continue
            choices = [each for each in choices_of(info) if not isinstance(each, bool)]
            flag = flags.setdefault(
                name, {"help": (info.description or "").replace("%", "%%"), "choices": []}
            )
            flag["choices"] += [each for each in choices if each not in flag["choices"]]
            flag["type"] = number_of(info)
            if info.annotation is bool:
                flag["action"] = BooleanOptionalAction
    return {name: {key: value for key, value in flag.items() if value} for name, flag in flags.items()}


class Command(VerbCommand):
    help = (
        "Start a training run; with --wait, see it to its end. A setting that is left out keeps its default."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--method", required=True, choices=list(METHODS))
        parser.add_argument("--dataset", required=True, help="PROJECT:NUMBER")
        parser.add_argument(
            "--base", required=True, help="name or folder of a base model, or of a checkpoint to go on from"
        )
        parser.add_argument(
            "--reward", default="", help="name or number of the reward model, for ppo, rloo, best_of_n"
        )
        parser.add_argument("--gold", default="", help="a second reward model, which only watches")
        parser.add_argument("--name", default="")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")
        for name, options in settings().items():
            parser.add_argument(f"--{name.replace('_', '-')}", default=None, **options)

    def run(self, **options: Any) -> dict[str, Any]:
        version = find_version(options["dataset"], options["person"], "train")
        values = {name: options[name] for name in settings() if options[name] is not None}
        run = launch(
            project=version.project,
            method=options["method"],
            dataset_version=version,
            start=_start(version.project, options["base"]),
            reward=_judge(version.project, options["reward"]),
            gold=_judge(version.project, options["gold"]),
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


def _judge(project: Any, name: str) -> Checkpoint | None:
    return find_checkpoint(project=project, name=name) if name else None


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
