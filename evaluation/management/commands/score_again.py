"""manage.py score_again RUN [--wait]"""

from argparse import ArgumentParser
from typing import Any

from evaluation.management.commands import evaluate
from evaluation.models import EvalRun
from evaluation.planning import find_run, plan_again
from labeling.access import open_from_shell


class Command(evaluate.Command):
    help = (
        "Score the answers of an evaluation again by its suite's scorers of today; nothing is generated anew."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="number of the evaluation")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def planned(self, options: dict[str, Any]) -> EvalRun:
        run = find_run(options["run"])
        access = open_from_shell(run.project.slug, options["person"], "train")
        return plan_again(run=run, person=access.person)
