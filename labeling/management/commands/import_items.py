"""manage.py import_items PROJECT FILE [--format auto] [--licence L] [--scrub]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.access import Access, open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused
from labeling.importing.batches import run_import, start_folder_import, start_import
from labeling.importing.mapping import FORMATS
from labeling.lifecycle import Status
from labeling.models import ImportBatch

SHOWN_ERRORS = 20


class Command(VerbCommand):
    help = "Import prompts and responses from a file or folder; reports new, duplicate and refused rows."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("file", type=Path, help="a file, or a folder that datasets saved")
        parser.add_argument("--format", default="auto", choices=list(FORMATS))
        parser.add_argument("--licence", default="", help="licence of rows that name none")
        parser.add_argument(
            "--scrub", action="store_true", help="replace e-mail addresses, phone and card numbers"
        )

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        batch = self.start(access, options["file"], options)
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

    def start(self, access: Access, path: Path, options: dict[str, Any]) -> ImportBatch:
        """Queue the import of a folder where it lies, or of a copy of a file."""
        values: dict[str, Any] = {name: options[name] for name in ("format", "licence", "scrub")}
        values |= {"project": access.project, "person": access.person}
        if path.is_dir():
            return start_folder_import(folder=path, **values)
        if not path.is_file():
            raise Refused(f"{path} is no file and no folder; give the path of one that exists.")
        with path.open("rb") as file:
            return start_import(file=file, filename=path.name, **values)
