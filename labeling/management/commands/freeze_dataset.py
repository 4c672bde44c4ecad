"""manage.py freeze_dataset PROJECT --kind preference [--recipe FILE]"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.curation import freeze
from labeling.errors import RecipeRefused
from labeling.recipes import dropped_words, read_recipe


class Command(VerbCommand):
    help = "Freeze the judgments of a project into a dataset version."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("--kind", default="preference", choices=["preference"])
        parser.add_argument("--recipe", type=Path, help="JSON file with the recipe's fields")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        recipe = read_recipe({**_values(options["recipe"]), "kind": options["kind"]})
        version = freeze(project=access.project, recipe=recipe, person=access.person)
        self.say(f"{version}: {version.rows:,} rows, hash {version.content_hash}")
        for name, split in sorted(version.splits.items()):
            self.say(f"  {name}: {split['rows']:,} rows of {split['prompts']:,} prompts")
        for words, count in dropped_words(version.dropped):
            self.say(f"  left out {count:,}: {words}")
        return {
            "version": f"{access.project.slug}:{version.number}",
            "hash": version.content_hash,
            "rows": version.rows,
            "splits": version.splits,
            "dropped": version.dropped,
        }


def _values(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeRefused(f"The recipe {path} cannot be read: {error}; give a JSON object.") from error
    if not isinstance(values, dict):
        raise RecipeRefused(f"The recipe {path} is a {type(values).__name__}; give a JSON object.")
    return values
