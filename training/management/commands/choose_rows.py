"""manage.py choose_rows --dataset PROJECT:N --model M --k K [--quality …] [--algorithm …] [--freeze]"""

from argparse import ArgumentParser
from typing import Any

from labeling.access import open_from_shell
from labeling.commands import VerbCommand, find_version
from labeling.curation.freezes import run_freeze
from labeling.waiting import carried
from training.forms import ALGORITHMS, QUALITIES, TEXTS
from training.registry import find_checkpoint
from training.selecting import OWN, freeze_selection, run_selection, start_selection


class Command(VerbCommand):
    help = "Choose the best training rows of a dataset version by quality and diversity."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dataset", required=True, help="PROJECT:NUMBER")
        parser.add_argument("--model", required=True, help="name or number of a base model or checkpoint")
        parser.add_argument("--k", type=int, required=True, help="how many rows")
        parser.add_argument("--quality", choices=list(QUALITIES))
        parser.add_argument("--weight", type=float, help="of quality, 0 to 1; the rest is that of diversity")
        parser.add_argument("--text", choices=list(TEXTS))
        parser.add_argument("--algorithm", choices=list(ALGORITHMS))
        for name in ("max-length", "batch-size", "seed"):
            parser.add_argument(f"--{name}", type=int)
        parser.add_argument("--freeze", action="store_true", help="freeze what was chosen as a new version")

    def run(self, **options: Any) -> dict[str, Any]:
        version = find_version(options["dataset"], options["person"], "curate")
        person = open_from_shell(version.project.slug, options["person"], "curate").person
        selection = start_selection(
            version=version,
            checkpoint=find_checkpoint(project=version.project, name=options["model"]),
            values={name: options[name] for name in OWN if options[name] is not None},
            person=person,
        )
        selection = carried(selection, run_selection)
        found = selection.result
        random = sum(found["reach_random"]) / len(found["reach_random"])
        self.say(
            f"{found['chosen']:,} of {found['rows']:,} rows: {found['reach']:.3f} from the nearest chosen one "
            f"on average, {random:.3f} with rows drawn at random"
        )
        said: dict[str, Any] = {"selection": selection.pk, "folder": str(selection.path), **found}
        if options["freeze"]:
            job = freeze_selection(selection, person=person)
            frozen = carried(job, run_freeze).version
            assert frozen is not None
            self.say(f"{frozen}: {frozen.rows:,} rows, hash {frozen.content_hash}")
            said |= {"version": f"{version.project.slug}:{frozen.number}", "hash": frozen.content_hash}
        return said
