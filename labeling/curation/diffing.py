"""What differs between two versions: rows added, removed, with another label, in another split; and the recipes."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from labeling.curation import rowfile
from labeling.curation.recipe import Recipe
from labeling.curation.rows import Row, texts_of
from labeling.errors import Refused
from labeling.models import DatasetVersion

SHOWN = 50
SORTS = ("added", "removed", "relabelled", "moved")


@dataclass(slots=True)
class Change:
    """One row that differs: as it was and as it is, None where it is not there."""

    before: Row | None
    after: Row | None


@dataclass(slots=True)
class Diff:
    """Counts of every sort of change, the first rows of each, and the recipe's fields that differ.

    A row is the same where its item and its texts are; `relabelled` rows have the same texts with another one chosen or
    another label, `moved` rows are in another split. A row that is both counts as both.
    """

    same: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SORTS, 0))
    examples: dict[str, list[Change]] = field(default_factory=lambda: {sort: [] for sort in SORTS})
    recipe: list[tuple[str, Any, Any]] = field(default_factory=list)

    def add(self, sort: str, before: Row | None, after: Row | None) -> None:
        self.counts[sort] += 1
        if len(self.examples[sort]) < SHOWN:
            self.examples[sort].append(Change(before, after))


def diff(before: DatasetVersion, after: DatasetVersion) -> Diff:
    """Compare two versions of one kind. What was found is kept beside the later one: versions never change.

    Raises Refused where the kinds differ, or a file cannot be read or has been changed.
    """
    from labeling.curation.exporting import verify

    if before.kind != after.kind:
        raise Refused(
            f"{before} holds {before.kind} rows and {after} {after.kind} rows; compare two versions of one kind."
        )
    for version in (before, after):
        verify(version)
    kept = after.path.with_name(f"{after.folder}.files") / f"diff-{before.folder}.json"
    try:
        return _from_json(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError):
        found = _compare(before, after)
    try:
        kept.parent.mkdir(exist_ok=True)
        building = kept.with_suffix(".building")
        building.write_text(json.dumps(asdict(found), ensure_ascii=False), encoding="utf-8")
        building.replace(kept)
    except OSError:
        pass  # a full disk costs the next reader some seconds
    return found


def _from_json(text: str) -> Diff:
    values = json.loads(text)
    return Diff(
        same=values["same"],
        counts=values["counts"],
        examples={sort: [Change(**each) for each in values["examples"][sort]] for sort in SORTS},
        recipe=[(name, one, two) for name, one, two in values["recipe"]],
    )


def _compare(before: DatasetVersion, after: DatasetVersion) -> Diff:
    found = Diff(recipe=[*_recipes(before.recipe, after.recipe), *_choices(before, after)])
    for old, new in _together(_prompts(before), _prompts(after)):
        earlier, later = _by_key(old), _by_key(new)
        for key in earlier.keys() | later.keys():
            one, two = earlier.get(key), later.get(key)
            if one is None or two is None:
                found.add("added" if one is None else "removed", one, two)
                continue
            relabelled, moved = _label(one) != _label(two), one["split"] != two["split"]
            found.same += not (relabelled or moved)
            if relabelled:
                found.add("relabelled", one, two)
            if moved:
                found.add("moved", one, two)
    return found


def _recipes(one: dict[str, Any], two: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    defaults = Recipe().model_dump(mode="json")
    for name, default in defaults.items():
        earlier, later = one.get(name, default), two.get(name, default)
        if earlier != later:
            yield name, earlier, later


def _choices(before: DatasetVersion, after: DatasetVersion) -> Iterator[tuple[str, Any, Any]]:
    """How the rows of either were chosen out of another version, setting by setting, where that differs."""
    one, two = before.choice or {}, after.choice or {}
    for name in dict.fromkeys((*one, *two)):
        if one.get(name) != two.get(name):
            yield f"choice: {name}", one.get(name), two.get(name)


def _prompts(version: DatasetVersion) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each prompt, in the order of the prompts' hashes."""
    last = ""
    for prompt, rows in itertools.groupby(rowfile.read(version.path), key=lambda row: row["prompt_hash"]):
        if prompt < last:
            raise Refused(
                f"The rows of {version} are not in the order of their prompts; freeze it again to compare it."
            )
        last = prompt
        yield prompt, list(rows)


def _together(
    one: Iterator[tuple[str, list[Row]]], two: Iterator[tuple[str, list[Row]]]
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Both versions' rows of each prompt that either has; memory is that of one prompt."""
    left, right = next(one, None), next(two, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[1], []
            left = next(one, None)
        elif left is None or right[0] < left[0]:
            yield [], right[1]
            right = next(two, None)
        else:
            yield left[1], right[1]
            left, right = next(one, None), next(two, None)


def _by_key(rows: list[Row]) -> dict[tuple[str, ...], Row]:
    return {(row["item"], *sorted(texts_of(row))): row for row in rows}


def _label(row: Row) -> Any:
    """What was said of the texts."""
    said = ("chosen", "label", "margin", "soft_label", "positives")
    return [row.get(name) for name in said]
