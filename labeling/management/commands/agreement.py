"""manage.py agreement PROJECT"""

from argparse import ArgumentParser
from typing import Any

from labeling import quality
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.estimates import Estimate


class Command(VerbCommand):
    help = "Print agreement between people, and how each of them judges."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")

    def run(self, **options: Any) -> dict[str, Any]:
        project = open_from_shell(options["project"], options["person"], "review").project
        found = quality.agreement(project)
        self.say(f"Krippendorff's alpha over {found.n_items:,} items: {words(found.alpha)}")
        for pair in found.pairs:
            self.say(f"  {pair.rater_a} and {pair.rater_b}: kappa {words(pair.kappa)}, raw {words(pair.raw)}")
        people = quality.per_person(project)
        for line in people:
            self.say(
                f"  {line.name}: {line.judgments:,} judgments, first one better {words(line.left_share)}"
            )
        return {
            "items": found.n_items,
            "alpha": as_dict(found.alpha),
            "cohen_kappa": [
                {"a": pair.rater_a, "b": pair.rater_b, "kappa": as_dict(pair.kappa), "raw": as_dict(pair.raw)}
                for pair in found.pairs
            ],
            "people": [
                {"name": line.name, "judgments": line.judgments, "left_share": as_dict(line.left_share)}
                for line in people
            ],
        }


def words(estimate: Estimate | None) -> str:
    return str(estimate) if estimate else "not enough data"


def as_dict(estimate: Estimate | None) -> dict[str, float] | None:
    return estimate.as_dict() if estimate else None
