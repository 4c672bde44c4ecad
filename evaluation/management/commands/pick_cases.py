"""manage.py pick_cases PROJECT SUITE (--item N … | --flagged | --case N …) [--tags a,b]"""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from evaluation.suites import add_picked, suite_called
from evaluation.suites.reviewed import flagged_items
from labeling.access import open_from_shell
from labeling.commands import VerbCommand


class Command(VerbCommand):
    help = "Make evaluation cases of labeling items, such as RAG answers that reviewers call bad, or of other cases."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("suite", help="name of the suite, there or new")
        parser.add_argument("--item", type=int, action="append", default=[], help="number of an item")
        parser.add_argument(
            "--flagged", action="store_true", help="every item whose RAG answer somebody calls bad"
        )
        parser.add_argument(
            "--case",
            type=int,
            action="append",
            default=[],
            help="number of a case of another suite or of a run",
        )
        parser.add_argument("--tags", default="", help="tags of the cases, with commas between them")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        items = list(options["item"])
        if options["flagged"]:
            items += flagged_items(project=access.project, person=access.person)
        tags = [tag.strip() for tag in options["tags"].split(",") if tag.strip()]
        with transaction.atomic():
            suite = suite_called(project=access.project, name=options["suite"], person=access.person)
            done = add_picked(
                suite=suite,
                items=list(dict.fromkeys(items)),
                cases=list(dict.fromkeys(options["case"])),
                tags=tags,
                person=access.person,
            )
        self.say(
            f"{suite}: {done.new:,} new, {done.unchanged:,} there already, {done.sealed:,} put under seal"
        )
        counts = {name: getattr(done, name) for name in ("new", "unchanged", "sealed")}
        return {"suite": suite.pk, "name": suite.name, **counts}
