"""manage.py register_model FOLDER_OR_HUB_NAME [--name N] [--revision R] [--licence L]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.commands import VerbCommand
from labeling.errors import Refused
from training.bases import read_folder
from training.recipes.contract import content_hash
from training.registry import register_base


class Command(VerbCommand):
    help = "Make a base model known: any folder of this machine, which is hashed now, or a name on the hub."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("location", help="folder of a saved model, or hub name such as org/model")
        parser.add_argument("--name", default="", help="what pages and commands call it")
        parser.add_argument("--revision", default="", help="of a hub model: a commit, tag or branch")
        parser.add_argument("--licence", default="", help="as its author names it, such as Apache-2.0")

    def run(self, **options: Any) -> dict[str, Any]:
        folder, location = Path(options["location"]), options["location"]
        facts: dict[str, Any] = {"revision": options["revision"]}
        if folder.is_dir():
            if options["revision"]:
                raise Refused("A folder has no revision; leave --revision out.")
            location = str(folder.resolve())
            facts = {"parameters": read_folder(folder), "content_hash": content_hash(folder)}
        name = options["name"] or folder.resolve().name
        root = register_base(name=name, location=location, licence=options["licence"], **facts)
        self.say(f"{root.name} is checkpoint {root.pk}: {root.base.place}")
        return {
            "checkpoint": root.pk,
            "base": root.base.pk,
            "name": root.name,
            "parameters": root.parameters,
            "hash": root.content_hash,
        }
