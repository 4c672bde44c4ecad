"""manage.py compare RUN RUN"""

from argparse import ArgumentParser
from typing import Any

from evaluation.comparison import compare
from evaluation.models import EvalRun
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused


class Command(VerbCommand):
    help = "Compare two evaluations of the same suite, case by case (the last checkpoint of each)."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("first", type=int)
        parser.add_argument("second", type=int)

    def run(self, **options: Any) -> dict[str, Any]:
        first, second = (self._run(options[name], options["person"]) for name in ("first", "second"))
        found = compare(first, second)
        self.say(f"{found.second.name} against {found.first.name} on {found.paired.n:,} shared cases")
        self.say(
            f"  preference accuracy: {found.paired.difference or 'not enough data'}, p {found.paired.p_value}"
        )
        self.say(f"  fixed {found.paired.fixed}, broken {found.paired.broken}")
        self.say(f"  ratio of perplexities: {found.ratio or 'not enough data'}")
        return found.as_dict()

    def _run(self, number: int, person: str) -> EvalRun:
        run = EvalRun.objects.select_related("suite", "project").filter(pk=number).first()
        if run is None:
            raise Refused(f"There is no evaluation {number}.")
        open_from_shell(run.project.slug, person, "view_results")
        return run
