"""manage.py serve: web and worker together, one process group, no other service."""

import signal
import sys
import time
from argparse import ArgumentParser
from typing import Any

from labeling.commands import VerbCommand
from labeling.errors import Refused
from labeling.processes import start, stop, web_command, worker_command


class Command(VerbCommand):
    help = "Run the web server and one worker with its scheduler until interrupted."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000")
        parser.add_argument("--threads", type=int, default=8, help="threads of the web server")

    def run(self, **options: Any) -> dict[str, Any]:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        names = ("web server", "worker")
        processes = [start(web_command(options["bind"], options["threads"])), start(worker_command())]
        self.say(f"Prefloop is at http://{options['bind']}/ (stop with Ctrl+C)")
        try:
            while all(process.poll() is None for process in processes):
                time.sleep(0.5)
            ended = next(
                name for name, process in zip(names, processes, strict=True) if process.poll() is not None
            )
            raise Refused(f"The {ended} ended by itself; see its messages above. Is {options['bind']} taken?")
        except KeyboardInterrupt:
            self.say("Stopping; running jobs go on from their last checkpoint at the next start.")
        finally:
            for process in processes:
                stop(process)
        return {}
