"""A judge that reads one answer by a rubric. Its judgment is the probabilities of its labels, never parsed text."""

from itertools import permutations
from typing import Any, ClassVar

from pydantic import Field, field_validator

from evaluation.scorers.base import Ask, Facts, Given, Mark, Need, Params, Scorer
from evaluation.scorers.judging import choice, conversation, numbered, question

MOST_LABELS = 20  # what engines give probabilities for
TASK = "You judge the last answer in a conversation by this rubric, and by nothing else.\n\nRUBRIC\n{rubric}"


class RubricParams(Params):
    rubric: str = Field(
        default="Is the answer correct, and does it help the person who asked?",
        min_length=1, max_length=20_000, description="What the judge decides, in words.",
    )  # fmt: skip
    labels: dict[str, float] = Field(
        default_factory=lambda: {"yes": 1.0, "no": 0.0},
        description="The words that the judge chooses among, each with its value from 0 to 1.",
    )
    reference: bool = Field(default=False, description="Show the judge the reference answer.")
    contexts: bool = Field(default=False, description="Show the judge the contexts.")

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: dict[str, float]) -> dict[str, float]:
        return checked_labels(labels)


def checked_labels(labels: dict[str, float]) -> dict[str, float]:
    """Labels that a judge can choose among; ValueError with a sentence otherwise.

    A judge is read at the words that it begins to say, so no label may begin another one: use 0 to 9, not 1 to 10.
    """
    words = [word.casefold() for word in labels]
    if not 2 <= len(labels) <= MOST_LABELS:
        raise ValueError(f"there are {len(labels)} labels; give 2 to {MOST_LABELS}")
    if any(not word or word != word.strip() or "\n" in word for word in words):
        raise ValueError("a label is empty or has white space around it; give words such as yes and no")
    if wrong := [label for label, value in labels.items() if not 0 <= value <= 1]:
        raise ValueError(f"the label {wrong[0]} has the value {labels[wrong[0]]}; values go from 0 to 1")
    if len(set(labels.values())) == 1:
        raise ValueError("all labels have the same value, so nothing is judged; give different ones")
    for one, other in permutations(words, 2):
        if other.startswith(one):
            raise ValueError(f"the label {one} begins the label {other}; choose words that begin differently")
    return labels


class Rubric(Scorer):
    """Σ p·value over the labels, from 0 to 1, p renormalised over them. Detail: `probabilities`, `mass`.

    The expectation over labels is that of G-Eval (Liu et al. 2023, arXiv 2303.16634). Less than half of the judge's
    probability on its labels is an error.
    """

    key = "rubric"
    label = "Rubric by a judge"
    about = "A model judges each answer by your rubric; its doubt is kept, as a number from 0 to 1."
    needs = frozenset({Need.ANSWER, Need.JUDGE})
    judge_kind = "rubric"
    Params: ClassVar[type[Params]] = RubricParams

    def needed(self, params: Any) -> frozenset[Need]:
        return self.needs | extra(params)

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        texts = [
            ("conversation", conversation(case.messages)),
            *shown(case, params),
            ("answer", given.text or ""),
        ]
        ending = "Judge the answer by the rubric."
        task = TASK.format(rubric=params.rubric)
        return [question("rubric", task=task, texts=texts, ending=ending, labels=tuple(params.labels))]

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        found = choice(given, "rubric", tuple(params.labels))
        value = sum(found.probabilities[label] * worth for label, worth in params.labels.items())
        return Mark(value, detail={"probabilities": dict(found.probabilities), "mass": found.mass})


def extra(params: Any) -> frozenset[Need]:
    """What a judge must be shown beside the answer."""
    return frozenset(
        need
        for need, wanted in ((Need.REFERENCE, params.reference), (Need.CONTEXTS, params.contexts))
        if wanted
    )


def shown(case: Facts, params: Any) -> list[tuple[str, str]]:
    texts = [("contexts", numbered(case.contexts))] if params.contexts else []
    return [*texts, ("reference answer", case.reference or "")] if params.reference else texts
