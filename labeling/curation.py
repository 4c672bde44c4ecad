"""Judgments → a frozen dataset version, by a recipe.

The rows depend on the judgments and the recipe alone: not on ids, clocks or the database, so that the same judgments
give the same bytes again.
"""

import hashlib
import itertools
import json
import os
import platform
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, Max, OuterRef

from labeling.errors import RecipeRefused
from labeling.models import (
    DatasetEntry,
    DatasetVersion,
    Item,
    Judgment,
    Project,
    Purpose,
    Resolution,
    Response,
    ReviewState,
    User,
)
from labeling.pairing import Choice, Row, Source, Vote, choices, row, stable
from labeling.protection import protected_hashes
from labeling.recipes import PreferenceRecipe, dropped_words
from labeling.rowfile import FILE_NAME, RowWriter

CHUNK = 500


@dataclass(slots=True)
class Preview:
    """What a recipe gives: rows and prompts by split, and what each rule drops."""

    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    sample: list[Row] = field(default_factory=list)
    _prompts: set[str] = field(default_factory=set)

    @property
    def rows(self) -> int:
        return sum(split["rows"] for split in self.splits.values())

    @property
    def dropped_words(self) -> list[tuple[str, int]]:
        return dropped_words(self.dropped)

    def count(self, outcome: Row | str) -> None:
        if isinstance(outcome, str):
            self.dropped[outcome] += 1
            return
        split = self.splits.setdefault(outcome.split, {"rows": 0, "prompts": 0})
        split["rows"] += 1
        split["prompts"] += outcome.prompt_hash not in self._prompts
        self._prompts.add(outcome.prompt_hash)


def preview(*, project: Project, recipe: PreferenceRecipe, sample: int = 0) -> Preview:
    """Apply the recipe without storing anything."""
    result = Preview()
    for outcome, _ in _rows(project, recipe):
        result.count(outcome)
        if isinstance(outcome, Row) and len(result.sample) < sample:
            result.sample.append(outcome)
    return result


