"""Which decided pairs a judge is held against, and how each is shown to it: drawn once, written down, read again."""

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.carrying import json_line, write_lines
from evaluation.planning import trained_on
from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.models import DatasetVersion
from labeling.models.datasets import SPLITS
from labeling.protection import hashes_of
from training.models import Checkpoint

PAIRS, LEFT_OUT = "pairs.jsonl", "left_out.json"
BEAT_ROWS = 2000
Ranked = tuple[tuple[int, str], int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair as it is shown to the judge; `people` says which of the two people chose, "first" or "second"."""

    row: int
    item: str
    split: str
    cluster: str
    prompt: list[dict[str, str]]
    first: str
    second: str
    people: str


def draw(
    folder: Path, *, version: DatasetVersion, judge: object, limit: int, watch: Callable[[], None]
) -> None:
    """Write down which pairs are asked about; a draw of before is left as it is.

    Test rows come before validation before training rows. Within a split they are drawn at random, but for one version
    always alike, so that the cards of several judges are about the same pairs. Prompts that a checkpoint was trained on
    are left out: there it repeats what it was told. Raises Refused where nothing is left.
    """
    if (folder / PAIRS).exists():
        return
    exporting.verify(version)
    seen = learned_by(judge, watch)
    left_out = 0

    def ranked() -> Iterator[Ranked]:
        nonlocal left_out
        for number, row in enumerate(rowfile.read(version.path)):
            if number % BEAT_ROWS == 0:
                watch()
            if row["prompt_hash"] in seen:
                left_out += 1
            else:
                yield (-SPLITS.index(row["split"]), _chance(version, number, "draw")), number, row

    chosen = heapq.nsmallest(limit, ranked(), key=lambda one: one[0])
    if not chosen:
        raise Refused(
            f"The judge has learned from every prompt of {version}, so it cannot be held against it; choose another "
            "version, or another model as the judge."
        )
    write_lines(folder / LEFT_OUT, [json.dumps(left_out).encode()])
    write_lines(folder / PAIRS, (json_line(_pair(version, number, row)) for _, number, row in chosen))


def pairs(folder: Path) -> Iterator[Pair]:
    """The pairs of a draw, in its order."""
    with (folder / PAIRS).open(encoding="utf-8") as file:
        for line in file:
            yield Pair(**json.loads(line))


def left_out(folder: Path) -> int:
    """How many rows the draw passed over because the judge had learned from their prompts."""
    return int((folder / LEFT_OUT).read_text())


def learned_by(judge: object, watch: Callable[[], None]) -> set[str]:
    """The prompts that the judge was trained on."""
    seen: set[str] = set()
    for trained in trained_on(judge) if isinstance(judge, Checkpoint) else ():
        watch()
        for row in rowfile.read(trained.path, split="train"):
            seen |= hashes_of(row)
    return seen


def _pair(version: DatasetVersion, number: int, row: dict[str, Any]) -> Pair:
    chosen_first = int(_chance(version, number, "side")[0], 16) % 2 == 0
    texts = (row["chosen"], row["rejected"])
    first, second = texts if chosen_first else texts[::-1]
    return Pair(
        row=number,
        item=row["item"],
        split=row["split"],
        cluster=row["prompt_hash"],
        prompt=row["prompt"],
        first=first,
        second=second,
        people="first" if chosen_first else "second",
    )


def _chance(version: DatasetVersion, number: int, what: str) -> str:
    return hashlib.sha256(f"{version.content_hash}:{number}:{what}".encode()).hexdigest()
