"""manage.py pii_report PROJECT"""

from argparse import ArgumentParser
from typing import Any

from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.pii import pii_report

SHOWN_ITEMS = 20


class Command(VerbCommand):
    help = "Look for e-mail addresses, phone and card numbers in the prompts and responses of a project."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        report = pii_report(access.project)
        counts = {kind: report.counts[kind] for kind in ("email", "phone", "card")}
        words = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
        self.say(f"{words} in {len(report.items):,} of {report.scanned:,} items")
        for example in report.examples:
            self.say("  item {item}, {place}: {kind} {text}".format(**example))
        if report.items:
            shown = ", ".join(map(str, report.items[:SHOWN_ITEMS]))
            self.say(f"Items: {shown}{'' if len(report.items) <= SHOWN_ITEMS else ', …'}")
        return {
            "scanned": report.scanned,
            "counts": counts,
            "items": report.items,
            "examples": report.examples,
        }