def freeze(*, project: Project, recipe: PreferenceRecipe, person: User | None) -> DatasetVersion:
    """Write the rows, then the version. The same judgments and recipe give the version that already exists.

    Raises RecipeRefused where no row is left or another person froze at the same moment.
    """
    folder = uuid.uuid4().hex
    path = Path(settings.PREFLOOP_VAR) / "datasets" / folder
    building = path.with_name(f"{folder}.building")
    try:
        building.mkdir(parents=True)
        newest = Judgment.objects.filter(project=project).aggregate(newest=Max("pk"))["newest"] or 0
        result, content_hash, used = _write(building, project, recipe, newest)
        same = DatasetVersion.objects.filter(
            project=project, content_hash=content_hash, recipe=recipe.model_dump()
        ).first()
        if same is not None:
            return same
        with transaction.atomic():
            version = _version(project, recipe, person, folder, result, content_hash, used, newest)
            _write_manifest(building, version, used)
            building.rename(path)
        return version
    except IntegrityError as error:
        raise RecipeRefused("Somebody else froze a version at the same moment; freeze again.") from error
    except OSError as error:
        raise RecipeRefused(
            f"The rows could not be written ({error.strerror}); free some space and freeze again."
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def newer_judgments(version: DatasetVersion) -> int:
    """How many judgments the project has received since the version was frozen."""
    return Judgment.objects.filter(project=version.project_id, pk__gt=version.last_judgment_id).count()


def current_judgments(project: Project, purpose: Purpose = Purpose.WORK) -> models.QuerySet[Judgment]:
    """The latest revision of every judgment of a project, without those that a reviewer sent back.

    Answers to known items and repeats are for checking people; only work is ever counted or exported.
    """
    later = Judgment.objects.filter(assignment=OuterRef("assignment"), revision__gt=OuterRef("revision"))
    rows = Judgment.objects.filter(~Exists(later), project=project, purpose=purpose)
    return rows.exclude(assignment__review=ReviewState.RETURNED)


def _write(
    folder: Path, project: Project, recipe: PreferenceRecipe, newest: int
) -> tuple[Preview, str, list[tuple[int, list[Vote]]]]:
    result, digest = Preview(), hashlib.sha256()
    used: list[tuple[int, list[Vote]]] = []
    with RowWriter(folder / FILE_NAME) as writer:
        for outcome, votes in _rows(project, recipe, newest):
            result.count(outcome)
            if isinstance(outcome, Row):
                writer.add(asdict(outcome))
                digest.update(outcome.canonical())
                used.append((len(used), votes))
    if not used:
        reasons = "; ".join(f"{words}: {count:,}" for words, count in result.dropped_words)
        raise RecipeRefused(f"The recipe leaves no row ({reasons or 'nothing has been judged yet'}).")
    return result, digest.hexdigest(), used


def _rows(
    project: Project, recipe: PreferenceRecipe, newest: int | None = None
) -> Iterator[tuple[Row | str, list[Vote]]]:
    """Every judged item, in the order of its content hash: its rows, or the reasons why it gives none.

    Judgments after `newest` are left out: they arrived while this one was made, and count as newer than it.
    """
    protected = protected_hashes(project=project)
    groups = (
        list(group) for _, group in itertools.groupby(_votes(project, newest), key=lambda vote: vote.item_id)
    )
    while chunk := list(itertools.islice(groups, CHUNK)):
        settled = _settled([votes[0].item_id for votes in chunk])
        decided = [list(choices(votes, recipe, settled.get(votes[0].item_id))) for votes in chunk]
        sources = _sources(decided)
        for found in decided:
            yield from stable(
                [
                    (choice, votes)
                    if isinstance(choice, str)
                    else (row(choice, votes, sources[votes[0].item_id], recipe, protected), votes)
                    for choice, votes in found
                ]
            )


def _votes(project: Project, newest: int | None) -> Iterator[Vote]:
    columns = ("item_id", "item__content_hash", "item__prompt_hash", "id", "kind", "label")
    known = (
        current_judgments(project) if newest is None else current_judgments(project).filter(pk__lte=newest)
    )
    known = known.filter(kind__in=("pairwise", "ranking", "edit"))
    rows = known.order_by("item__content_hash", "id").values_list(*columns)
    return itertools.starmap(Vote, rows.iterator(chunk_size=2000))


def _settled(items: list[int]) -> dict[int, str]:
    """The newest resolution of each of these items that has one."""
    rows = Resolution.objects.filter(item__in=items).order_by("revision")
    return dict(rows.values_list("item_id", "label"))


def _sources(decided: list[list[tuple[Choice | str, list[Vote]]]]) -> dict[int, Source]:
    """The payload of those items that give a row; that of the others is not read."""
    wanted = {votes[0].item_id for found in decided for choice, votes in found if isinstance(choice, Choice)}
    chosen = [choice for found in decided for choice, _ in found if isinstance(choice, Choice)]
    edits = [choice.edit for choice in chosen if choice.edit is not None]
    written = Judgment.objects.filter(pk__in=edits).values_list("item_id", "pk", "answer")
    texts: dict[int, list[str]] = {}
    rows = Response.objects.filter(item__in=wanted).order_by("item_id", "position")
    for item_id, text in rows.values_list("item_id", "text"):
        texts.setdefault(item_id, []).append(text)
    edited: dict[int, dict[int, str]] = {}
    for item_id, judgment, answer in written if edits else ():
        edited.setdefault(item_id, {})[judgment] = answer["text"]
    return {
        item_id: Source(messages, texts.get(item_id, []), edited.get(item_id, {}))
        for item_id, messages in Item.objects.filter(pk__in=wanted).values_list("pk", "messages")
    }


def _version(
    project: Project,
    recipe: PreferenceRecipe,
    person: User | None,
    folder: str,
    result: Preview,
    content_hash: str,
    used: list[tuple[int, list[Vote]]],
    newest: int,
) -> DatasetVersion:
    last = DatasetVersion.objects.filter(project=project).aggregate(last=Max("number"))["last"] or 0
    version = DatasetVersion.objects.create(
        project=project,
        number=last + 1,
        kind=recipe.kind,
        recipe=recipe.model_dump(),
        content_hash=content_hash,
        splits=result.splits,
        dropped=dict(result.dropped),
        folder=folder,
        last_judgment_id=newest,
        created_by=person,
    )
    DatasetEntry.objects.bulk_create(
        (
            DatasetEntry(version=version, row=row, item_id=vote.item_id, judgment_id=vote.judgment_id)
            for row, votes in used
            for vote in votes
        ),
        batch_size=2000,
    )
    return version


def _write_manifest(folder: Path, version: DatasetVersion, used: list[tuple[int, list[Vote]]]) -> None:
    manifest = {
        "dataset": str(version),
        "kind": version.kind,
        "recipe": version.recipe,
        "content_hash": version.content_hash,
        "splits": version.splits,
        "dropped": version.dropped,
        "judgments": [vote.judgment_id for _, votes in used for vote in votes],
        "last_judgment": version.last_judgment_id,
        "created_at": version.created_at.isoformat(),
        "created_by": version.created_by.username if version.created_by else None,
        "software": {"python": platform.python_version()},
    }
    with (folder / "manifest.json").open("w", encoding="utf-8") as out:
        json.dump(manifest, out, indent=1, ensure_ascii=False)
        out.flush()
        os.fsync(out.fileno())
