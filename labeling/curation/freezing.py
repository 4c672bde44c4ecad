"""A recipe → a frozen dataset version.

The rows depend on the judgments and the recipe alone: not on ids, clocks or the database, so that the same judgments
give the same bytes again.
"""

import hashlib
import json
import os
import platform
import shutil
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Max

from labeling.access import open_project
from labeling.compiled import insert_many
from labeling.curation import evaluation_material
from labeling.curation.building import Build
from labeling.curation.lint import Lint, LintReport
from labeling.curation.recipe import Recipe, dropped_words, stored
from labeling.curation.rowfile import FILE_NAME, RowWriter, file_hash
from labeling.curation.rows import Made, canonical
from labeling.errors import RecipeRefused, Refused
from labeling.models import DatasetEntry, DatasetVersion, Guideline, Item, Judgment, Project, User

JUDGMENTS = "judgments.bin"  # while building: row, item, judgment of each judgment behind a row, 8 bytes each
BEATS = 500  # rows between two signs of life
BATCH = 5000
LIBRARIES = ("django", "numpy", "pyarrow", "pydantic")
RULES = Recipe().decontaminate  # rows of a recipe with all of them are compared already
Beat = Callable[[float], None]


class LintBlocked(RecipeRefused):
    """The check found what should not be frozen. `report` says what, and in which rows."""

    def __init__(self, report: LintReport) -> None:
        super().__init__(
            f"The check found what should not be trained on: {report.blocking_words}. "
            "Mend it, or freeze with a reason in writing."
        )
        self.report = report


@dataclass(slots=True)
class Counts:
    """How many rows and prompts each split has. Rows come by prompt, and a prompt has one split."""

    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    guidelines: Counter[int | None] = field(default_factory=Counter)
    rows: int = 0
    _prompt: str = ""

    def add(self, made: Made) -> None:
        split = self.splits.setdefault(made.row["split"], {"rows": 0, "prompts": 0})
        split["rows"] += 1
        split["prompts"] += made.row["prompt_hash"] != self._prompt
        self._prompt = made.row["prompt_hash"]
        self.guidelines.update(vote.guideline_id for vote in made.votes if vote.judgment_id)
        self.rows += 1


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
    projects = source_projects(project, recipe, person)
    folder = uuid.uuid4().hex
    path = Path(settings.PREFLOOP_VAR) / "datasets" / folder
    building = path.with_name(f"{folder}.building")
    kept = False
    try:
        building.mkdir(parents=True)
        written = _Written(building, project, projects, recipe, beat or (lambda share: None))
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


def newer_judgments(version: DatasetVersion) -> int:
    """How many judgments its projects have received since the version was frozen."""
    slugs = version.recipe.get("projects", [])
    projects = [version.project_id, *Project.objects.filter(slug__in=slugs).values_list("pk", flat=True)]
    return Judgment.objects.filter(project__in=projects, pk__gt=version.last_judgment_id).count()


def source_projects(project: Project, recipe: Recipe, person: User | None) -> list[Project]:
    """The project and the others that the recipe names, in the order of their slugs. Raises RecipeRefused where one is
    not there or the person may not curate it; the two are not told apart."""
    found = {project.slug: project}
    for slug in recipe.projects:
        other = Project.objects.filter(slug=slug).first() if person is None else _curated(person, slug)
        if other is None:
            raise RecipeRefused(
                f"projects names {slug!r}: there is no such project, or you may not curate it; take it out."
            )
        found[slug] = other
    return [found[slug] for slug in sorted(found)]


def _curated(person: User, slug: str) -> Project | None:
    from django.core.exceptions import PermissionDenied
    from django.http import Http404

    try:
        return open_project(person, slug, "curate").project
    except (Http404, PermissionDenied):
        return None


