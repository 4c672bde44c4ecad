"""What every command shares: --json, sentences for refusals, non-zero exit."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from labeling.access import open_from_shell
from labeling.errors import Refused
from labeling.models import DatasetVersion


class VerbCommand(BaseCommand):
    """A command that calls a verb. `run` returns what --json prints as the last line of standard output."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
        parser.add_argument("--as", dest="person", default="", help="act as this user, with the user's role")
        self.arguments(parser)

    def arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of this command."""

    def run(self, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def handle(self, *_: Any, **options: Any) -> None:
        as_json = options.pop("json")
        try:
            result = self.run(**options)
        except Refused as refusal:
            if as_json:
                self.stdout.write(json.dumps({"error": refusal.sentence}, ensure_ascii=False))
            raise CommandError(refusal.sentence) from refusal
        if as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False, default=str))

    def say(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()  # it may go on for hours, into a file


def find_version(name: str, person: str, capability: str) -> DatasetVersion:
    """A dataset version written as PROJECT:NUMBER, or PROJECT for its newest. Raises Refused with what there is."""
    slug, _, number = name.partition(":")
    access = open_from_shell(slug, person, capability)
    versions = DatasetVersion.objects.filter(project=access.project)
    if number.removeprefix("v").isdecimal():
        versions = versions.filter(number=int(number.removeprefix("v")))
    found = versions.first() if number.removeprefix("v").isdecimal() or not number else None
    if found is None:
        numbers = ", ".join(
            f"{slug}:{n}"
            for n in DatasetVersion.objects.filter(project=access.project).values_list("number", flat=True)[
                :10
            ]
        )
        raise Refused(f"There is no dataset version {name!r}. Known: {numbers or 'none yet'}.")
    return found
