"""Which half of a RAG system a review blames: what was found, or what was made of it. A judgment trains one of them."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Blamed = Literal["retrieval", "generation"]
RETRIEVING = ("retrieval", "ranking")
NOBODY = ("gold",)


def stage_of(answer: Mapping[str, Any], stages: Mapping[str, str]) -> Blamed | None:
    """ "retrieval" where any category of retrieval or ranking is flagged or a passage is given that should have been
    found, else "generation" where any other error is or the answer is called bad, else None. `stages` is category
    key → stage; retired keys belong in it too.

    A mislabelled known answer is nobody's fault: with nothing else flagged it gives None.
    """
    flagged = [stages.get(key, "other") for key in categories_in(answer)]
    if answer.get("missed") or any(stage in RETRIEVING for stage in flagged):
        return "retrieval"
    unnamed = any(not span.get("category") and not span.get("chunks") for span in answer.get("spans") or [])
    bad = answer.get("verdict") == "bad" and not flagged
    return "generation" if unnamed or bad or any(stage not in NOBODY for stage in flagged) else None


def categories_in(answer: Mapping[str, Any]) -> Iterator[str]:
    """The keys of all categories that a stored answer flags, of spans first, each as often as it is there."""
    for part in [*(answer.get("spans") or []), *(answer.get("failures") or [])]:
        if part.get("category"):
            yield part["category"]
