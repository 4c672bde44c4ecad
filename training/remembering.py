"""The texts by which a run shows what its model forgets: general ones that come along, or those of the deployment."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from labeling.errors import Refused

BUNDLED = Path(__file__).parent / "data"
SOURCES = ("gsm8k", "open-assistant", "self-instruct-seed", "vicuna-bench")  # licences: data/SOURCE.md
PER_SOURCE, MOST = 8, 256


def retention_texts() -> list[str]:
    """The texts to score before and after a run. Raises Refused where the deployment's own cannot be read."""
    own = settings.PREFLOOP_RETENTION_TEXTS
    if not own:
        return [text for source in SOURCES for text in _bundled(source)]
    try:
        with Path(own).open(encoding="utf-8") as file:
            texts = [json.loads(line)["text"] for line in file if line.strip()][:MOST]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"The retention texts of PREFLOOP_RETENTION_TEXTS cannot be read ({error}); give a file with "
            'one {"text": "…"} a line, or leave the setting empty.'
        ) from error
    if not all(isinstance(text, str) for text in texts):
        raise Refused('A line of PREFLOOP_RETENTION_TEXTS has no text; give one {"text": "…"} a line.')
    return texts


def _bundled(source: str) -> Iterator[str]:
    """Texts evenly out of a bundled file."""
    with gzip.open(BUNDLED / f"{source}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows[:: max(1, len(rows) // PER_SOURCE)][:PER_SOURCE]:
        yield f"{row['prompt']}\n\n{row['answer']}"
