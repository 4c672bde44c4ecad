"""What people said of an item → the pairs of chosen and rejected that it gives, or why it gives none."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from labeling.recipes import PreferenceRecipe, split_of
from labeling.values import BOTH_BAD, TIE, pairs_of

SIDES = ("0", "1")
Pair = tuple[int, int]


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


@dataclass(frozen=True, slots=True)
class Vote:
    """One judgment as the recipe sees it; payload columns are not read for it."""

    item_id: int
    item_hash: str
    prompt_hash: str
    judgment_id: int
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Source:
    """What the rows of an item are made of: its payload, and the edits by judgment."""

    prompt: list[dict[str, str]]
    texts: Sequence[str]
    edits: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """One pair to be made: who wins over whom, and how the votes fell. An edit wins over its original."""

    chosen: int
    rejected: int
    votes: dict[str, int]
    edit: int | None = None


def choices(
    votes: list[Vote], recipe: PreferenceRecipe, settled: str | None
) -> Iterator[tuple[Choice | str, list[Vote]]]:
    """Every pair that the votes on one item decide, or the reason why one is not decided, with the votes behind it.

    A comparison gives one pair and a ranking of n gives all n (n - 1) / 2; each is decided by more than half of its
    votes, or by the settled answer where a reviewer gave one. Each edit gives a pair of its own.
    """
    if len(votes) < recipe.min_judgments:
        yield "too_few", votes
        return
    edits = [vote for vote in votes if vote.kind == "edit"]
    for vote in edits:
        original = int(vote.label)
        counts = {"chosen": 1, "rejected": 0, TIE: 0, BOTH_BAD: 0}
        yield Choice(original, original, counts, edit=vote.judgment_id), [vote]
    compared = [vote for vote in votes if vote.kind in ("pairwise", "ranking")]
    for pair, labels in _by_pair(compared).items():
        winner = dict(_pairs(settled)).get(pair) if settled is not None else _majority(labels)
        yield (_choice(pair, winner, labels) if winner in SIDES else winner or "no_majority"), compared


def row(
    choice: Choice, votes: list[Vote], source: Source, recipe: PreferenceRecipe, protected: set[str]
) -> Row | str:
    """The row of a decided pair, or why it must not be one."""
    rejected = source.texts[choice.rejected]
    chosen = source.texts[choice.chosen] if choice.edit is None else source.edits[choice.edit]
    prompt_hash = votes[0].prompt_hash
    split = split_of(prompt_hash, recipe)
    if not chosen.strip() or not rejected.strip():
        return "empty"
    if chosen == rejected:
        return "identical"
    if split == "train" and prompt_hash in protected:
        return "protected"
    return Row(
        split=split,
        prompt=source.prompt,
        chosen=chosen,
        rejected=rejected,
        item=votes[0].item_hash,
        prompt_hash=prompt_hash,
        votes=choice.votes,
    )


def stable(rows: list[tuple[Row | str, list[Vote]]]) -> list[tuple[Row | str, list[Vote]]]:
    """Several rows of one item in an order that does not depend on ids: that of their texts."""

    def key(outcome: tuple[Row | str, list[Vote]]) -> str:
        made = outcome[0]
        return made if isinstance(made, str) else hashlib.sha256(made.canonical()).hexdigest()

    return sorted(rows, key=key) if len(rows) > 1 else rows


def _pairs(label: str) -> list[tuple[Pair, str]]:
    return [((a, b), winner) for a, b, winner in pairs_of(label)]


def _by_pair(votes: list[Vote]) -> dict[Pair, Counter[str]]:
    """How the votes on each pair fell. "Both bad" of a whole ranking counts for each pair that anybody ranked."""
    found: dict[Pair, Counter[str]] = {}
    for vote in votes:
        if vote.kind == "pairwise" or vote.label != BOTH_BAD:
            for pair, winner in _pairs(vote.label):
                found.setdefault(pair, Counter())[winner] += 1
    all_bad = sum(vote.kind == "ranking" and vote.label == BOTH_BAD for vote in votes)
    if all_bad and not found:
        return {(0, 1): Counter({BOTH_BAD: all_bad})}
    for counts in found.values():
        counts[BOTH_BAD] += all_bad
    return found


def _majority(labels: Counter[str]) -> str | None:
    """The label with more than half of the votes."""
    label, count = labels.most_common(1)[0]
    return label if 2 * count > labels.total() else None


def _choice(pair: Pair, winner: str, labels: Counter[str]) -> Choice:
    better, worse = pair if winner == "0" else pair[::-1]
    counts = {
        "chosen": labels[winner],
        "rejected": labels["1" if winner == "0" else "0"],
        TIE: labels[TIE],
        BOTH_BAD: labels[BOTH_BAD],
    }
    return Choice(better, worse, counts)
