"""manage.py freeze_dataset PROJECT --kind KIND [--recipe FILE] [--override REASON]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.curation.freezing import freeze
from labeling.curation.lint import LintReport
from labeling.curation.recipe import KINDS, Recipe, dropped_words, read_document, read_recipe, stored
from labeling.errors import RecipeRefused


class Command(VerbCommand):
    help = "Freeze the judgments of a project into a dataset version."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("--kind", choices=list(KINDS), help="what each row holds (default: preference)")
        parser.add_argument("--recipe", type=Path, help="YAML or JSON file with the recipe's fields")
        parser.add_argument(
            "--override", default="", help="reason to freeze in spite of what the check finds"
        )

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        recipe = _recipe(options["recipe"])
        if options["kind"]:
            recipe = read_recipe({**stored(recipe), "kind": options["kind"]})
        version = freeze(
            project=access.project, recipe=recipe, person=access.person, override=options["override"]
        )
        self.say(f"{version}: {version.rows:,} rows, hash {version.content_hash}")
        for name, split in sorted(version.splits.items()):
            self.say(f"  {name}: {split['rows']:,} rows of {split['prompts']:,} prompts")
        for words, count in dropped_words(version.dropped):
            self.say(f"  left out {count:,}: {words}")
        for finding in LintReport.from_dict(version.lint).findings:
            if finding.count or finding.blocks:
                self.say(f"  check: {finding.words}: {finding.count:,} rows")
        return {
            "version": f"{access.project.slug}:{version.number}",
            "hash": version.content_hash,
            "rows": version.rows,
            "splits": version.splits,
            "dropped": version.dropped,
            "lint": version.lint,
        }


def _recipe(path: Path | None) -> Recipe:
    if path is None:
        return Recipe()
    try:
        return read_document(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeRefused(
            f"The recipe {path} cannot be read: {error}; give a YAML or JSON file."
        ) from error
