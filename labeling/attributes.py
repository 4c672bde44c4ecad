"""The scales on which a project has responses rated: presets, bounds, and what answers forbid to change."""

import re
from collections.abc import Sequence
from typing import Any

from labeling.errors import Refused
from labeling.models import Judgment, Project, Task
from labeling.values import Attribute

MOST, MOST_STEPS, FARTHEST = 10, 20, 100
KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")


def _scales(low: int, high: int, *words: str) -> list[Attribute]:
    return [{"key": word.lower(), "words": word, "low": low, "high": high} for word in words]


PRESETS: dict[str, tuple[str, list[Attribute]]] = {
    "helpsteer": (
        "HelpSteer: helpfulness, correctness, coherence, complexity, verbosity, each 0 to 4",
        _scales(0, 4, "Helpfulness", "Correctness", "Coherence", "Complexity", "Verbosity"),
    ),
    "summary": (
        "Summaries: overall, accuracy, coverage, coherence, each 1 to 7",
        _scales(1, 7, "Overall", "Accuracy", "Coverage", "Coherence"),
    ),
    "quality": ("One scale: overall quality, 1 to 7", _scales(1, 7, "Quality")),
}


def key_of(words: str) -> str:
    """A key made of the words: "Factual accuracy" is factual_accuracy."""
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:40]


def checked(rows: Sequence[dict[str, Any]]) -> list[Attribute]:
    """The attributes as they are stored; a row without a key gets one from its words. Raises Refused with a sentence
    that names the row where one is not an attribute."""
    found: list[Attribute] = []
    for row in rows:
        words = str(row.get("words") or "").strip()
        key = str(row.get("key") or "").strip() or key_of(words)
        low, high = row.get("low"), row.get("high")
        if not words or len(words) > 60:
            raise Refused(f"An attribute is called {words[:80]!r}; give each a name of up to 60 characters.")
        if not KEY.fullmatch(key):
            raise Refused(
                f"The key of {words} is {key[:60]!r}; begin with a letter, then small letters, digits and _."
            )
        if not isinstance(low, int) or not isinstance(high, int) or not 0 < high - low <= MOST_STEPS:
            raise Refused(
                f"{words} goes from {low} to {high}; give two whole numbers, the second higher than the first "
                f"by {MOST_STEPS} at most."
            )
        if max(abs(low), abs(high)) > FARTHEST:
            raise Refused(f"{words} goes from {low} to {high}; stay between -{FARTHEST} and {FARTHEST}.")
        if any(other["key"] == key for other in found):
            raise Refused(f"The key {key!r} is given twice; each attribute needs one of its own.")
        found.append({"key": key, "words": words, "low": low, "high": high})
    if len(found) > MOST:
        raise Refused(f"There are {len(found)} attributes; {MOST} are the most that people can rate.")
    return found


def refuse_redefined(project: Project, wanted: Sequence[Attribute]) -> None:
    """Raise Refused where an attribute that people have rated already would change or go: their numbers would come to
    mean something else."""
    new = {attribute["key"]: attribute for attribute in wanted}
    for old in project.attributes:
        if new.get(old["key"]) == old or not _answered(project, old["key"]):
            continue
        raise Refused(
            f"{old['words']} ({old['low']} to {old['high']}) has been rated already, so it stays as it is; "
            "add another attribute with a key of its own instead."
        )


def preset(project: Project, name: str) -> list[Attribute]:
    """The attributes of a preset, after those of the project that have been rated and therefore stay. Raises Refused
    where there is no such preset."""
    if name not in PRESETS:
        raise Refused(f"The preset given is {name[:60]!r}; choose one of {', '.join(PRESETS)}.")
    stay = [attribute for attribute in project.attributes if _answered(project, attribute["key"])]
    keys = {attribute["key"] for attribute in stay}
    return stay + [attribute for attribute in PRESETS[name][1] if attribute["key"] not in keys]


def _answered(project: Project, key: str) -> bool:
    rows = Judgment.objects.filter(project=project, kind=Task.RATING, answer__ratings__has_key=key)
    return rows.order_by().exists()
