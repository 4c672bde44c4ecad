"""manage.py evaluate --suite S --checkpoint C [--checkpoint D …] --engine E [--wait]"""

from argparse import ArgumentParser
from typing import Any

from evaluation.engines import ENGINES
from evaluation.execution import drive
from evaluation.planning import plan_on_held_out
from evaluation.reading import as_dict, score_lines, verdict
from labeling.commands import VerbCommand, find_version
from labeling.waiting import carried
from training.registry import find_checkpoint


class Command(VerbCommand):
    help = "Score checkpoints and their base on a suite; with --wait, print the numbers."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--suite", required=True, help="dataset version PROJECT:NUMBER whose test split is the suite"
        )
        parser.add_argument(
            "--checkpoint", action="append", required=True, help="number or name; may be repeated"
        )
        parser.add_argument("--engine", default="transformers", choices=list(ENGINES))
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        version = find_version(options["suite"], options["person"], "train")
        run = plan_on_held_out(
            version=version,
            checkpoints=[
                find_checkpoint(project=version.project, name=name) for name in options["checkpoint"]
            ],
            person=None,
            engine=options["engine"],
        )
        self.say(f"evaluation {run.pk} is queued")
        if options["wait"]:
            run = carried(run, drive)
        lines = score_lines(run)
        for line in lines:
            self.say(
                f"  {line.checkpoint.name}: accuracy {line.accuracy or 'not enough data'}, "
                f"perplexity {line.perplexity or 'not enough data'} {line.delta_words}"
            )
        self.say(verdict(lines))
        return {"evaluation": run.pk, "status": run.status, "scores": [as_dict(line) for line in lines]}