class _Written:
    """The files of a version on the way, and what is known of them."""

    def __init__(
        self, folder: Path, project: Project, projects: list[Project], recipe: Recipe, beat: Beat
    ) -> None:
        self._folder, self._project, self._recipe = folder, project, recipe
        self.newest = Judgment.objects.filter(project__in=projects).aggregate(newest=Max("pk"))["newest"] or 0
        newest_item = Item.objects.filter(project__in=projects).aggregate(newest=Max("pk"))["newest"] or 0
        build = Build(
            projects=projects,
            recipe=recipe,
            newest=self.newest,
            newest_item=newest_item,
            scratch=folder / "signatures",
        )
        self.counts, self._digest = Counts(), hashlib.sha256()
        self._entries = 0
        lint = Lint(evaluation_material.read(projects, Recipe()) if recipe.decontaminate != RULES else None)
        with (
            RowWriter(folder / FILE_NAME, recipe.kind) as writer,
            (folder / JUDGMENTS).open("wb") as judgments,
        ):
            for made in build.rows():
                self._behind(made).tofile(judgments)
                self.counts.add(made)
                writer.add(made.row)
                lint.see(made)
                self._digest.update(canonical(made.row))
                if self.counts.rows % BEATS == 0:
                    beat(int(made.row["prompt_hash"][:8], 16) / 16**8)
        self.dropped = {key: count for key, count in sorted(build.dropped.items()) if count}
        if not self.counts.rows:
            reasons = "; ".join(f"{words}: {count:,}" for words, count in dropped_words(self.dropped))
            raise RecipeRefused(
                f"The recipe leaves no row ({reasons or 'nothing has been judged yet'}); "
                "relax the rule that drops most, or let people judge more items."
            )
        self.report = lint.report()

    def _behind(self, made: Made) -> "array[int]":
        judged = [vote for vote in made.votes if vote.judgment_id]
        self._entries += len(judged) or 1
        return array("q", _numbers(self.counts.rows, made, judged))

    @property
    def content_hash(self) -> str:
        return self._digest.hexdigest()

    def already(self) -> DatasetVersion | None:
        """The version that has these very rows by this very recipe."""
        return DatasetVersion.objects.filter(
            project=self._project, content_hash=self.content_hash, recipe=stored(self._recipe)
        ).first()

    def store(self, folder: str, person: User | None, override: str) -> DatasetVersion:
        """Add the version with its entries, and write its manifest; to be called within a transaction."""
        last = DatasetVersion.objects.filter(project=self._project).aggregate(last=Max("number"))["last"] or 0
        version = DatasetVersion.objects.create(
            project=self._project,
            number=last + 1,
            kind=self._recipe.kind,
            recipe=stored(self._recipe),
            content_hash=self.content_hash,
            file_hash=file_hash(self._folder / FILE_NAME),
            lint=self.report.as_dict(),
            override=override if self.report.blocks else "",
            splits=self.counts.splits,
            dropped=self.dropped,
            folder=folder,
            last_judgment_id=self.newest,
            created_by=person,
        )
        entries = self._entry_rows()
        while chunk := list(islice(entries, BATCH)):
            insert_many(DatasetEntry(version=version), ("row", "item_id", "judgment_id"), chunk)
        _write_manifest(self._folder, version, self.counts)
        (self._folder / JUDGMENTS).unlink()
        _flush(self._folder / FILE_NAME)
        return version

    def _entry_rows(self) -> Iterator[tuple[int, int, int | None]]:
        with (self._folder / JUDGMENTS).open("rb") as file:
            while block := file.read(24 * BATCH):
                values = iter(array("q", block))
                yield from (
                    (row, item, judgment or None)
                    for row, item, judgment in zip(values, values, values, strict=True)
                )


def _numbers(row: int, made: Made, judged: list[Any]) -> Iterator[int]:
    if not judged:
        yield from (row, made.item_id, 0)
    for vote in judged:
        yield from (row, vote.item_id, vote.judgment_id)


def _write_manifest(folder: Path, version: DatasetVersion, counts: Counts) -> None:
    """Everything that is known of the version, and each judgment behind it with its revision, a line each."""
    judged = DatasetEntry.objects.filter(version=version, judgment__isnull=False).order_by("row", "judgment")
    rows = judged.values_list("row", "judgment_id", "judgment__revision", "judgment__guideline__number")
    with (folder / "judgments.csv").open("w", encoding="utf-8") as out:
        out.write("row,judgment,revision,guideline\n")
        for row, judgment, revision, guideline in rows.iterator(chunk_size=BATCH):
            out.write(f"{row},{judgment},{revision},{guideline or ''}\n")
    guidelines = Guideline.objects.filter(pk__in=[key for key in counts.guidelines if key])
    manifest = {
        "dataset": str(version),
        "kind": version.kind,
        "recipe": version.recipe,
        "content_hash": version.content_hash,
        "file_hash": version.file_hash,
        "splits": version.splits,
        "dropped": version.dropped,
        "lint": version.lint,
        "override": version.override,
        "judgments": {"file": "judgments.csv", "sha256": file_hash(folder / "judgments.csv")},
        "guidelines": [
            {
                "project": guideline.project.slug,
                "number": guideline.number,
                "sha256": hashlib.sha256(guideline.text.encode()).hexdigest(),
                "judgments": counts.guidelines[guideline.pk],
            }
            for guideline in guidelines.select_related("project").order_by("project__slug", "number")
        ],
        "last_judgment": version.last_judgment_id,
        "created_at": version.created_at.isoformat(),
        "created_by": version.created_by.username if version.created_by else None,
        "software": {
            "python": platform.python_version(),
            **{name: version_of(name) for name in LIBRARIES},
        },
    }
    with (folder / "manifest.json").open("w", encoding="utf-8") as out:
        json.dump(manifest, out, indent=1, ensure_ascii=False)
        out.flush()
        os.fsync(out.fileno())


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_manifest(version: DatasetVersion) -> dict[str, Any]:
    """The manifest as it was written. Raises Refused where it cannot be read."""
    try:
        found: dict[str, Any] = json.loads((version.path / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(
            f"The manifest of {version} cannot be read: {error}; restore it from a backup."
        ) from error
    return found
