"""manage.py export_dataset VERSION OUT [--format jsonl|parquet|datasets] [--shape SHAPE] [--style STYLE]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.commands import VerbCommand, find_version
from labeling.curation.exporting import CONVERSATIONAL, FORMATS, export
from labeling.curation.shapes import FROM, STYLES


class Command(VerbCommand):
    help = "Write a dataset version (PROJECT:NUMBER) as files that a trainer loads."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="PROJECT:NUMBER, or PROJECT for its newest version")
        parser.add_argument("out", type=Path)
        parser.add_argument("--format", default="jsonl", choices=FORMATS)
        parser.add_argument("--shape", default="", choices=["", *FROM], help="default: the version's kind")
        parser.add_argument("--style", default=CONVERSATIONAL, choices=list(STYLES))

    def run(self, **options: Any) -> dict[str, Any]:
        version = find_version(options["version"], options["person"], "view_results")
        names = ("format", "shape", "style")
        files = export(version, options["out"], **{name: options[name] for name in names})
        for path in files:
            self.say(str(path))
        return {"hash": version.content_hash, "files": [str(path) for path in files]}
