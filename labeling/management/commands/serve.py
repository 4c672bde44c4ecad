"""manage.py serve: web and worker together, one process group, no other service."""

from argparse import ArgumentParser
from typing import Any

from labeling import processes
from labeling.commands import VerbCommand


class Command(VerbCommand):
    help = "Run the web server and one worker with its scheduler until interrupted."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000")
        parser.add_argument("--threads", type=int, default=8, help="threads of the web server")

    def run(self, **options: Any) -> dict[str, Any]:
        processes.serve(
            bind=options["bind"], threads=options["threads"], say=self.say, meanwhile=lambda: False
        )
        return {}
