"""Scoring by transformers in a child process, on CPU or GPU: the default where no server is configured."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluation.engines.protocol import Interrupted, ScoreAnswer, ScoreRequest
from labeling.errors import Refused
from training.models import Checkpoint
from training.processes import BUSY, STOPPED, failure_words, killed_words, run_recipe
from training.registry import read_result

SCORES = "scores.jsonl"


class TransformersEngine:
    """Runs `training.recipes.score`: the base is loaded once, its adapters are swapped in."""

    def score(
        self,
        *,
        requests: Sequence[ScoreRequest],
        checkpoints: Sequence[Checkpoint],
        folder: Path,
        watch: Callable[[int, int], None],
    ) -> Iterator[ScoreAnswer]:
        _prepare(folder, requests, checkpoints)
        total = len(requests) * len(checkpoints)
        tail = _Count(folder / SCORES)
        code = run_recipe("score", folder, lambda: watch(tail.lines(), total))
        if read_result(folder) is None:
            if code in (STOPPED, BUSY) or code < 0:
                raise Interrupted(killed_words(code))
            raise Refused(failure_words(folder, code))
        return _answers(folder / SCORES)


def _prepare(folder: Path, requests: Sequence[ScoreRequest], checkpoints: Sequence[Checkpoint]) -> None:
    if (folder / "spec.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "requests.jsonl").open("w", encoding="utf-8") as out:
        for request in requests:
            row = {"id": request.id, "messages": request.messages, "completion": request.completion}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    spec = {
        "method": "score",
        "base": checkpoints[0].base.location,
        "checkpoints": [_weights(checkpoint) for checkpoint in checkpoints],
    }
    building = folder / "spec.json.building"
    building.write_text(json.dumps(spec, indent=1), encoding="utf-8")
    building.rename(folder / "spec.json")


def _weights(checkpoint: Checkpoint) -> dict[str, Any]:
    kind = checkpoint.kind
    return {
        "id": str(checkpoint.pk),
        "adapter": checkpoint.path if kind == Checkpoint.Kind.ADAPTER else None,
        "model": checkpoint.path if kind == Checkpoint.Kind.FULL else None,
    }


def _answers(path: Path) -> Iterator[ScoreAnswer]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield ScoreAnswer(row["id"], int(row["checkpoint"]), row["logprob"], row["tokens"])


class _Count:
    """How many lines a growing file has."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._lines = path, 0, 0

    def lines(self) -> int:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return 0
        self._offset += len(data)
        self._lines += data.count(b"\n")
        return self._lines
