"""The pairwise items of the benchmarks, the same for every product: as long as those of PandaLM are at the median."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SENTENCE = "A considered answer takes a few sentences, as the median response of PandaLM does. "
LONG = SENTENCE * 4


def pair(number: int) -> tuple[str, str, str]:
    """Prompt, first and second response of one item."""
    return f"Question {number}: {LONG}", f"{LONG}One, of {number}.", f"{LONG}Two, of {number}."


def row(number: int) -> dict[str, Any]:
    """An item as a row of a file that we import."""
    prompt, *texts = pair(number)
    origins = zip(texts, "ab", strict=True)
    return {"prompt": prompt, "responses": [{"text": text, "origin": origin} for text, origin in origins]}


def lines(start: int, count: int) -> Iterator[str]:
    return (json.dumps(row(number)) + "\n" for number in range(start, start + count))


def write(path: Path, start: int, count: int) -> Path:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(lines(start, count))
    return path
