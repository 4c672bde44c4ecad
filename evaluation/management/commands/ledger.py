"""manage.py ledger PROJECT"""

from argparse import ArgumentParser
from typing import Any

from evaluation.rounds.ledger import entries_of, fixes_of
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.estimates import Estimate


class Command(VerbCommand):
    help = "What was done about each kind of error, and the share of held-out siblings that closed."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug")

    def run(self, **options: Any) -> dict[str, Any]:
        project = open_from_shell(options["project"], options["person"], "view_results").project
        entries = entries_of(list(fixes_of(project)))
        if not entries:
            self.say("No fix was opened yet.")
        for entry in entries:
            self.say(f"{entry.fix}: {entry.standing}")
            self.say(f"  {entry.sentence}")
            if entry.closing is not None:
                for words, found in (
                    ("closed", entry.closing.closed),
                    ("chance", entry.closing.chance),
                    ("gained by siblings", entry.closing.gained),
                    ("of at most", entry.closing.ceiling),
                    ("rise by all cases of all kinds", entry.closing.rise),
                    ("ceiling, as predicted", entry.fix.ceiling),
                ):
                    self.say(f"  {words}: {_percent(found)}")
        return {"project": project.slug, "fixes": [entry.as_dict() for entry in entries]}


def _percent(found: Estimate | None) -> str:
    if found is None:
        return "not enough data"
    return f"{found.value * 100:.1f} % [{found.low * 100:.1f}, {found.high * 100:.1f}], n {found.n:,}"
