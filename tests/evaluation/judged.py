"""Pairs that people decided, and judges whose ways are known: one that is right, one that likes a place."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from evaluation.engines import ENGINES
from evaluation.engines.fake import FakeEngine
from evaluation.engines.protocol import Answer, Request
from evaluation.judges import VersionDraft, create_judge
from evaluation.models import Judge, JudgeVersion
from labeling.models import DatasetVersion, Project
from tests import world
from tests.training.runs import root_checkpoint

SHOWN = re.compile(r"BEGIN ANSWER(?: [AB])? \w+\n(.*?)\nEND ANSWER", re.DOTALL)
Way = Callable[[list[str], Request], dict[str, float]]


class Called:
    """How often the judges of a test were asked, and after how many answers the next one dies."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}
        self.lengths: dict[str, int] = {}  # by who was asked, the tokens of a row


def judge_by(
    monkeypatch: pytest.MonkeyPatch, way: Way, *, mass: float = 0.9, called: Called | None = None
) -> Called:
    """Let every judge choose by `way`: the answers that it is shown, and the request → a weight for each label."""
    bill = called or Called()

    class Judging(FakeEngine):
        def __init__(self) -> None:
            super().__init__(**bill.options)

        def ask(self, **told: Any) -> None:
            bill.lengths |= {target.id: told["limits"].max_length for target in told["targets"]}
            super().ask(**told)

        def answer(self, request: Request) -> Answer:
            bill.asked.append(request.id)
            found = super().answer(request)
            if request.kind != "choose":
                return found
            weights = way(SHOWN.findall(request.messages[-1]["content"]), request)
            total = sum(weights.values())
            return replace(found, probabilities={k: v / total for k, v in weights.items()}, mass=mass)

    monkeypatch.setitem(ENGINES, "fake", Judging)
    return bill


def is_good(text: str) -> bool:
    return text.startswith("good")


def by_quality(shown: list[str], request: Request) -> dict[str, float]:
    """Always right, and sure of it."""
    if len(shown) == 1:
        return {"yes": 0.9, "no": 0.1} if is_good(shown[0]) else {"yes": 0.2, "no": 0.8}
    return {"A": 0.9, "B": 0.05, "tie": 0.05} if is_good(shown[0]) else {"A": 0.05, "B": 0.9, "tie": 0.05}


def by_place(shown: list[str], request: Request) -> dict[str, float]:
    """Whatever stands first wins."""
    return {"A": 0.8, "B": 0.1, "tie": 0.1}


def decided(project: Project, count: int = 60) -> DatasetVersion:
    """A frozen version of pairs of which people chose the good one; the bad one is longer in every third."""
    drafts = [
        world.draft(
            number,
            prompt=f"Task {number}: name a colour that begins with {chr(97 + number % 26)}{number}",
            first=f"good answer number {number}",
            second=f"bad {number}" + " and a longer tail" * (number % 3 == 0),
        )
        for number in range(count)
    ]
    world.put(project, *drafts)
    world.judge_all(project, world.person("ben"))
    return world.frozen(project, near_duplicates=None)


def a_judge(project: Project, kind: str = Judge.Kind.PAIRWISE, **changes: Any) -> JudgeVersion:
    """A judge of the tiny base model, asked by the engine of the test."""
    draft = VersionDraft(
        **{
            "rubric": "Is it right?",
            "labels": {"yes": 1.0, "no": 0.0},
            "checkpoint": root_checkpoint("tiny"),
            "engine": "fake",
            **changes,
        }
    )
    return create_judge(
        project=project, name=f"Correctness {kind}", kind=kind, draft=draft, person=world.person("emma")
    )
