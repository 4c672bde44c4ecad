"""What has happened since to the judgments of a version: given anew, returned, settled otherwise, withdrawn, or made by
guidelines that were edited.

Versions never change. What is looked for are the few changes, and not the many judgments: so a version of 100,000 costs
no more than one of ten, and many versions as many queries as one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet

from labeling.curation.recipe import Recipe
from labeling.curation.withdrawing import rests_on
from labeling.models import (
    Assignment,
    DatasetEntry,
    DatasetVersion,
    Guideline,
    Judgment,
    Project,
    Resolution,
    Review,
    ReviewState,
    Withdrawal,
)


@dataclass(frozen=True, slots=True)
class Alteration:
    """One kind of change: how many judgments (of guidelines: versions) it concerns, and one item to look at."""

    kind: str
    count: int
    item: int | None = None

    @property
    def words(self) -> str:
        one = self.count == 1
        was = "was" if one else "were"
        judgments = f"{self.count:,} judgment{'' if one else 's'}"
        return {
            "revised": f"{judgments} {was} given anew",
            "returned": f"{judgments} {was} given a state of review that the recipe leaves out",
            "settled": f"{judgments} {'is of an item' if one else 'are of items'} that {was} settled",
            "withdrawn": f"{judgments} {was} withdrawn",
            "guidelines": f"the guidelines were edited {'once' if one else f'{self.count} times'}",
            "reviewed": f"{judgments} that it left out {was} given a state of review that the recipe takes",
            "settled_too": f"{self.count:,} item{'' if one else 's'} that it has no row of {was} settled",
        }[self.kind]


def alterations_of(versions: Sequence[DatasetVersion]) -> dict[int, list[Alteration]]:
    """What was altered since each of these versions was frozen, by its key; an empty list where nothing was."""
    found: dict[int, list[Alteration]] = {version.pk: [] for version in versions}
    if not versions:
        return found
    parts = {"revised": _revised(versions), "settled": _settled(versions), "withdrawn": _withdrawn(versions)}
    for kind, entries in parts.items():
        _count(found, kind, entries)
    for states, alike in _by_states(versions).items():
        _count(found, "returned", _returned(alike, states))
    for version, count in _guidelines(versions).items():
        found[version].append(Alteration("guidelines", count))
    return found


def news_of(version: DatasetVersion) -> list[Alteration]:
    """What may give other rows by the same recipe without a new judgment: what was returned, settled or withdrawn of
    the version, and what was reviewed or settled of what it left out. An edit of the guidelines changes no row."""
    found = [
        each
        for each in alterations_of([version])[version.pk]
        if each.kind in ("returned", "settled", "withdrawn")
    ]
    left_out = {"reviewed": _reviewed(version), "settled_too": _settled_too(version)}
    return [*found, *(Alteration(kind, count) for kind, count in left_out.items() if count)]


def sentence(altered: Sequence[Alteration], version: str = "it") -> str:
    """The alterations of a version in one sentence; empty where there are none."""
    words = "; ".join(each.words for each in altered)
    return f"Since {version} was frozen: {words}." if words else ""


def _count(found: dict[int, list[Alteration]], kind: str, entries: QuerySet[DatasetEntry]) -> None:
    rows = (
        entries.order_by()
        .values_list("version_id")
        .annotate(n=Count("judgment", distinct=True), item=Min("item_id"))
    )
    for version, count, item in rows:
        found[version].append(Alteration(kind, count or 1, item))


def _of(versions: Sequence[DatasetVersion]) -> QuerySet[DatasetEntry]:
    return DatasetEntry.objects.filter(version__in=[version.pk for version in versions])


def _revised(versions: Sequence[DatasetVersion]) -> QuerySet[DatasetEntry]:
    """Judgments of which there is a newer revision than the version knows."""
    oldest = min(version.last_judgment_id for version in versions)
    newer = Judgment.objects.filter(revision__gt=1, pk__gt=oldest).order_by()
    if not newer.exists():
        return DatasetEntry.objects.none()
    before = Judgment.objects.filter(assignment__in=newer.values("assignment_id"))
    later = Q(
        judgment__assignment__judgments__revision__gt=F("judgment__revision"),
        judgment__assignment__judgments__pk__gt=F("version__last_judgment_id"),
    )
    return _of(versions).filter(judgment__in=before.order_by().values("pk")).filter(later)


def _returned(versions: Sequence[DatasetVersion], states: Sequence[str]) -> QuerySet[DatasetEntry]:
    """Judgments whose state of review the recipe would leave out now."""
    out = [state for state in ReviewState.values if state not in states]
    slots = Assignment.objects.filter(
        project__in=_projects(versions), review__in=out, submitted_at__isnull=False
    )
    said = Judgment.objects.filter(assignment__in=slots.order_by().values("pk")).order_by()
    return _of(versions).filter(judgment__in=said.values("pk"))


def _by_states(versions: Sequence[DatasetVersion]) -> dict[tuple[str, ...], list[DatasetVersion]]:
    found: dict[tuple[str, ...], list[DatasetVersion]] = defaultdict(list)
    for version in versions:
        found[tuple(version.recipe.get("statuses", Recipe().statuses))].append(version)
    return found


def _settled(versions: Sequence[DatasetVersion]) -> QuerySet[DatasetEntry]:
    """Judgments of items that were settled after the version was frozen."""
    oldest = min(version.created_at for version in versions)
    items = Resolution.objects.filter(created_at__gt=oldest).order_by()
    if not items.exists():
        return DatasetEntry.objects.none()
    said = Judgment.objects.filter(item__in=items.values("item_id")).order_by()
    later = Q(judgment__item__resolutions__created_at__gt=F("version__created_at"))
    return _of(versions).filter(judgment__in=said.values("pk")).filter(later)


def _reviewed(version: DatasetVersion) -> int:
    """How many judgments that it left out are in a state of review that its recipe takes, and were not then."""
    states = version.recipe.get("statuses", Recipe().statuses)
    if {*states, ReviewState.RETURNED} == {*ReviewState.values}:
        return 0
    given = Review.objects.filter(
        assignment__project__in=_projects([version]),
        assignment__review__in=states,
        state__in=states,
        created_at__gt=version.created_at,
    )
    inside = DatasetEntry.objects.filter(version=version, judgment=OuterRef("judgment"))
    return given.filter(~Exists(inside)).order_by().values("judgment").distinct().count()


def _settled_too(version: DatasetVersion) -> int:
    """How many items without a row in it were settled after it was frozen."""
    later = Resolution.objects.filter(project__in=_projects([version]), created_at__gt=version.created_at)
    inside = Judgment.objects.filter(item=OuterRef("item"), dataset_entries__version=version)
    return later.filter(~Exists(inside)).order_by().values("item").distinct().count()


def _withdrawn(versions: Sequence[DatasetVersion]) -> QuerySet[DatasetEntry]:
    return _of(versions).filter(rests_on(list(Withdrawal.objects.all())))


def _guidelines(versions: Sequence[DatasetVersion]) -> dict[int, int]:
    """How often the guidelines of a version's projects were edited since it was frozen."""
    oldest = min(version.created_at for version in versions)
    edits = list(Guideline.objects.filter(created_at__gt=oldest).values_list("project_id", "created_at"))
    if not edits:
        return {}
    slugs = dict(Project.objects.filter(pk__in={key for key, _ in edits}).values_list("pk", "slug"))
    found = {}
    for version in versions:
        named = version.recipe.get("projects", [])
        count = sum(
            at > version.created_at and (key == version.project_id or slugs[key] in named)
            for key, at in edits
        )
        if count:
            found[version.pk] = count
    return found


def _projects(versions: Sequence[DatasetVersion]) -> QuerySet[Project]:
    slugs = {slug for version in versions for slug in version.recipe.get("projects", [])}
    return Project.objects.filter(Q(pk__in={version.project_id for version in versions}) | Q(slug__in=slugs))
