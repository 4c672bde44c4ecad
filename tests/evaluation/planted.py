"""A corpus with planted faults of each stage, and a deterministic model that has them: it reads three passages and no
more, trusts its memory over some, and does not do what it is told with others."""

import re
from dataclasses import replace
from typing import Any

import pytest

from evaluation.engines import ENGINES
from evaluation.engines.fake import FakeEngine
from evaluation.engines.protocol import Answer, Request
from evaluation.models import Suite
from evaluation.suites import create_suite, put_cases
from evaluation.suites.reading import read_case
from labeling.models import Project

EXACT: list[dict[str, Any]] = [{"name": "exact", "scorer": "exact", "weight": 1.0}]
COLOURS = ("crimson", "emerald", "cobalt", "amber", "violet", "ivory", "teal", "ochre")
REACH = 3  # passages that the model reads
ASKED = re.compile(r"tank (\d+)")
PASSAGE = re.compile(r"^\[\d+\] (.*)$", re.MULTILINE)
FAULTS = ("fine", "retrieval", "ranking", "grounding", "instruction")
EACH = {"fine": 16, "retrieval": 26, "ranking": 20, "grounding": 24, "instruction": 26}


def fault_of(number: int) -> str:
    """The fault that was planted in a case, in turns until there are enough of each."""
    turns = [fault for place in range(max(EACH.values())) for fault in FAULTS if place < EACH[fault]]
    return turns[number]


def colour(number: int) -> str:
    return COLOURS[number * 5 % len(COLOURS)]


def fact(number: int) -> str:
    return (
        f"The coat of paint on tank {number} is {colour(number)} and was renewed {2 + number % 7} years ago."
    )


def passages(number: int) -> list[str]:
    """What retrieval brought: others' facts, and where it did its work the right one, first or (misranked) last."""
    others = [fact(number + 200 + step) for step in range(5)]
    match fault_of(number):
        case "retrieval":
            return others
        case "ranking":
            return [*others, f"From the log book. {fact(number)} Signed by the keeper."]
        case _:
            return [fact(number), *others]


def corpus(project: Project, cases: int = sum(EACH.values())) -> Suite:
    """One case for each planted fault, the known answer a single word."""
    suite = create_suite(project=project, name="Tanks", person=None, scoring=EXACT)
    rows = [
        {
            "prompt": f"Which colour is the paint on tank {number}? Answer in one word.",
            "reference": colour(number),
            "contexts": passages(number),
            "gold": [fact(number)],
            "tags": [fault_of(number)],
            "id": f"case-{number}",
        }
        for number in range(cases)
    ]
    put_cases(suite=suite, drafts=[read_case(row) for row in rows], person=None)
    return suite


def said(prompt: str) -> str:
    """What the model says. With instruction faults it finds the colour and does not give one word, or declines; a few
    of its contradictions name the right colour, to deny it."""
    number = int(ASKED.findall(prompt.split("Question:")[-1])[0])
    read = PASSAGE.findall(prompt)[:REACH]
    own = next((text for text in read if f"tank {number} " in text), None)
    wrong = COLOURS[(COLOURS.index(colour(number)) + 1 + number % 3) % len(COLOURS)]
    match fault_of(number):
        case "grounding":
            return f"Not {colour(number)} but {wrong}." if number % 30 == 3 else f"Probably {wrong}."
        case "instruction" if number % 3 == 0:
            return "I am not able to answer that."
        case "instruction":
            return (
                "Happy to help with that."
                if own is None
                else f"Gladly: it is painted {colour(number)}, my friend."
            )
    return colour(number) if own else "unsure"


def tanks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put the model in the place of the engines; gives the list of what it is asked."""
    asked: list[str] = []

    class Tanks(FakeEngine):
        def answer(self, request: Request) -> Answer:
            asked.append(request.messages[-1]["content"])
            return replace(super().answer(request), text=said(request.messages[-1]["content"]))

    for name in ("fake", "transformers"):
        monkeypatch.setitem(ENGINES, name, Tanks)
    return asked
