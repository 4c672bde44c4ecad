"""What a judge said about pairs that people decided → numbers with their doubt. Imports SciPy: for jobs."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evaluation import statistics
from evaluation.scorers.base import Mark
from labeling.agreement import alpha_estimate, pairwise_kappas
from labeling.estimates import Estimate

EVEN = 1e-9
FIRST, SECOND, TIE = SIDES = ("first", "second", "tie")
MOST_REASONS = 20


@dataclass(frozen=True, slots=True)
class Said:
    """One pair: what people said, and what the judge did ("" where it gave nothing, with the reason).

    `first` and `second` are the judge's values of the two answers, from 0 to 1; `lengths` are in characters.
    `favours` is the place that won in both orders, where another order made another winner.
    """

    people: str
    judge: str
    prompt: str
    lengths: tuple[int, int]
    first: float = 0.5
    second: float = 0.5
    flipped: bool | None = None
    favours: str | None = None
    mass: float | None = None
    reason: str = ""

    @property
    def margin(self) -> float:
        """How sure the judge is, from 0 to 1."""
        return abs(self.first - self.second)


def compared(people: str, prompt: str, lengths: tuple[int, int], mark: Mark) -> Said:
    """What a pairwise judge said of a pair, whose first answer was the one marked: its verdict in both orders."""
    if mark.state != "scored" or mark.value is None:
        return Said(people, "", prompt, lengths, reason=mark.reason)
    detail: dict[str, Any] = dict(mark.detail or {})
    orders = list(detail.get("orders", {}).values())
    return Said(
        people=people,
        judge={"win": FIRST, "loss": SECOND}.get(detail["verdict"], TIE),
        prompt=prompt,
        lengths=lengths,
        first=mark.value,
        second=1 - mark.value,
        flipped=bool(detail["flipped"]),
        favours=detail.get("favours"),
        mass=_mean([order["mass"] for order in orders]),
    )


def rated(people: str, prompt: str, lengths: tuple[int, int], marks: Sequence[Mark]) -> Said:
    """What a judge by a rubric said of a pair: the answer with the higher value."""
    values = []
    for mark in marks:
        if mark.state != "scored" or mark.value is None:
            return Said(people, "", prompt, lengths, reason=mark.reason)
        values.append(mark.value)
    first, second = values
    judge = TIE if abs(first - second) <= EVEN else FIRST if first > second else SECOND
    mass = _mean([(mark.detail or {}).get("mass") for mark in marks])
    return Said(people, judge, prompt, lengths, first=first, second=second, mass=mass)


class Beside(Protocol):
    """What people and the judge said of one thing: words, "" where the judge gave none, for the reason."""

    @property
    def people(self) -> str: ...
    @property
    def judge(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def reason(self) -> str: ...


def numbers(said: Sequence[Said]) -> dict[str, Any]:
    """The numbers of a card. A pair's cluster is its prompt: pairs of one prompt are not independent."""
    given = [one for one in said if one.judge]
    return {
        **shared_numbers(said, people=(FIRST, SECOND), judge=SIDES),
        "mass": _mean([one.mass for one in given]),
        **_shares(given),
    }


def shared_numbers(
    said: Sequence[Beside], *, people: tuple[str, str], judge: Sequence[str]
) -> dict[str, Any]:
    """The numbers that every card has. `people` are the two words that people say, the first of which sensitivity is
    about, `judge` all that a judge may say. Things of one prompt are not independent."""
    given = [one for one in said if one.judge]
    labels: dict[Hashable, dict[Hashable, Hashable]] = {
        place: {"people": one.people, "judge": one.judge} for place, one in enumerate(given)
    }
    clusters: dict[Hashable, Hashable] = {place: one.prompt for place, one in enumerate(given)}
    pair = next(iter(pairwise_kappas(labels, clusters=clusters)), None)
    table = Counter((one.people, one.judge) for one in given)
    return {
        "n": len(given),
        "errors": len(said) - len(given),
        "clusters": len({one.prompt for one in given}),
        "confusion": {mine: {its: table[mine, its] for its in judge} for mine in people},
        "reasons": dict(Counter(one.reason for one in said if not one.judge).most_common(MOST_REASONS)),
        "differing": sum(one.judge != one.people for one in given),
        "alpha": alpha_estimate(labels, clusters=clusters),
        "kappa": pair.kappa if pair else None,
        "raw": pair.raw if pair else None,
        **{
            name: _share([(one.judge == word, one) for one in given if one.people == word])
            for name, word in zip(("sensitivity", "specificity"), people, strict=True)
        },
    }


def _shares(given: Sequence[Said]) -> dict[str, Estimate | None]:
    flips = [one for one in given if one.flipped is not None]
    return {
        "flips": _share([(bool(one.flipped), one) for one in flips]),
        "first_place": _share([(one.favours == "first", one) for one in flips if one.flipped]),
        "longer_judge": _share(
            [(_is_longer(one, one.judge), one) for one in given if _decides(one, one.judge)]
        ),
        "longer_people": _share(
            [(_is_longer(one, one.people), one) for one in given if _decides(one, one.people)]
        ),
    }


def _share(outcomes: Sequence[tuple[bool, Beside]]) -> Estimate | None:
    """A share with its interval; None for fewer than MIN_CASES of them."""
    if len(outcomes) < statistics.MIN_CASES:
        return None
    return statistics.proportion_estimate(
        [float(hit) for hit, _ in outcomes], [one.prompt for _, one in outcomes]
    )


def _decides(one: Said, who: str) -> bool:
    return who != TIE and one.lengths[0] != one.lengths[1]


def _is_longer(one: Said, who: str) -> bool:
    return (one.lengths[0] > one.lengths[1]) == (who == FIRST)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
