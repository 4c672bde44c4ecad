"""manage.py import_suite PROJECT FILE --suite NAME [--create]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from evaluation.models import Suite
from evaluation.suites import create_suite, import_cases
from labeling.access import Access, open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused

SHOWN_ERRORS = 20


class Command(VerbCommand):
    help = "Import cases from a file into a suite; reports new, changed, unchanged and refused rows."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("file", type=Path, help="JSON Lines, JSON, CSV, TSV, Parquet or Arrow")
        parser.add_argument("--suite", required=True, help="the name of the suite, or its number")
        parser.add_argument("--create", action="store_true", help="make the suite where there is none")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        if not options["file"].is_file():
            raise Refused(f"{options['file']} is no file; give the path of one that exists.")
        suite = self.suite(access, options["suite"], create=options["create"])
        batch = import_cases(suite=suite, path=options["file"], person=access.person)
        self.say(
            f"{suite}: {batch.new:,} new, {batch.updated:,} changed, {batch.unchanged:,} unchanged, "
            f"{batch.refused:,} refused"
        )
        if batch.sealed:
            self.say(f"  {batch.sealed:,} came under seal beside a sealed case of the same prompt or cluster")
        for error in batch.row_errors[:SHOWN_ERRORS]:
            self.say(f"  row {error['line']}: {error['reason']}")
        counts = {name: getattr(batch, name) for name in ("new", "updated", "unchanged", "sealed", "refused")}
        return {"suite": suite.pk, "import": batch.pk, **counts, "errors": batch.row_errors}

    def suite(self, access: Access, name: str, *, create: bool) -> Suite:
        rows = Suite.objects.filter(project=access.project)
        found = rows.filter(name=name).first() or (
            rows.filter(pk=int(name)).first() if name.isdecimal() else None
        )
        if found is not None:
            return found
        if create:
            return create_suite(project=access.project, name=name, person=access.person)
        known = ", ".join(rows.values_list("name", flat=True)[:10]) or "none yet"
        raise Refused(f"There is no suite {name!r} in this project; add --create to make it. Known: {known}.")
