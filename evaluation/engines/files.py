"""What an engine leaves in a run's folder: requests.jsonl, spec.json, and answers.jsonl and events.jsonl, which grow by
whole lines."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import Any

from evaluation.engines.protocol import Answer, Request

SPEC, REQUESTS, ANSWERS, EVENTS = "spec.json", "requests.jsonl", "answers.jsonl", "events.jsonl"
KNOWN = {field.name for field in fields(Answer)}


def prepare(folder: Path, requests: Iterable[Request], spec: Mapping[str, Any]) -> int:
    """Write requests and spec, each whole or not at all; returns how many requests there are.

    What the folder has from before stays, and then `requests` are not looked at.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / REQUESTS).exists():
        building = folder / f"{REQUESTS}.building"
        with building.open("w", encoding="utf-8") as out:
            for request in requests:
                out.write(json.dumps(asdict(request), ensure_ascii=False) + "\n")
        building.rename(folder / REQUESTS)
    if not (folder / SPEC).exists():
        building = folder / f"{SPEC}.building"
        building.write_text(json.dumps(spec, indent=1, ensure_ascii=False), encoding="utf-8")
        building.rename(folder / SPEC)
    with (folder / REQUESTS).open("rb") as file:
        return sum(1 for _ in file)


class Tail:
    """Answers as the file grows; a line that a kill tore, or that is not ended yet, is none."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self.seen = path, 0, 0

    def new(self, most: int) -> Iterator[list[Answer]]:
        """Yield what came since, at most so many at a time."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            lines = (line for line in file if line.endswith(b"\n"))
            while chunk := list(islice(lines, most)):
                found = [answer for line in chunk if (answer := read(line)) is not None]
                yield found
                self._offset += sum(map(len, chunk))
                self.seen += len(found)


def warnings(folder: Path) -> Iterator[tuple[str, str]]:
    """What the engine warned of, in one line each, with the id of the target that it is about or an empty one."""
    with suppress(FileNotFoundError), (folder / EVENTS).open("rb") as file:
        for line in file:
            if b'"warning"' not in line:
                continue
            with suppress(ValueError, TypeError, KeyError):  # a line torn by a kill
                event = json.loads(line)
                if event["type"] == "warning":
                    said = event["values"]
                    yield str(said.get("checkpoint", "")), " ".join(str(said["message"]).split())


def read(line: bytes) -> Answer | None:
    """The answer of a line; None for half of one."""
    try:
        row = json.loads(line)
        return Answer(**{name: value for name, value in row.items() if name in KNOWN and value is not None})
    except (ValueError, TypeError, AttributeError):
        return None
