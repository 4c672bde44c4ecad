"""What people said of an item → which response wins over which, or why that is not decided."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labeling.curation.recipe import Recipe
from labeling.curation.votes import COMPARING, Vote
from labeling.values import BOTH_BAD, TIE, pairs_of

SIDES = ("0", "1")
ROUNDS, STILL = 200, 1e-9  # of the fit of Bradley and Terry's model to one item
Pair = tuple[int, int]
Counts = dict[Pair, Counter[str]]
Chances = Mapping[str, float]
ByPair = Mapping[Pair, Chances]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decided pair of stored positions.

    soft_label: chance that `chosen` is the better one, 0 to 1. confidence: the share of the votes for this outcome, or
    its probability under the recipe's model. margin: how much better on the recipe's scale, None where nobody said.
    """

    outcome: str  # "better", "tie" or "both_bad"
    chosen: int
    rejected: int
    soft_label: float
    confidence: float
    votes: dict[str, int]
    margin: float | None = None


def decisions(
    votes: Sequence[Vote], recipe: Recipe, settled: str | None, chances: ByPair | None = None
) -> Iterator[Decision | str]:
    """Every pair that the votes on one item decide, or the reason why one is not decided.

    A comparison has one pair, a ranking of n has n (n - 1) / 2; each is decided by itself: by the settled answer where
    a reviewer gave one, else as the recipe says. `chances` holds what a model of the people says of each pair.
    """
    counts = by_pair(votes)
    if recipe.aggregation == "adjudicated" and settled is None:
        if counts:
            yield "not_settled"
        return
    settled_pairs = dict(winners(settled)) if settled is not None else {}
    scores = _scores(counts) if recipe.aggregation == "bradley_terry" else {}
    found: list[Decision | str] = []
    for pair, labels in counts.items():
        if pair in settled_pairs or settled == BOTH_BAD:
            shares: Chances = {settled_pairs.get(pair, BOTH_BAD): 1.0}
        elif settled is not None:
            continue  # the settled answer says nothing of this pair
        elif chances is not None and pair in chances:
            shares = chances[pair]
        elif scores and labels[BOTH_BAD] * 2 <= labels.total():
            shares = _bradley_terry(scores, pair)
        else:
            shares = {label: count / labels.total() for label, count in labels.items()}
        found.append(_decide(pair, labels, shares, recipe, _margin(votes, pair, recipe)))
    yield from _asked_for(found, recipe)


def by_pair(votes: Sequence[Vote]) -> Counts:
    """How the votes on each pair fell. "Both bad" of a whole ranking counts for each pair that anybody ranked."""
    found: Counts = {}
    compared = [vote for vote in votes if vote.kind in COMPARING]
    for vote in compared:
        if vote.kind == "pairwise" or vote.label != BOTH_BAD:
            for pair, winner in winners(vote.label):
                found.setdefault(pair, Counter())[winner] += 1
    all_bad = sum(vote.kind == "ranking" and vote.label == BOTH_BAD for vote in compared)
    if all_bad and not found:
        return {(0, 1): Counter({BOTH_BAD: all_bad})}
    for counts in found.values():
        counts[BOTH_BAD] += all_bad
    return found


def winners(label: str) -> list[tuple[Pair, str]]:
    """Which of each pair a label prefers, as `pairs_of` says it."""
    return [((a, b), winner) for a, b, winner in pairs_of(label)]


def _decide(
    pair: Pair, labels: Counter[str], shares: Chances, recipe: Recipe, margin: float | None
) -> Decision | str:
    winner = max(sorted(shares), key=lambda label: shares[label])
    confidence = shares[winner]
    if confidence <= 0.5:
        return "no_majority"
    if confidence < recipe.min_agreement:
        return "agreement"
    a, b = pair if winner != "1" else pair[::-1]
    lost = "1" if winner != "1" else "0"
    won = "0" if winner != "1" else "1"
    half = shares.get(TIE, 0.0) / 2
    decided = shares.get(won, 0.0) + shares.get(lost, 0.0) + 2 * half
    return Decision(
        outcome="better" if winner in SIDES else winner,
        chosen=a,
        rejected=b,
        soft_label=round((shares.get(won, 0.0) + half) / decided, 6) if decided else 0.5,
        confidence=round(confidence, 6),
        votes={
            "chosen": labels[won],
            "rejected": labels[lost],
            TIE: labels[TIE],
            BOTH_BAD: labels[BOTH_BAD],
        },
        margin=None if margin is None else max(0.0, round(margin if winner != "1" else -margin, 6)),
    )


def _margin(votes: Sequence[Vote], pair: Pair, recipe: Recipe) -> float | None:
    """How much better the first of the pair is: the mean of what people said, 1 for much better and 0 for a tie (as
    in Llama 2, arXiv 2307.09288 section 3.2.2), times the recipe's scale; below 0 where the second is better."""
    said = []
    for vote in votes:
        if vote.kind == "pairwise" and (vote.strength or vote.label == TIE):
            size = (vote.strength or 0) / 3
            said.append(size if vote.label == str(pair[0]) else -size)
    return recipe.margin_scale * sum(said) / len(said) if any(said) else None


def _asked_for(found: list[Decision | str], recipe: Recipe) -> Iterator[Decision | str]:
    """Of a ranking, the pairs that the recipe takes. Levels follow from the decided pairs: wins minus losses."""
    decided = [each for each in found if isinstance(each, Decision) and each.outcome == "better"]
    if recipe.ranking_pairs == "all" or len(found) == 1:
        yield from found
        return
    score: Counter[int] = Counter()
    for each in decided:
        score[each.chosen] += 1
        score[each.rejected] -= 1
    levels = sorted(set(score.values()), reverse=True)
    level = {position: levels.index(value) for position, value in score.items()}
    for one in found:
        if isinstance(one, str) or one.outcome != "better":
            yield one
        elif recipe.ranking_pairs == "adjacent":
            yield one if level[one.rejected] - level[one.chosen] == 1 else "other_pair"
        else:
            ends = (level[one.chosen], level[one.rejected]) == (0, len(levels) - 1)
            yield one if ends else "other_pair"


def _scores(counts: Counts) -> dict[int, float]:
    """Strengths of an item's responses by Bradley and Terry's model: P(a over b) = s_a / (s_a + s_b).

    Fitted by the MM algorithm (Hunter 2004, Annals of Statistics 32, section 2) with one virtual tie for each pair,
    which keeps every strength finite; a tie is half a win for each.
    """
    positions = sorted({position for pair in counts for position in pair})
    wins = dict.fromkeys(positions, 0.0)
    games: dict[Pair, float] = {}
    for (a, b), labels in counts.items():
        half = labels[TIE] / 2 + 0.5
        wins[a] += labels["0"] + half
        wins[b] += labels["1"] + half
        games[a, b] = labels["0"] + labels["1"] + 2 * half
    strength = dict.fromkeys(positions, 1.0)
    for _ in range(ROUNDS):
        new = {}
        for one in positions:
            played = sum(n / (strength[a] + strength[b]) for (a, b), n in games.items() if one in (a, b))
            new[one] = wins[one] / played
        scale = math.exp(sum(map(math.log, new.values())) / len(new))
        new = {one: value / scale for one, value in new.items()}
        moved = max(abs(new[one] - strength[one]) for one in positions)
        strength = new
        if moved < STILL:
            break
    return strength


def _bradley_terry(scores: Mapping[int, float], pair: Pair) -> Chances:
    first = round(scores[pair[0]] / (scores[pair[0]] + scores[pair[1]]), 6)
    return {TIE: 1.0} if first == 0.5 else {"0": first, "1": 1 - first}
