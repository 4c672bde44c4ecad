"""A recipe → a frozen dataset version.

The rows depend on the judgments and the recipe alone: not on ids, clocks or the database, so that the same judgments
give the same bytes again.
"""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Max, QuerySet

from labeling.compiled import insert_many
from labeling.curation import evaluation_material
from labeling.curation.building import Build
from labeling.curation.evaluation_material import Material
from labeling.curation.lint import Lint, LintReport
from labeling.curation.manifest import JUDGMENTS, Counts, behind, entry, write_manifest
from labeling.curation.recipe import Recipe, dropped_words, stored
from labeling.curation.rowfile import FILE_NAME, RowWriter, file_hash
from labeling.curation.rows import Made, canonical
from labeling.curation.sources import source_projects
from labeling.errors import RecipeRefused
from labeling.models import DatasetEntry, DatasetVersion, Item, Judgment, Project, User
from labeling.upkeep import few_collections, keep_indexes_in_memory

ABANDONED_S = 86_400
BATCH = 50_000
RULES = Recipe().decontaminate  # rows of a recipe with all of them are compared already
Beat = Callable[[float | None], None]


class RowSource:
    """What a version is written from. `dropped` is complete once the prompts were taken."""

    project: Project
    recipe: Recipe
    newest: int  # the last judgment that it knows of
    material: Material | None  # what the check compares training prompts with
    dropped: Mapping[str, int]
    parent: DatasetVersion | None = None
    choice: dict[str, Any] | None = None

    def prompts(self, scratch: Path, beat: Callable[[], None]) -> Iterator[list[Made]]:
        """The rows of every prompt, in the order of the prompts' hashes."""
        raise NotImplementedError


class FromJudgments(RowSource):
    """The rows that a recipe makes of the judgments there are."""

    def __init__(self, project: Project, recipe: Recipe, person: User | None) -> None:
        self.project, self.recipe = project, recipe
        self._projects = source_projects(project, recipe, person)
        self.newest = _newest(Judgment.objects.filter(project__in=self._projects))
        self._newest_item = _newest(Item.objects.filter(project__in=self._projects))
        compared = recipe.decontaminate == RULES
        self.material = None if compared else evaluation_material.read(self._projects, Recipe())
        self.dropped = {}

    def prompts(self, scratch: Path, beat: Callable[[], None]) -> Iterator[list[Made]]:
        build = Build(
            projects=self._projects,
            recipe=self.recipe,
            newest=self.newest,
            newest_item=self._newest_item,
            scratch=scratch,
            beat=beat,
        )
        yield from build.prompts()
        self.dropped = build.dropped


def _newest(rows: QuerySet[Any]) -> int:
    return rows.aggregate(newest=Max("pk"))["newest"] or 0


class LintBlocked(RecipeRefused):
    """The check found what should not be frozen. `report` says what, and in which rows."""

    def __init__(self, report: LintReport) -> None:
        super().__init__(
            f"The check found what should not be trained on: {report.blocking_words}. "
            "Mend it, or freeze with a reason in writing."
        )
        self.report = report


def freeze(
    *,
    project: Project,
    recipe: Recipe,
    person: User | None,
    override: str = "",
    beat: Beat | None = None,
) -> DatasetVersion:
    """Write the rows, then the version. The same judgments and recipe give the version that already exists.

    `beat` is called with the share that is done. Raises RecipeRefused where no row is left or another person froze at
    the same moment, and LintBlocked where the check blocks and no reason (`override`) is given.
    """
    return write_version(FromJudgments(project, recipe, person), person=person, override=override, beat=beat)


