"""manage.py export_judgments PROJECT OUT [--format jsonl|csv]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.exporting_judgments import FORMATS, export_judgments


class Command(VerbCommand):
    help = "Write the judgments of a project, with their items, to a file; prints its SHA-256."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("out", type=Path)
        parser.add_argument("--format", default="jsonl", choices=FORMATS)

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "view_results")
        out: Path = options["out"]
        sha256, size = export_judgments(project=access.project, out=out, format=options["format"])
        self.say(f"{out}: {size:,} bytes, SHA-256 {sha256}")
        return {"file": str(out), "bytes": size, "sha256": sha256}
