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
from labeling.models import DatasetEntry, DatasetVersion, Item, Judgment, Project, Response, User
from labeling.protection import protected_hashes
from labeling.recipes import PreferenceRecipe, dropped_words, split_of
from labeling.rowfile import FILE_NAME, RowWriter
from labeling.values import BOTH_BAD, TIE

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One frozen row. Everything in it is hashed."""

    split: str
    prompt: list[dict[str, str]]
    chosen: str
    rejected: str
    item: str
    prompt_hash: str
    votes: dict[str, int]

    def canonical(self) -> bytes:
        return (
            json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            + b"\n"
        )


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


@dataclass(frozen=True, slots=True)
class _Vote:
    """One judgment as the recipe sees it; payload columns are not read for it."""

    item_id: int
    item_hash: str
    prompt_hash: str
    judgment_id: int
    label: str


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


def current_judgments(project: Project) -> models.QuerySet[Judgment]:
    """The latest revision of every judgment of a project."""
    later = Judgment.objects.filter(assignment=OuterRef("assignment"), revision__gt=OuterRef("revision"))
    return Judgment.objects.filter(~Exists(later), project=project)


def _write(
    folder: Path, project: Project, recipe: PreferenceRecipe, newest: int
) -> tuple[Preview, str, list[tuple[int, list[_Vote]]]]:
    result, digest = Preview(), hashlib.sha256()
    used: list[tuple[int, list[_Vote]]] = []
    with RowWriter(folder / FILE_NAME) as writer:
        for outcome, votes in _rows(project, recipe, newest):
            result.count(outcome)
            if isinstance(outcome, Row):
                writer.add(asdict(outcome))
                digest.update(outcome.canonical())
                used.append((len(used), votes))
    if not used:
        reasons = "; ".join(f"{count} items: {words}" for words, count in result.dropped_words)
        raise RecipeRefused(f"The recipe leaves no row ({reasons or 'nothing has been judged yet'}).")
    return result, digest.hexdigest(), used


def _rows(
    project: Project, recipe: PreferenceRecipe, newest: int | None = None
) -> Iterator[tuple[Row | str, list[_Vote]]]:
    """Every judged item, in the order of its content hash, as a row or as the reason why it is dropped.

    Judgments after `newest` are left out: they arrived while this one was made, and count as newer than it.
    """
    protected = protected_hashes(project=project)
    groups = (
        list(group) for _, group in itertools.groupby(_votes(project, newest), key=lambda vote: vote.item_id)
    )
    while chunk := list(itertools.islice(groups, CHUNK)):
        decided = [(votes, _decide(votes, recipe)) for votes in chunk]
        wanted = [votes[0].item_id for votes, label in decided if label in ("0", "1")]
        prompts = dict(Item.objects.filter(pk__in=wanted).values_list("pk", "messages"))
        texts: dict[int, list[str]] = {}
        rows = Response.objects.filter(item__in=wanted).order_by("item", "position")
        for item_id, text in rows.values_list("item_id", "text"):
            texts.setdefault(item_id, []).append(text)
        for votes, label in decided:
            item = votes[0].item_id
            if label not in ("0", "1"):
                yield label, votes
            else:
                yield _row(votes, label, prompts[item], texts[item], recipe, protected), votes


def _votes(project: Project, newest: int | None) -> Iterator[_Vote]:
    columns = ("item_id", "item__content_hash", "item__prompt_hash", "id", "label")
    known = (
        current_judgments(project) if newest is None else current_judgments(project).filter(pk__lte=newest)
    )
    rows = known.order_by("item__content_hash", "id").values_list(*columns)
    return itertools.starmap(_Vote, rows.iterator(chunk_size=2000))


def _decide(votes: list[_Vote], recipe: PreferenceRecipe) -> str:
    """The label with more than half of the votes, or why there is none."""
    if len(votes) < recipe.min_judgments:
        return "too_few"
    label, count = Counter(vote.label for vote in votes).most_common(1)[0]
    return label if 2 * count > len(votes) else "no_majority"


def _row(
    votes: list[_Vote],
    label: str,
    prompt: list[dict[str, str]],
    texts: list[str],
    recipe: PreferenceRecipe,
    protected: set[str],
) -> Row | str:
    chosen, rejected = texts[int(label)], texts[1 - int(label)]
    split = split_of(votes[0].prompt_hash, recipe)
    if not chosen.strip() or not rejected.strip():
        return "empty"
    if chosen == rejected:
        return "identical"
    if split == "train" and votes[0].prompt_hash in protected:
        return "protected"
    counts = Counter(vote.label for vote in votes)
    return Row(
        split=split,
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        item=votes[0].item_hash,
        prompt_hash=votes[0].prompt_hash,
        votes={
            "chosen": counts[label],
            "rejected": counts[str(1 - int(label))],
            TIE: counts[TIE],
            BOTH_BAD: counts[BOTH_BAD],
        },
    )


def _version(
    project: Project,
    recipe: PreferenceRecipe,
    person: User | None,
    folder: str,
    result: Preview,
    content_hash: str,
    used: list[tuple[int, list[_Vote]]],
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


def _write_manifest(folder: Path, version: DatasetVersion, used: list[tuple[int, list[_Vote]]]) -> None:
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
