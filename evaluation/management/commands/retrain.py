"""manage.py retrain PROJECT [--go-on RUN] [--wait]"""

import time
from argparse import ArgumentParser
from typing import Any

from evaluation import execution
from evaluation.models import PolicyRun
from evaluation.policies import advancing
from evaluation.policies.facts import FAILURES
from evaluation.policies.starting import go_on, start
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.curation.freezes import run_freeze
from labeling.errors import Refused
from labeling.models import Project
from training import launching

POLL_S = 0.5


class Command(VerbCommand):
    help = "Start a run of the project's retrain policy: freeze, train, evaluate, gate, candidate."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("--go-on", type=int, metavar="RUN", help="evaluate what this run of it trained")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "train")
        if options["go_on"] is None:
            run = start(project=access.project, person=access.person)
        else:
            run = go_on(run=found(access.project, options["go_on"]), person=access.person)
        self.say(f"policy run {run.pk} is under way")
        if options["wait"]:
            run = carried(run)
            self.say(f"{run.get_outcome_display()}: {run.sentence}")
            if run.outcome in FAILURES:
                raise Refused(run.sentence)
        return facts(run)


def found(project: Project, number: int) -> PolicyRun:
    run = PolicyRun.objects.filter(project=project, pk=number).first()
    if run is None:
        raise Refused(f"The retrain policy of {project} has no run {number}; look at its page.")
    return run


def carried(run: PolicyRun) -> PolicyRun:
    """See a run to its end; its jobs are done here unless a worker has them."""
    while True:
        advancing.follow(run)
        found, steps = advancing.read(run.pk)
        if found.is_over:
            return found
        step = next((step for step in steps if step.job is not None and not step.job.is_over), None)
        if step is not None:
            carry = execution.drive if step.evaluation else launching.drive if step.training else run_freeze
            carry(step.job)
            step.job.refresh_from_db()
        if step is None or not step.job.is_over:
            time.sleep(POLL_S)


def facts(run: PolicyRun) -> dict[str, Any]:
    """What --json prints."""
    steps = {step.kind: step for step in advancing.read(run.pk)[1]}
    version, checkpoint = steps["freeze"].version, steps["train"].checkpoint
    return {
        "policy_run": run.pk,
        "outcome": run.outcome,
        "sentence": run.sentence,
        "dataset_version": version.number if version else None,
        "training_run": steps["train"].training_id,
        "checkpoint": checkpoint.pk if checkpoint else None,
        "evaluation": steps["evaluate"].evaluation_id,
        "steps": {kind: step.state for kind, step in steps.items()},
    }
