"""manage.py import_items PROJECT FILE [--format auto] [--licence L]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused
from labeling.importing.batches import run_import, start_import
from labeling.importing.mapping import FORMATS
from labeling.lifecycle import Status

SHOWN_ERRORS = 20


class Command(VerbCommand):
    help = "Import prompts and responses from a file; reports new, duplicate and refused rows."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", default="auto", choices=list(FORMATS))
        parser.add_argument("--licence", default="")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        path: Path = options["file"]
        if not path.is_file():
            raise Refused(f"{path} is not a file; give the path of a JSON Lines or JSON file.")
        with path.open("rb") as file:
            batch = start_import(
                project=access.project,
                file=file,
                filename=path.name,
                person=access.person,
                format=options["format"],
                licence=options["licence"],
            )
        run_import(batch)
        batch.refresh_from_db()
        self.say(f"{batch.new:,} new, {batch.duplicate:,} duplicate, {batch.refused:,} refused")
        errors = list(batch.row_errors.values("line", "reason"))
        for error in errors[:SHOWN_ERRORS]:
            self.say(f"  row {error['line']}: {error['reason']}")
        if batch.status != Status.SUCCEEDED:
            raise Refused(batch.error or f"The import is {batch.get_status_display().lower()} by now.")
        counts = {"new": batch.new, "duplicate": batch.duplicate, "refused": batch.refused}
        return {"import": batch.pk, **counts, "errors": errors}
