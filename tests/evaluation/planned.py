"""Suites of short questions, checkpoints that only exist by name, and an engine that counts what it is asked."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from evaluation.engines import ENGINES
from evaluation.engines.fake import FakeEngine
from evaluation.models import Suite
from evaluation.suites import create_suite, put_cases
from evaluation.suites.reading import read_case
from labeling.models import Project
from tests.training.runs import root_checkpoint
from training.models import Checkpoint

EXACT: list[dict[str, Any]] = [
    {"name": "exact", "scorer": "exact", "weight": 1.0},
    {"name": "chrf", "scorer": "chrf"},
    {"name": "perplexity", "scorer": "perplexity"},
]


class Bill:
    """What all engines of a test were asked, and how the next one behaves."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}


def counting(monkeypatch: pytest.MonkeyPatch) -> Bill:
    """Put an engine that counts in the place of those that load weights."""
    bill = Bill()

    class Counting(FakeEngine):
        def __init__(self) -> None:
            super().__init__(**bill.options)

        def answer(self, request: Any) -> Any:
            bill.asked.append(request.id)
            return super().answer(request)

    for name in ("fake", "transformers"):
        monkeypatch.setitem(ENGINES, name, Counting)
    return bill


def a_suite(
    project: Project,
    *,
    cases: int = 12,
    scoring: Iterable[dict[str, Any]] = EXACT,
    name: str = "Questions",
    **fields: Any,
) -> Suite:
    """A suite of questions with one-word references; every third is tagged "third"."""
    suite = create_suite(project=project, name=name, person=None, scoring=list(scoring))
    rows = [
        {
            "prompt": f"{name} question {number}?",
            "reference": "red",
            "tags": ["third"] if number % 3 == 0 else ["rest"],
            **fields,
        }
        for number in range(cases)
    ]
    put_cases(suite=suite, drafts=[read_case(row) for row in rows], person=None)
    return suite


def warning(monkeypatch: pytest.MonkeyPatch, about: str) -> str:
    """Let the engine of tests warn of the target of this id, twice and with a torn line after it; the words are given
    back."""
    words = "The adapter gives the base model's log-probabilities: its weights are zero."
    engine: Any = ENGINES["fake"]

    class Warning(engine):  # type: ignore[misc]
        def ask(self, *, folder: Path, **told: Any) -> None:
            folder.mkdir(parents=True, exist_ok=True)
            event = {"type": "warning", "step": 0, "values": {"checkpoint": about, "message": words}}
            lines = f"{json.dumps(event)}\n" * 2 + '{"type": "progress"}\n{"type": "warning", "val'
            (folder / "events.jsonl").write_text(lines)
            super().ask(folder=folder, **told)

    monkeypatch.setitem(ENGINES, "fake", Warning)
    return words


def tuned(project: Project, name: str = "tuned", base: str = "tiny") -> Checkpoint:
    """An adapter on a base, of which there is no file."""
    root = root_checkpoint(base)
    return Checkpoint.objects.create(
        project=project,
        base=root.base,
        parent=root,
        name=name,
        kind=Checkpoint.Kind.ADAPTER,
        path=str(Path("/nowhere") / name),
        content_hash=name.encode().hex().ljust(64, "0")[:64],
    )
