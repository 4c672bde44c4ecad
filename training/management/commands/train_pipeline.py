"""manage.py train_pipeline --base B --sft VERSION --reward VERSION --policy VERSION [--set sft.epochs=2 …] [--wait]"""

import json
import time
from argparse import ArgumentParser
from typing import Any

from labeling.commands import VerbCommand, find_version
from labeling.errors import Refused
from labeling.models import Project
from training.chaining import Asked, StepRefused
from training.launching import drive
from training.models import Pipeline, PipelineStep
from training.pipelines import advance, launch_pipeline
from training.registry import find_checkpoint
from training.specs import ROLLOUTS
from training.standing import made, standing, status_of, steps_of

Role = PipelineStep.Role
POLL_SECONDS = 0.5
VERSION = "PROJECT:NUMBER to train on, or checkpoint=NAME for one that is there"


class Command(VerbCommand):
    help = "Train a model to answer, a reward model, and a policy that learns from its rewards, one after the other."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--base", required=True, help="name of the base model or checkpoint to begin with"
        )
        parser.add_argument("--sft", required=True, help=VERSION)
        parser.add_argument("--reward", required=True, help=VERSION)
        parser.add_argument("--policy", required=True, help="PROJECT:NUMBER, the prompts to answer")
        parser.add_argument("--method", default="ppo", choices=ROLLOUTS, help="how the policy learns")
        parser.add_argument("--gold", default="", help="a second reward model, which only watches")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="STEP.SETTING=VALUE",
            help="a setting of a step, such as sft.epochs=2 or policy.kl_target=4; may be repeated",
        )
        parser.add_argument("--name", default="")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        project = find_version(options["policy"], options["person"], "train").project
        methods = {Role.SFT: "sft", Role.REWARD: "reward", Role.POLICY: options["method"]}
        values = _values(options["set"])
        try:
            pipeline = launch_pipeline(
                project=project,
                start=find_checkpoint(project=project, name=options["base"]),
                person=None,
                name=options["name"],
                **{
                    str(role): _asked(project, method, options, role, values[role])
                    for role, method in methods.items()
                },
            )
        except StepRefused as refusal:
            raise Refused(f"{refusal.role}: {refusal.sentence}") from refusal
        self.say(f"pipeline {pipeline.pk} ({pipeline.name}) is launched")
        if options["wait"]:
            self._carry(pipeline)
        return _facts(pipeline)

    def _carry(self, pipeline: Pipeline) -> None:
        """Drive the runs here unless a worker has them, until nothing is left to do. Raises Refused where it failed."""
        while True:
            advance(pipeline)
            steps = steps_of(pipeline)
            status = status_of(pipeline, steps)
            at_work = [step.run for step in steps.values() if step.run is not None and not step.run.is_over]
            if not at_work and status in ("succeeded", "failed", "cancelled"):
                break
            for run in at_work:
                drive(run)
            time.sleep(POLL_SECONDS)
        for role, step in steps.items():
            self.say(f"{Role(role).label}: {standing(pipeline, steps, role).label.lower()}")
            if sentence := step.refusal or (step.run.error if step.run else ""):
                raise Refused(f"{role}: {sentence}")


def _asked(
    project: Project, method: str, options: dict[str, Any], role: str, values: dict[str, Any]
) -> Asked:
    """A step as the verb takes it, from its flag."""
    given = options[role]
    if given.startswith("checkpoint="):
        name = given.removeprefix("checkpoint=")
        return Asked(method, given=find_checkpoint(project=project, name=name))
    gold = options["gold"] if role == Role.POLICY else ""
    return Asked(
        method,
        dataset_version=find_version(given, options["person"], "train"),
        values=values,
        gold=find_checkpoint(project=project, name=gold) if gold else None,
    )


def _values(given: list[str]) -> dict[str, dict[str, Any]]:
    """The settings of each step. A value that is no JSON is a word. Raises Refused where a flag cannot be read."""
    found: dict[str, dict[str, Any]] = {str(role): {} for role in Role.values}
    for text in given:
        name, equals, value = text.partition("=")
        role, dot, setting = name.partition(".")
        if not (equals and dot and setting) or role not in found:
            raise Refused(
                f"--set was given as {text!r}; write it as STEP.SETTING=VALUE with a step of {', '.join(found)}."
            )
        try:
            found[role][setting] = json.loads(value)
        except ValueError:
            found[role][setting] = value
    return found


def _facts(pipeline: Pipeline) -> dict[str, Any]:
    steps = steps_of(pipeline)
    facts = {}
    for role, step in steps.items():
        checkpoint = made(step)
        facts[role] = {
            "run": step.run_id,
            "status": standing(pipeline, steps, role).status,
            "checkpoint": checkpoint.pk if checkpoint else None,
        }
    return {"pipeline": pipeline.pk, "status": str(status_of(pipeline, steps)), "steps": facts}
