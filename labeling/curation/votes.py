"""The judgments that a recipe takes, in an order that no database and no clock decides.

Votes come by prompt: what a cap, a contradiction or a split needs to see together lies together, and memory is that of
one prompt's items however many there are.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import models
from django.db.models import Exists, OuterRef, TextField
from django.db.models.functions import Cast, Substr

from labeling.compiled import among
from labeling.curation.recipe import PAIRED, Recipe
from labeling.judged import stored_ratings
from labeling.models import (
    Assignment,
    Gold,
    Item,
    Judgment,
    Project,
    Purpose,
    Resolution,
    ReviewState,
    Withdrawal,
)

CHUNK = 500  # items whose payload is in memory at a time
COMPARING = ("pairwise", "ranking", "rating")
WRITING = ("demonstration", "edit")
REVIEW = "rag"  # of one answer and the chunks that it was made from
TAKEN = {
    **dict.fromkeys(PAIRED, (*COMPARING, "edit", REVIEW)),
    **dict.fromkeys(("sft", "text", "unpaired"), (*COMPARING, *WRITING, REVIEW)),
    "retriever": (REVIEW,),
}
SYNTHETIC = Cast("item__synthetic", models.IntegerField())  # SQLite's own value: the ORM would convert each
COLUMNS = (
    *("item_id", "item__content_hash", "item__prompt_hash", "item__project__slug"),
    *("item__licence", SYNTHETIC, "id", "revision", "person_id", "guideline_id"),
    *("kind", "label", "strength", "assignment__review"),
)


class Vote(NamedTuple):
    """One judgment as the recipe sees it; its texts are not read for it."""

    item_id: int
    item_hash: str
    prompt_hash: str
    project: str
    licence: str
    synthetic: int
    judgment_id: int
    revision: int
    person_id: int
    guideline_id: int | None
    kind: str
    label: str
    strength: int | None
    review: str
    left: str  # the position that stood on the left of a comparison; not a digit where that is not known


class Judged(NamedTuple):
    """One item with the votes that count, or the reason why it gives no row."""

    item_id: int
    votes: list[Vote]
    settled: str | None
    dropped: str | None


def current_judgments(project: Project, purpose: Purpose = Purpose.WORK) -> models.QuerySet[Judgment]:
    """The latest revision of every judgment of a project, without those that a reviewer sent back.

    Answers to known items and repeats are for checking people; only work is ever counted or exported.
    """
    return _current(Judgment.objects.filter(project=project, purpose=purpose))


def _current(judgments: models.QuerySet[Judgment], newest: int | None = None) -> models.QuerySet[Judgment]:
    """The latest revisions, as they were when `newest` was the last judgment."""
    later = Judgment.objects.filter(assignment=OuterRef("assignment"), revision__gt=OuterRef("revision"))
    if newest is not None:
        judgments, later = judgments.filter(pk__lte=newest), later.filter(pk__lte=newest)
    return judgments.filter(~Exists(later)).exclude(assignment__review=ReviewState.RETURNED)


def counted_judgments(
    projects: Sequence[Project], recipe: Recipe, newest: int | None = None
) -> models.QuerySet[Judgment]:
    """The judgments up to `newest` that a recipe looks at: of its kinds, current, not withdrawn."""
    found = Judgment.objects.filter(
        project__in=projects, purpose=Purpose.WORK, kind__in=TAKEN.get(recipe.kind, ())
    )
    people, items = withdrawn(projects)
    found = found.exclude(person__in=people) if people else found
    found = found.exclude(item__in=items) if items else found
    return _current(found, newest)


def refused(vote: Vote, recipe: Recipe, *, is_open: bool) -> str | None:
    """What the item itself says against it, None where nothing does."""
    if recipe.licences is not None and vote.licence not in recipe.licences:
        return "licence"
    if vote.synthetic and recipe.synthetic == "exclude":
        return "synthetic"
    if not vote.synthetic and recipe.synthetic == "only":
        return "human"
    return "open" if is_open and recipe.complete else None


def open_slots() -> models.QuerySet[Assignment]:
    """The slots of items that somebody has, or may still be given."""
    return Assignment.objects.filter(
        purpose=Purpose.WORK, submitted_at__isnull=True, skipped_at__isnull=True
    ).order_by()


def open_parts(projects: Sequence[Project]) -> tuple[models.QuerySet[Any], ...]:
    """The open slots of these projects in parts that each have an index of their own, and their known answers, by which
    people are still checked. All have an `item_id`."""
    slots = open_slots().filter(project__in=projects)
    known = Gold.objects.filter(project__in=projects).order_by()
    return slots.filter(person__isnull=True), slots.filter(person__isnull=False), known


class Votes:
    """The votes of a recipe's projects up to the `newest` judgment, or on these `items` only.

    `dropped` counts what its rules on votes left out.
    """

    def __init__(
        self,
        projects: Sequence[Project],
        recipe: Recipe,
        newest: int | None = None,
        *,
        items: Sequence[int] | None = None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._any_settled = Resolution.objects.filter(project__in=projects).exists()
        self._any_open = recipe.complete and any(part.exists() for part in open_parts(projects))
        self._projects, self._recipe, self._newest = projects, recipe, newest
        self._items = items
        self._given: Counter[int] = Counter()

    def chunks(self) -> Iterator[list[list[Judged]]]:
        """Lists of prompts, each a list of its items in the order of their hashes; about CHUNK items at a time."""
        prompts: list[list[list[Vote]]] = []
        items = 0
        for _, group in itertools.groupby(self._read(), key=lambda vote: vote.prompt_hash):
            prompts.append(_by_item(group))
            items += len(prompts[-1])
            if items >= CHUNK:
                yield self._ready(prompts)
                prompts, items = [], 0
        if prompts:
            yield self._ready(prompts)

    def _read(self) -> Iterator[Vote]:
        """In the order of the prompts' hashes alone: databases differ in how they sort everything else."""
        found = counted_judgments(self._projects, self._recipe, self._newest)
        if self._items is not None:
            found = among(found, "labeling_judgment.item_id", self._items)
        yield from read_votes(found.order_by("item__prompt_hash", "item__content_hash", "item", "id"))

    def _ready(self, prompts: list[list[list[Vote]]]) -> list[list[Judged]]:
        ids = [votes[0].item_id for items in prompts for votes in items]
        open_items = set()
        if self._any_open:
            slots = among(open_slots(), "labeling_assignment.item_id", ids)
            open_items = set(slots.values_list("item_id", flat=True))
            known = among(Gold.objects.order_by(), "labeling_gold.item_id", ids)
            open_items |= set(known.values_list("item_id", flat=True))  # people are still checked by them
        settled = _settled(ids) if self._any_settled else {}
        ratings = [vote for items in prompts for votes in items for vote in votes if vote.kind == "rating"]
        rated = _rated(ratings) if ratings else None
        return [
            [self._judged(votes, settled.get(votes[0].item_id), open_items, rated) for votes in items]
            for items in prompts
        ]

    def _judged(
        self, votes: list[Vote], settled: str | None, open_items: set[int], rated: dict[int, str] | None
    ) -> Judged:
        item = votes[0].item_id
        reason = refused(votes[0], self._recipe, is_open=item in open_items)
        if reason is None:
            votes = [vote for vote in votes if self._counts(vote)]
            if rated is not None:
                votes = [_comparing(vote, rated) for vote in votes]
                votes = [vote for vote in votes if vote.label or vote.kind == "demonstration"]
            if len(votes) < self._recipe.min_judgments:
                reason = "too_few"
        return Judged(item, votes, settled, reason)

    def _counts(self, vote: Vote) -> bool:
        if vote.review not in self._recipe.statuses:
            self.dropped["state"] += 1
            return False
        cap = self._recipe.annotator_cap
        if cap is None:
            return True
        self._given[vote.person_id] += 1
        if self._given[vote.person_id] > cap:
            self.dropped["annotator_cap"] += 1
        return self._given[vote.person_id] <= cap


