"""Categories that come with imported reviews: a project gets those that it has not, with a note in its history."""

from collections.abc import Iterable, Mapping
from typing import Any

from labeling.models import CategoryChange, ErrorCategory, Project
from labeling.rag.taxonomy import locked_categories, snapshot

KNOWN = {
    "factuality": ("Factual error", "grounding"),
    "irrelevance": ("Irrelevant", "instruction"),
    "incomplete_passage": ("Incomplete passage", "instruction"),
    "unhelpful_reference": ("Reference that does not help", "instruction"),
}
UNPLACED = "_unplaced"
REASON = "Came with imported reviews."


def adopt(project: Project, reviews: Iterable[Mapping[str, Any]]) -> None:
    """Add the categories that these stored answers carry and the project has not, within the transaction that stores
    the answers."""
    used: dict[str, str] = {}
    for answer in reviews:
        for scope, part in (("span", "spans"), ("answer", "failures")):
            for one in answer.get(part) or []:
                if one.get("category"):
                    used.setdefault(one["category"], scope)
    if not used:
        return
    found = locked_categories(project)
    place = 1 + max((category.position for category in found.values()), default=-1)
    new = {key: scope for key, scope in used.items() if key not in found}
    made = [
        ErrorCategory(project=project, key=key, scope=scope, position=place + n, **_described(key, found))
        for n, (key, scope) in enumerate(new.items())
    ]
    ErrorCategory.objects.bulk_create(made)
    CategoryChange.objects.bulk_create(
        CategoryChange(project=project, action="add", after=[snapshot(one)], reason=REASON) for one in made
    )


def _described(key: str, found: Mapping[str, ErrorCategory]) -> dict[str, str]:
    """Name and stage of a key: those we know, else its own words. What could not be placed is like what could."""
    base = key.removesuffix(UNPLACED)
    words = base.replace("_", " ").strip().capitalize() or base
    name, stage = KNOWN.get(base, (words, "other"))
    if base == key:
        return {"name": name, "stage": stage}
    if base in found:
        name, stage = found[base].name, found[base].stage
    return {"name": f"{name}, not placed"[:80], "stage": stage}
