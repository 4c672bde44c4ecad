"""Going on after memory ran out: half the rows at a time, and as many in a step as before.

A "retry" event says what a run goes on with. The recipe writes it when torch has no memory left, the worker when the
kernel has killed the recipe; the recipe reads the newest one when it starts. Standard library only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.recipes import contract

MOST_PASSES = 1024  # as the spec allows
FEWEST_ROWS = {"kto": 2}  # its KL is estimated within a batch


def newest_retry(path: Path) -> dict[str, int]:
    """Return the batch_size and gradient_accumulation that a run goes on with; empty where memory never ran out."""
    for event in reversed(contract.read_lines(path / "events.jsonl")):
        if event.get("type") == "retry":
            return {name: event["values"][name] for name in ("batch_size", "gradient_accumulation")}
    return {}


def smaller(method: str, rows: int, passes: int) -> dict[str, Any] | None:
    """Return the values of a retry event after `passes` batches of `rows` were too much; None where nothing is less."""
    half = rows // 2
    more = round(rows * passes / half) if half else 0
    if half < FEWEST_ROWS.get(method, 1) or more > MOST_PASSES:
        return None
    message = (
        f"Memory ran out with batches of {rows} rows; the run goes on with batches of {half} and "
        f"gradient_accumulation {more}, so that a step still sees as many rows."
    )
    return {"batch_size": half, "gradient_accumulation": more, "message": message}


def smallest_words(method: str) -> str:
    """The sentence for a run that ran out of memory with the smallest batch that there is."""
    return (
        f"The machine ran out of memory even with batches of {FEWEST_ROWS.get(method, 1)}; lower max_length, or choose "
        "LoRA, QLoRA or a smaller base model."
    )
