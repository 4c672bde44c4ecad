"""manage.py agreement PROJECT"""

from argparse import ArgumentParser
from typing import Any

from labeling import quality
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.estimates import Estimate
from labeling.measures import Measure, PersonLine

SHARES = ("left_share", "longer_share", "agrees", "reliability", "consistent", "known")


class Command(VerbCommand):
    help = "Print agreement between people, and how each of them judges."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")

    def run(self, **options: Any) -> dict[str, Any]:
        found = quality.measured(open_from_shell(options["project"], options["person"], "review").project)
        self._tell(found)
        return {
            "items": found.items,
            "shared": found.shared,
            "differing": found.differing,
            "judgments": found.judgments,
            "alpha": as_dict(found.estimate("alpha")),
            "statistics": {each.key: as_dict(each.estimate) for each in found.statistics},
            "cohen_kappa": [
                {"a": pair.a, "b": pair.b, **{key: as_dict(pair.values.get(key)) for key in ("kappa", "raw")}}
                for pair in found.pairs
                if "kappa" in pair.values
            ],
            "pairs": [
                {"a": pair.a, "b": pair.b, **{key: as_dict(value) for key, value in pair.values.items()}}
                for pair in found.pairs
            ],
            "people": [_person(line) for line in found.people],
            "noise_ceiling": as_dict(found.ceiling),
        }

    def _tell(self, found: Measure) -> None:
        self.say(f"{found.judgments:,} judgments of {found.items:,} items, {found.shared:,} by two or more")
        for each in found.statistics:
            self.say(f"{each.words}: {words(each.estimate)}")
        for pair in found.pairs:
            values = ", ".join(f"{key} {words(value)}" for key, value in pair.values.items())
            self.say(f"  {pair.a} and {pair.b}: {values}")
        for line in found.people:
            told = ", ".join(f"{key} {words(getattr(line, key))}" for key in SHARES if getattr(line, key))
            self.say(f"  {line.name}: {line.judgments:,} judgments; {told or 'too few to say more'}")


def words(estimate: Estimate | None) -> str:
    return str(estimate) if estimate else "not enough answers yet"


def as_dict(estimate: Estimate | None) -> dict[str, float] | None:
    return estimate.as_dict() if estimate else None


def _person(line: PersonLine) -> dict[str, Any]:
    counts = {"name": line.name, "judgments": line.judgments, "ties": line.ties, "skipped": line.skipped}
    shares = {key: as_dict(getattr(line, key)) for key in SHARES}
    return {
        **counts,
        **shares,
        "repeats": line.repeats,
        "known_answered": line.known_answered,
        "passes": line.passes,
    }