def write_version(
    source: RowSource, *, person: User | None, override: str = "", beat: Beat | None = None
) -> DatasetVersion:
    """Write what the source gives as a version, or find the one that it already is. Raises as `freeze` does."""
    folder = uuid.uuid4().hex
    path = Path(settings.PREFLOOP_VAR) / "datasets" / folder
    building = path.with_name(f"{folder}.building")
    kept = False
    try:
        _forget_abandoned(path.parent)
        building.mkdir(parents=True)
        keep_indexes_in_memory(16)
        with few_collections():
            written = _Written(building, source, beat or (lambda share: None))
        if same := written.already():
            return same
        if written.report.blocks and not override.strip():
            raise LintBlocked(written.report)
        with transaction.atomic():
            version = written.store(folder, person, override.strip())
            building.rename(path)
        kept = True
        return version
    except IntegrityError as error:
        raise RecipeRefused("Somebody else froze a version at the same moment; freeze again.") from error
    except (OSError, OperationalError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise RecipeRefused(
            f"The rows could not be written ({words}); free some space and freeze again."
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
        if not kept:
            shutil.rmtree(path, ignore_errors=True)


def _forget_abandoned(folder: Path) -> None:
    """Remove what killed processes began to write and nobody will end: nothing has grown in it for a day."""
    for left in folder.glob("*.building"):
        with suppress(FileNotFoundError):  # another process ended it at this moment
            if left.stat().st_mtime < time.time() - ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


def newer_judgments(version: DatasetVersion) -> int:
    """How many judgments its projects have received since the version was frozen."""
    return judgments_since(version.project_id, version.recipe, version.last_judgment_id)


def judgments_since(project_id: int, recipe: Mapping[str, Any], newest: int) -> int:
    """How many judgments the projects of a recipe have received after one, by its number."""
    slugs = recipe.get("projects", [])
    projects = [project_id, *Project.objects.filter(slug__in=slugs).values_list("pk", flat=True)]
    return Judgment.objects.filter(project__in=projects, pk__gt=newest).count()


class _Written:
    """The files of a version on the way, and what is known of them."""

    def __init__(self, folder: Path, source: RowSource, beat: Beat) -> None:
        self._folder, self._source, self._beat = folder, source, beat
        self._at = ""  # the hash of the prompt at hand
        self.counts, self._digest = Counts(), hashlib.sha256()
        recipe = source.recipe
        lint = Lint(source.material, holds_out=recipe.test_share + recipe.validation_share > 0)
        prompts = source.prompts(folder / "signatures", lambda: beat(self._share()))
        with (
            RowWriter(folder / FILE_NAME, recipe.kind) as writer,
            (folder / JUDGMENTS).open("w", encoding="utf-8") as judgments,
        ):
            judgments.write("row,item,judgment,revision,guideline\n")
            for prompt in prompts:
                lint.see(prompt)
                for made in prompt:
                    judgments.write(behind(self.counts.rows, made))
                    self.counts.add(made)
                    writer.add(made.row)
                    self._digest.update(canonical(made.row))
                self._at = prompt[0].row["prompt_hash"]
        self.dropped = {key: count for key, count in sorted(source.dropped.items()) if count}
        if not self.counts.rows:
            reasons = "; ".join(f"{words}: {count:,}" for words, count in dropped_words(self.dropped))
            raise RecipeRefused(
                f"The recipe leaves no row ({reasons or 'nothing has been judged yet, or all of it was withdrawn'}); "
                "relax the rule that drops most, or let people judge more items."
            )
        self.report = lint.report()

    def _share(self) -> float | None:
        """What is done: prompts come in the order of their hashes, which fall evenly."""
        return int(self._at[:8], 16) / 16**8 if self._at else None

    @property
    def content_hash(self) -> str:
        return self._digest.hexdigest()

    def already(self) -> DatasetVersion | None:
        """The version that has these very rows by this very recipe, of these very judgments."""
        alike = DatasetVersion.objects.filter(
            project=self._source.project,
            content_hash=self.content_hash,
            recipe=stored(self._source.recipe),
            parent=self._source.parent,
        )
        behind_these = file_hash(self._folder / JUDGMENTS)
        for version in alike:
            with suppress(OSError):
                if file_hash(version.path / JUDGMENTS) == behind_these:
                    return version
        return None

    def store(self, folder: str, person: User | None, override: str) -> DatasetVersion:
        """Add the version with its entries, and write its manifest; to be called within a transaction."""
        source = self._source
        last = (
            DatasetVersion.objects.filter(project=source.project).aggregate(last=Max("number"))["last"] or 0
        )
        version = DatasetVersion.objects.create(
            project=source.project,
            number=last + 1,
            kind=source.recipe.kind,
            recipe=stored(source.recipe),
            content_hash=self.content_hash,
            file_hash=file_hash(self._folder / FILE_NAME),
            lint=self.report.as_dict(),
            override=override if self.report.blocks else "",
            parent=source.parent,
            choice=source.choice,
            splits=self.counts.splits,
            dropped=self.dropped,
            folder=folder,
            last_judgment_id=source.newest,
            created_by=person,
        )
        with (self._folder / JUDGMENTS).open(encoding="utf-8") as lines:
            next(lines)
            while chunk := [entry(line) for line in islice(lines, BATCH)]:
                chunk.sort(key=itemgetter(1))  # two of three indexes then grow from one end to the other
                insert_many(DatasetEntry(version=version), ("row", "item_id", "judgment_id"), chunk)
                self._beat(1.0)
        write_manifest(self._folder, version, self.counts)
        _flush(self._folder / FILE_NAME)
        return version


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