def read_votes(judgments: models.QuerySet[Judgment]) -> Iterator[Vote]:
    """Each of these judgments as a vote, in their order."""
    left = Substr(Cast("display_order", TextField()), 2, 1)
    yield from map(Vote._make, judgments.values_list(*COLUMNS, left).iterator(chunk_size=2000))


def withdrawn(projects: Sequence[Project]) -> tuple[list[int], list[int]]:
    """The people and the items that asked to be taken out of these projects."""
    rows = list(Withdrawal.objects.filter(project__in=projects).values_list("person_id", "item_id"))
    return [person for person, _ in rows if person], [item for _, item in rows if item]


def _by_item(votes: Iterable[Vote]) -> list[list[Vote]]:
    first, *others = votes
    if not others:
        return [[first]]
    items: dict[int, list[Vote]] = {}
    for vote in (first, *others):
        items.setdefault(vote.item_id, []).append(vote)
    found = list(items.values())
    return sorted(found, key=lambda each: (each[0].item_hash, each[0].project)) if len(found) > 1 else found


def _settled(items: list[int]) -> dict[int, str]:
    """The newest resolution of each of these items that has one."""
    rows = among(Resolution.objects.order_by("revision"), "labeling_resolution.item_id", items)
    return dict(rows.values_list("item_id", "label"))


def _rated(votes: list[Vote]) -> dict[int, str]:
    """Each rating as the ranking that its sums say: "1>0=2"."""
    found = {}
    for judgment in Judgment.objects.filter(pk__in=[vote.judgment_id for vote in votes]):
        ratings = stored_ratings(judgment.answer["ratings"], judgment.display_order)
        sums = [sum(values) for values in zip(*ratings.values(), strict=True)]
        levels = sorted(set(sums), reverse=True)
        if len(sums) > 1:
            found[judgment.pk] = ">".join(
                "=".join(str(n) for n, total in enumerate(sums) if total == level) for level in levels
            )
    return found


def _comparing(vote: Vote, rated: dict[int, str]) -> Vote:
    """A rating as the ranking that it says, "" where it says none; other votes as they are."""
    if vote.kind != "rating":
        return vote
    return vote._replace(kind="ranking", label=rated.get(vote.judgment_id, ""))


def prompts_of(
    projects: Sequence[Project], newest_item: int, items: Sequence[int] | None = None
) -> Iterator[tuple[Any, ...]]:
    """(item_id, item_hash, prompt_hash, project slug, licence, synthetic) of every item, in the order of prompts."""
    rows = Item.objects.filter(project__in=projects, pk__lte=newest_item).exclude(
        pk__in=withdrawn(projects)[1]
    )
    if items is not None:
        rows = among(rows, "labeling_item.id", items)
    columns = ("pk", "content_hash", "prompt_hash", "project__slug", "licence", "synthetic")
    return rows.order_by("prompt_hash", "content_hash", "pk").values_list(*columns).iterator(chunk_size=2000)
