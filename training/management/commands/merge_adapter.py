"""manage.py merge_adapter --project P --checkpoint NAME [--wait]"""

from argparse import ArgumentParser
from typing import Any

from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.waiting import carried
from training.cards import merge_sentence
from training.merging import run_merge, start_merge
from training.registry import find_checkpoint


class Command(VerbCommand):
    help = "Merge an adapter into its base; with --wait, see it to its end."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--checkpoint", required=True, help="name or number of the adapter")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "train")
        adapter = find_checkpoint(project=access.project, name=options["checkpoint"])
        merge = start_merge(adapter=adapter, person=access.person)
        if options["wait"]:
            merge = carried(merge, run_merge)
            assert merge.made is not None
            self.say(f"{merge.made.name}: {merge.made.path}, hash {merge.made.content_hash}")
            self.say(merge_sentence(merge.result))
        else:
            self.say(f"merge {merge.pk} of {adapter.name} is {merge.status}")
        made = merge.made
        return {
            "merge": merge.pk,
            "status": merge.status,
            "checkpoint": made.pk if made else None,
            "hash": made.content_hash if made else None,
            **merge.result,
        }
