"""A judge that compares an answer with the baseline's, in both orders, so that its liking for a place shows."""

from typing import Any, ClassVar

from pydantic import Field

from evaluation.scorers.base import Ask, Facts, Given, Mark, Need, Params, Scorer
from evaluation.scorers.judging import Choice, choice, conversation, question
from evaluation.scorers.rubric import extra, shown

LABELS = ("A", "B", "tie")
ORDERS = {
    "first": ("A", "B"),
    "second": ("B", "A"),
}  # where the answer stands: its label, the baseline's label
TASK = "You compare two answers, A and B, to one conversation by this rubric, and by nothing else.\n\nRUBRIC\n{rubric}"


class PairwiseParams(Params):
    rubric: str = Field(
        default="Which answer helps the person who asked more? Correctness comes first; length is no merit by itself.",
        min_length=1, max_length=20_000, description="By what the judge compares, in words.",
    )  # fmt: skip
    reference: bool = Field(default=False, description="Show the judge the reference answer.")
    contexts: bool = Field(default=False, description="Show the judge the contexts.")


class Pairwise(Scorer):
    """P(win) + P(tie) / 2 against the baseline's answer, the mean over both orders, from 0 to 1.

    Detail: `orders` (for the answer put first and second: probabilities, mass, the likeliest verdict win, tie or loss),
    `verdict` (theirs if they agree, else tie: Zheng et al. 2023, arXiv 2306.05685, section 3.4), `flipped` (each order
    has a winner, and they differ), `favours` (first or second, the place that won both times), `lengths` in characters
    and `longer` (answer, baseline or neither). Equal texts are one half and are not asked.
    """

    key = "pairwise"
    label = "Win rate by a judge"
    about = "A model compares each answer with the baseline's, in both orders; a tie is one half."
    needs = frozenset({Need.ANSWER, Need.JUDGE, Need.BASELINE})
    judge_kind = "pairwise"
    Params: ClassVar[type[Params]] = PairwiseParams

    def needed(self, params: Any) -> frozenset[Need]:
        return self.needs | extra(params)

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        if given.text == given.baseline:
            return []
        mine, other = given.text or "", given.baseline or ""
        return [
            _compare(case, params, "first", mine, other),
            _compare(case, params, "second", other, mine),
        ]

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        facts = _lengths(given.text or "", given.baseline or "")
        if given.text == given.baseline:
            return Mark(0.5, detail={**facts, "equal": True, "verdict": "tie", "flipped": False})
        found = {place: choice(given, place, LABELS) for place in ORDERS}
        orders = {place: _order(place, one) for place, one in found.items()}
        value = sum(order["win"] + order["tie"] / 2 for order in orders.values()) / 2
        return Mark(value, detail={**facts, "orders": orders, **_together(orders)})


def _compare(case: Facts, params: Any, place: str, first: str, second: str) -> Ask:
    texts = [
        ("conversation", conversation(case.messages)),
        *shown(case, params),
        ("answer A", first),
        ("answer B", second),
    ]
    ending = (
        "Which answer is better by the rubric? Say tie if neither is; the order of the answers means nothing."
    )
    task = TASK.format(rubric=params.rubric)
    return question(place, task=task, texts=texts, ending=ending, labels=LABELS)


def _order(place: str, found: Choice) -> dict[str, Any]:
    mine, other = ORDERS[place]
    shares = {
        "win": found.probabilities[mine],
        "tie": found.probabilities["tie"],
        "loss": found.probabilities[other],
    }
    top = max(shares.values())
    likeliest = [verdict for verdict, share in shares.items() if share == top]
    verdict = likeliest[0] if len(likeliest) == 1 else "tie"
    return {**shares, "mass": found.mass, "verdict": verdict}


def _together(orders: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first, second = orders["first"]["verdict"], orders["second"]["verdict"]
    flipped = {first, second} == {"win", "loss"}
    return {
        "verdict": first if first == second else "tie",
        "flipped": flipped,
        "favours": ("first" if first == "win" else "second") if flipped else None,
    }


def _lengths(mine: str, other: str) -> dict[str, Any]:
    longer = "neither" if len(mine) == len(other) else "answer" if len(mine) > len(other) else "baseline"
    return {"lengths": {"answer": len(mine), "baseline": len(other)}, "longer": longer}
