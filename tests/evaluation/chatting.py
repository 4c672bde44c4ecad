"""Short verbs for the playground: conversations, and a recipe process that is only pretended."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from evaluation.engines import fake
from evaluation.engines.protocol import Request, Sampling
from evaluation.models import Conversation, Reply, Serving, Turn
from evaluation.playground import ask, begin, serve, serving
from labeling.lifecycle import Status
from labeling.models import Project
from tests import world
from tests.training.runs import root_checkpoint, write_event
from training.recipes import contract


class Chatter:
    """Stands for the process: answers what it finds asked, and ends when nothing is owed any more.

    `says` makes the text of an answer, `meanwhile` is called when one is half written, `dies_at` is the answer (from 1)
    at which the process is killed.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.folders: list[Path] = []
        self.environments: list[dict[str, str]] = []
        self.told: list[dict[str, Any]] = []
        self.dies_at: int | None = None
        self.says: Callable[[dict[str, Any]], str] = spoken
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(
        self,
        recipe: str,
        folder: Path,
        watch: Callable[[], None],
        environment: Any = None,
        every: float = 0.0,
    ) -> int:
        assert recipe == "chat"
        self.folders.append(folder)
        self.environments.append(dict(environment or {}))
        (folder / "live").mkdir(exist_ok=True)
        write_event(folder, "ready")
        while True:
            watch()
            lines = contract.read_lines(folder / "requests.jsonl")
            known = {row["id"] for row in contract.read_lines(folder / "answers.jsonl")}
            todo = [row for row in lines if "messages" in row and row["id"] not in known]
            if not todo:
                break
            for row in todo:
                self.asked.append(row)
                if len(self.asked) == self.dies_at:
                    return -9
                self._answer(folder, row, watch)
        self.told = contract.read_lines(folder / "requests.jsonl")
        (folder / "result.json").write_text(json.dumps({"status": "succeeded"}))
        watch()
        return 0

    def _answer(self, folder: Path, row: dict[str, Any], watch: Callable[[], None]) -> None:
        text = self.says(row)
        (folder / "live" / f"{row['id']}.txt").write_text(text[: len(text) // 2])
        self.meanwhile()
        watch()
        stops = {line.get("stop") for line in contract.read_lines(folder / "requests.jsonl")}
        finish = "stopped" if row["id"] in stops else "stop"
        said = {"text": text[: len(text) // 2] if finish == "stopped" else text, "finish": finish}
        known = {"id": row["id"], "target": row["target"], "kind": "complete", "tokens": 3, "ms": 12.0}
        contract.append_line(folder / "answers.jsonl", json.dumps(known | said))


def spoken(row: dict[str, Any]) -> str:
    sampling = Sampling(**row["sampling"] | {"stop": ()})
    request = Request(row["id"], row["target"], "complete", row["messages"], sampling=sampling)
    return f"{row['target']} says {fake.answer(request).text}"


def pretended(monkeypatch: pytest.MonkeyPatch) -> Chatter:
    chatter = Chatter()
    monkeypatch.setattr(serving, "run_recipe", chatter)
    return chatter


def talk(project: Project, who: str = "ada", *, two: bool = True, **options: Any) -> Conversation:
    """A conversation with "before" and "after", or with "before" alone; neither has files."""
    sources = [root_checkpoint("before"), root_checkpoint("after")][: 2 if two else 1]
    return begin(project=project, person=world.person(who), sources=sources, **options)


def served(conversation: Conversation) -> Serving:
    """Let a worker take up what waits."""
    serve(Serving.objects.get(conversation=conversation, status=Status.QUEUED))
    return Serving.objects.filter(conversation=conversation).order_by("pk").last()  # type: ignore[return-value]


def answered(conversation: Conversation, text: str = "Hello?", **options: Any) -> Turn:
    """A turn with its answers."""
    turn = ask(conversation=conversation, text=text, **options)
    served(conversation)
    return Turn.objects.select_related("conversation__project").get(pk=turn.pk)


def said(turn: Turn) -> dict[int, Reply]:
    """The replies by the index of their voice."""
    return {reply.voice.index: reply for reply in turn.replies.select_related("voice")}


def settings_of(row: dict[str, Any]) -> dict[str, Any]:
    return asdict(Sampling(**row["sampling"] | {"stop": ()}))
