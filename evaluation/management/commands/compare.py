"""manage.py compare RUN[.INDEX] RUN[.INDEX] [--metric M]"""

from argparse import ArgumentParser
from typing import Any

from evaluation.comparison import Unpaired, compare_or_say, find_sides, shared_metrics
from evaluation.models import EvalRun
from evaluation.reading import difference_words, worded
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused
from labeling.models import Project


class Command(VerbCommand):
    help = "Compare two targets case by case: RUN is the last target of an evaluation, RUN.INDEX any of them."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("first", help="what the other is measured by")
        parser.add_argument("second")
        parser.add_argument("--metric", default="", help="only this one; without it all that both have")

    def run(self, **options: Any) -> dict[str, Any]:
        keys = [options["first"], options["second"]]
        project = self._project(keys[0])
        open_from_shell(project.slug, options["person"], "view_results")
        first, second = sides = find_sides(project, keys)
        names = [options["metric"]] if options["metric"] else shared_metrics(sides)
        pairs = compare_or_say(sides, names, slices_of=names)
        self.say(f"{second.name} against {first.name}")
        found = {}
        for name, (each,) in pairs.items():
            found[name] = each.as_dict()
            if isinstance(each, Unpaired):
                self.say(f"  {name}: not compared. {each.why}")
                continue
            p = "none" if each.p is None else f"{each.p:.4f}"
            a, b = (worded(each.metric, estimate) for estimate in each.estimates)
            self.say(
                f"  {name}: {a} → {b}, {difference_words(each.metric, each.difference)}, p {p}, "
                f"{each.standing_words}; fixed {each.fixed:,}, broken {each.broken:,}, n {each.n:,}"
            )
        return {"first": first.name, "second": second.name, "metrics": found}

    def _project(self, key: str) -> Project:
        number = key.partition(".")[0]
        run = None
        if number.isascii() and number.isdigit() and len(number) < 19:
            run = EvalRun.objects.select_related("project").filter(pk=int(number)).first()
        if run is None:
            raise Refused(f"There is no evaluation {number[:20]!r}.")
        return run.project
