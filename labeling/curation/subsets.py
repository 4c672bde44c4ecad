"""A version of rows chosen out of another one: its training rows that are kept, and its other splits as they are."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labeling.compiled import among
from labeling.curation import evaluation_material, rowfile
from labeling.curation.building import NOBODY
from labeling.curation.exporting import verify
from labeling.curation.freezing import Beat, RowSource, write_version
from labeling.curation.payload import asked_of
from labeling.curation.recipe import Recipe, read_recipe
from labeling.curation.rows import Made, Row
from labeling.curation.sources import source_projects
from labeling.curation.splits import TRAIN
from labeling.curation.votes import Vote, read_votes
from labeling.curation.withdrawing import stale_versions
from labeling.errors import RecipeRefused
from labeling.models import DatasetEntry, DatasetVersion, Judgment, User

CHUNK = 1000  # rows whose judgments are in memory at a time
Numbered = tuple[int, Row]


def freeze_subset(
    *,
    version: DatasetVersion,
    keep: Collection[int],
    choice: dict[str, Any],
    person: User | None,
    override: str = "",
    beat: Beat | None = None,
) -> DatasetVersion:
    """Freeze those training rows of a version whose numbers are in `keep`, with all rows of its other splits.

    `choice` says how they were chosen and stays with the version. The check runs again, and each row keeps its
    judgments. Raises RecipeRefused where the version is damaged, holds what was withdrawn since, or has no such rows.
    """
    check_parent(version)
    rows = FromVersion(version, frozenset(keep), choice, person)
    return write_version(rows, person=person, override=override, beat=beat)


def check_parent(version: DatasetVersion) -> None:
    """Refuse to choose from rows that are damaged or were asked back."""
    verify(version)
    if stale_versions([version]):
        raise RecipeRefused(
            f"{version} holds judgments or items that were withdrawn since; freeze a new version and choose from that."
        )


class FromVersion(RowSource):
    """Some of the rows of a version, each with the judgments that it rests on."""

    def __init__(
        self, version: DatasetVersion, keep: frozenset[int], choice: dict[str, Any], person: User | None
    ) -> None:
        self.parent = self._version = version
        self.choice, self._keep = choice, keep
        self.project, self.recipe = version.project, read_recipe(version.recipe)
        self.newest = version.last_judgment_id
        projects = source_projects(version.project, self.recipe, person)
        self.material = evaluation_material.read(projects, Recipe())
        self.dropped = {}

    def prompts(self, scratch: Path, beat: Callable[[], None]) -> Iterator[list[Made]]:
        found = itertools.groupby(self._kept(beat), key=lambda numbered: numbered[1]["prompt_hash"])
        chunk: list[list[Numbered]] = []
        rows = 0
        for _, group in found:
            chunk.append(list(group))
            rows += len(chunk[-1])
            if rows >= CHUNK:
                yield from self._made(chunk)
                chunk, rows = [], 0
        yield from self._made(chunk)

    def _kept(self, beat: Callable[[], None]) -> Iterator[Numbered]:
        names = rowfile.schema(self._version.kind).names
        left, missing = 0, set(self._keep)
        for number, row in enumerate(rowfile.read(self._version.path)):
            if number % CHUNK == 0:
                beat()
            if row["split"] == TRAIN:
                if number not in missing:
                    left += 1
                    continue
                missing.remove(number)
            yield number, {name: row.get(name) for name in names}
        if missing or not left:
            raise RecipeRefused(
                f"{self._version} has no training row {min(missing):,}; choose again."
                if missing
                else f"All training rows of {self._version} are chosen; choose fewer."
            )
        self.dropped = {"not_chosen": left}

    def _made(self, prompts: Sequence[Sequence[Numbered]]) -> Iterator[list[Made]]:
        numbers = [number for prompt in prompts for number, _ in prompt]
        entries = among(
            DatasetEntry.objects.filter(version=self._version).order_by("row", "judgment"),
            "labeling_datasetentry.row",
            numbers,
        )
        behind: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
        for row, item, judgment in entries.values_list("row", "item_id", "judgment_id"):
            behind[row].append((item, judgment))
        judgments = [key for rests in behind.values() for _, key in rests if key]
        found = among(Judgment.objects.order_by(), "labeling_judgment.id", judgments)
        votes = {vote.judgment_id: vote for vote in read_votes(found)}
        asked = asked_of({item for rests in behind.values() for item, _ in rests})
        for prompt in prompts:
            yield [_row(row, behind[number], votes, asked) for number, row in prompt]


def _row(
    row: Row, rests: list[tuple[int, int | None]], votes: Mapping[int, Vote], asked: Mapping[int, Any]
) -> Made:
    item = rests[0][0]
    nobody = Vote._make((item, row["item"], row["prompt_hash"], "", "", False, *NOBODY))
    return Made(row, [votes[key] if key else nobody for _, key in rests], item, asked.get(item, ()))
