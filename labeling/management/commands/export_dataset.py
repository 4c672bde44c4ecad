"""manage.py export_dataset VERSION OUT [--format jsonl|parquet|datasets]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.commands import VerbCommand, find_version
from labeling.exporting import FORMATS, SHAPES, export


class Command(VerbCommand):
    help = "Write a dataset version (PROJECT:NUMBER) as files that a trainer loads."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="PROJECT:NUMBER, or PROJECT for its newest version")
        parser.add_argument("out", type=Path)
        parser.add_argument("--format", default="jsonl", choices=FORMATS)
        parser.add_argument("--shape", default="preference", choices=list(SHAPES))

    def run(self, **options: Any) -> dict[str, Any]:
        version = find_version(options["version"], options["person"], "view_results")
        files = export(version, options["out"], format=options["format"], shape=options["shape"])
        for path in files:
            self.say(str(path))
        return {"hash": version.content_hash, "files": [str(path) for path in files]}
