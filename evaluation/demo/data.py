"""PandaLM's human votes: the rows to import, and what each of its three annotators said of each."""

import gzip
import json
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from labeling.values import Verdict

BUNDLED = Path(__file__).with_name("pandalm-part.json.gz")
VOTERS = ("annotator1", "annotator2", "annotator3")
PUBLISHED_KAPPA = {("bea", "ben"): 0.85, ("ben", "bo"): 0.88, ("bea", "bo"): 0.86}

Key = tuple[str, frozenset[str]]


def find_file(*, whole: bool = True) -> Path:
    """The whole test set where the folder is there and wanted, else the part that comes with the project."""
    path = Path(settings.PREFLOOP_DATA) / "pandalm" / "testset-v1.json"
    return path if whole and path.is_file() else BUNDLED


def read(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return rows


def plain(text: Any) -> str:
    """A text as it can be recognised on a page: white space evened out."""
    return " ".join(str(text).split())


@dataclass(slots=True)
class Votes:
    """One annotator's votes, found again by the texts on the screen.

    Some rows show the same texts (two models may answer alike); all annotators meet them in the same order, so each
    takes the votes of such rows one after another.
    """

    _by_texts: dict[Key, deque[str | None]]

    @classmethod
    def of(cls, voter: str, rows: list[dict[str, Any]]) -> "Votes":
        votes: dict[Key, deque[str | None]] = defaultdict(deque)
        for row in rows:
            first, second = plain(row["response1"]), plain(row["response2"])
            prompt = plain(f"{row['instruction']} {row['input']}")
            votes[prompt, frozenset((first, second))].append({0: None, 1: first, 2: second}[row[voter]])
        return cls(dict(votes))

    def verdict(self, prompt: str, first: str, second: str) -> Verdict:
        """first, second or tie, for the texts in the order in which they are shown."""
        shown = plain(first), plain(second)
        preferred = self._by_texts[plain(prompt), frozenset(shown)].popleft()
        if preferred is None:
            return "tie"
        return "first" if shown[0] == preferred else "second"
