"""Answers as a form or a call sends them, read as the kind that a project asks for."""

import json
from typing import Any

from pydantic import ValidationError

from labeling.errors import Refused
from labeling.rag.answers import RagAnswer
from labeling.values import (
    LONGEST_TEXT,
    Answer,
    DemonstrationAnswer,
    EditAnswer,
    PairwiseAnswer,
    RankingAnswer,
    RatingAnswer,
)

KINDS: dict[str, type[Answer]] = {
    kind.kind: kind
    for kind in (PairwiseAnswer, RankingAnswer, RatingAnswer, DemonstrationAnswer, EditAnswer, RagAnswer)
}
ASKED = {
    "pairwise": "choose first, second, tie or both_bad",
    "ranking": "put every response in order",
    "rating": "rate every response",
    "demonstration": "write a response",
    "edit": "improve a response",
    "rag": "say whether the answer is good or bad",
}


def read_answer(values: dict[str, Any], *, task: str = "pairwise") -> Answer:
    """Check an answer from a form or an API call. Raises Refused with a sentence."""
    try:
        return KINDS[task].model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "answer"
        given = "nothing" if first["type"] == "missing" or not first["input"] else repr(first["input"])[:100]
        raise Refused(f"The {name} given is {given}; {ASKED[task]}, then submit again.") from error


def read_draft(values: dict[str, Any], *, task: str) -> dict[str, Any]:
    """The fields of an unfinished answer, as far as they go. Raises Refused where it is too long to be one."""
    kept = {name: values[name] for name in KINDS[task].model_fields if values.get(name) not in (None, "", {})}
    if len(json.dumps(kept)) > 2 * LONGEST_TEXT:
        raise Refused(f"The draft is longer than {LONGEST_TEXT:,} characters; shorten it.")
    return kept
