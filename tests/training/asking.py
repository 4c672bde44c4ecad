"""Folders of the answer recipe, and what is in them when it has run."""

import json
from pathlib import Path
from typing import Any

from tests.tiny_model import tiny_model
from tests.training.forked import says
from training.recipes import contract

SOMETHING = says("user", "Tell me more.")


def wanted(
    id: str, target: str = "base", kind: str = "complete", messages=None, **more: Any
) -> dict[str, Any]:
    """One request."""
    return {"id": id, "target": target, "kind": kind, "messages": messages or SOMETHING} | more


def write_asked(path: Path, requests: list[dict], targets: list[dict] | None = None, **settings: Any) -> Path:
    """A folder for the recipe; where nobody is named, those that are asked are bases."""
    path.mkdir()
    names = dict.fromkeys(request["target"] for request in requests)
    asked = {"targets": targets or [{"id": name} for name in names]}
    if settings.get("engine") == "openai":
        asked = {"endpoints": targets}
    spec = {"method": "answer", "engine": "transformers", "base": str(tiny_model())} | asked | settings
    (path / "spec.json").write_text(json.dumps(spec))
    (path / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in requests))
    return path


def answers(path: Path) -> dict[str, dict]:
    """Answers by their ids; none may be there twice."""
    rows = contract.read_lines(path / "answers.jsonl")
    assert len({row["id"] for row in rows}) == len(rows), "a request was answered twice"
    return {row["id"]: row for row in rows}
