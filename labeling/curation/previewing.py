"""What a recipe would give, before anyone freezes: quickly, however much was judged.

Small projects are built whole. In large ones the database counts what each rule on votes drops; what the rules on texts
drop is estimated from a sample of items, and so are the example rows. Hashes decide which items are in the sample.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from django.db.models import Count, Max, Min

from labeling.curation import tallies
from labeling.curation.building import Build
from labeling.curation.recipe import DROP_WORDS, Recipe
from labeling.curation.rows import Row
from labeling.curation.sources import source_projects
from labeling.curation.splits import TEST, TRAIN, VALIDATION
from labeling.errors import RecipeRefused
from labeling.estimates import wilson_bounds
from labeling.models import Item, Judgment, Project, User

WHOLE = 1000  # items up to which a project is built whole
SAMPLE = 300  # items of a sample, about
MANY = 10  # prompts from which on it is said that most of them are alike
ON_TEXTS = (
    *("empty", "identical", "short", "long", "protected", "ngram", "near_evaluation"),
    *("no_strength", "no_best", "undecided", "divided", "nobody", "outvoted", "retrieval", "generation"),
    *("no_worse", "not_corrected", "called_good", "no_positive", "contradicted"),
)
CAPS = ("annotator_cap", "prompt_cap")


class Line(NamedTuple):
    """What a rule drops: its words, how many, and the bounds of that number where it is estimated; equal bounds are of
    a number that is about right."""

    words: str
    rows: int
    low: int | None = None
    high: int | None = None


@dataclass(slots=True)
class Preview:
    """What a recipe gives. `exact` is false where a sample stands for the whole; then `rows` is about right. `alike`
    says how many of how many prompts are near-duplicates of one another, if most are."""

    rows: int = 0
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, tuple[int, int]] = field(default_factory=dict)
    sample: list[Row] = field(default_factory=list)
    exact: bool = True
    alike: tuple[int, int] | None = None

    @property
    def lines(self) -> list[Line]:
        return [
            Line(words, self.dropped[key], *self.bounds.get(key, (None, None)))
            for key, words in DROP_WORDS.items()
            if self.dropped.get(key)
        ]


def preview(*, project: Project, recipe: Recipe, person: User | None = None, sample: int = 20) -> Preview:
    """Apply the recipe without storing anything. Raises RecipeRefused where it cannot be applied at all."""
    projects = source_projects(project, recipe, person)
    items = Item.objects.filter(project__in=projects).aggregate(
        count=Count("pk"), first=Min("pk"), last=Max("pk")
    )
    sample_of = _sample(projects, items["count"])
    try:
        with tempfile.TemporaryDirectory() as scratch:
            build = Build(
                projects=projects,
                recipe=recipe,
                newest=Judgment.objects.aggregate(newest=Max("pk"))["newest"] or 0,  # of any project: at once
                newest_item=items["last"] or 0,
                scratch=Path(scratch) / "signatures",
                items=sample_of,
            )
    except OSError as error:
        raise RecipeRefused(
            f"Near-duplicates could not be looked for ({error.strerror}); free some space and look again."
        ) from error
    found, others = Preview(), list[Row]()
    if build.texts_seen >= MANY and build.most_alike * 2 > build.texts_seen:
        found.alike = build.most_alike, build.texts_seen
    for prompt in build.prompts():
        split = found.splits.setdefault(prompt[0].row["split"], {"rows": 0, "prompts": 0})
        split["rows"] += len(prompt)
        split["prompts"] += 1
        found.rows += len(prompt)
        first, *rest = (made.row for made in prompt)
        found.sample += [first][: sample - len(found.sample)]
        others += rest[: sample - len(others)]
    found.sample += others[: sample - len(found.sample)]
    found.dropped = {key: count for key, count in sorted(build.dropped.items()) if count}
    if sample_of is None:
        return found
    counted = tallies.count(projects, recipe, items["first"], items["last"])
    parts = build.from_reviews / max(build.reviewed, 1)  # rows and reasons that an item with reviews gives
    counted[tallies.ROWS] += round(counted.pop(tallies.REVIEWED, 0) * parts)
    return _scaled(found, counted, recipe)


def _sample(projects: Sequence[Project], count: int) -> list[int] | None:
    """The items whose hashes are the lowest, about SAMPLE; None where there are so few that all can be looked at."""
    if count <= WHOLE:
        return None
    items = Item.objects.filter(project__in=projects)
    low = items.filter(content_hash__lt=f"{int(SAMPLE / count * 16**8):08x}")
    return list(low.order_by().values_list("pk", flat=True))


def _scaled(sampled: Preview, counted: Counter[str], recipe: Recipe) -> Preview:
    """The sample's shares on the database's counts: `counted` has what each rule on votes drops, and "rows" what stays
    before the rules on texts."""
    rows = counted.pop(tallies.ROWS, 0)
    dropped = {key: count for key, count in counted.items() if count and key not in ON_TEXTS}
    bounds = {key: (dropped[key], dropped[key]) for key in CAPS if key in dropped}
    on_texts = {key: count for key, count in sampled.dropped.items() if key in ON_TEXTS}
    looked_at = sampled.rows + sum(on_texts.values())
    left = rows
    for key, count in on_texts.items():
        low, high = wilson_bounds(count / looked_at, looked_at)
        dropped[key] = round(rows * count / looked_at)
        bounds[key] = round(rows * low), round(rows * high)
        left -= dropped[key]
    splits = dict(_shares(left, recipe))
    return Preview(max(left, 0), splits, dropped, bounds, sampled.sample, exact=False, alike=sampled.alike)


def _shares(rows: int, recipe: Recipe) -> Iterator[tuple[str, dict[str, int]]]:
    train = 1 - recipe.test_share - recipe.validation_share
    for split, share in ((TRAIN, train), (VALIDATION, recipe.validation_share), (TEST, recipe.test_share)):
        if share:
            yield split, {"rows": round(rows * share)}
