"""The list of a suite's cases: searched, filtered, a page at a time, whatever their number. No text is read but the
preview, and of sealed cases only by those who may."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import CharField, Count, F, Max, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, NullIf, StrIndex

from evaluation.models import Case, Suite
from evaluation.suites.versions import living

PER_PAGE = 50
COLUMNS = ("pk", "uid", "position", "preview", "tags", "weight", "cluster", "sealed", "added", "created_at")
SPLITS = {"dev": "Open cases", "sealed": "Sealed cases", "removed": "Removed cases"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The address of the list. `secret` readers see the words of sealed cases."""

    q: str = ""
    tag: str = ""
    split: str = ""
    newest: bool = False
    after: int | None = None
    before: int | None = None
    secret: bool = False

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.tag or self.split)


@dataclass(frozen=True, slots=True)
class CasePage:
    """Some cases, how many fit in all, and the places before and after which the neighbouring pages begin."""

    cases: list[Case]
    count: int
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a suite is now. `units` are the prompts or clusters that its open cases come from."""

    cases: int = 0
    sealed: int = 0
    units: int = 0

    @property
    def open(self) -> int:
        return self.cases - self.sealed


def cases_of(*, suite: Suite, wanted: Wanted) -> CasePage:
    """The page of cases that begins after the place `after`, or ends before the place `before`."""
    rows = matching(suite, wanted)
    back = wanted.before is not None
    place = "id" if wanted.newest else "position"
    up = wanted.newest == back
    start = wanted.before if back else wanted.after
    some = rows if start is None else rows.filter(**{f"{place}__{'gt' if up else 'lt'}": start})
    found = list(some.order_by(place if up else f"-{place}").only(*COLUMNS)[: PER_PAGE + 1])
    shown, more = found[:PER_PAGE], len(found) > PER_PAGE
    onward = getattr(shown[-1], place) if more else None
    backward = getattr(shown[0], place) if shown and start is not None else None
    if back:
        shown.reverse()
        onward, backward = backward, onward
    return CasePage(shown, rows.count(), backward, onward)


def matching(suite: Suite, wanted: Wanted) -> QuerySet[Case]:
    """The cases that fit the filters. Sealed ones are found by their words only for those who may read them."""
    rows: QuerySet[Case] = _removed(suite) if wanted.split == "removed" else living(suite)
    if wanted.split in ("dev", "sealed"):
        rows = rows.filter(sealed=wanted.split == "sealed")
    if wanted.q:
        words = Q(preview__icontains=wanted.q)
        rows = rows.filter((words if wanted.secret else words & Q(sealed=False)) | Q(uid=wanted.q))
    if wanted.tag:
        rows = tagged(rows, wanted.tag)
    return rows


def tagged(rows: QuerySet[Case], tag: str) -> QuerySet[Case]:
    """Those of the rows that carry a tag."""
    if connection.features.supports_json_field_contains:
        return rows.filter(tags__contains=[tag])
    return rows.alias(tag=StrIndex(Cast("tags", TextField()), Value(json.dumps(tag)))).filter(tag__gt=0)


def _removed(suite: Suite) -> QuerySet[Case]:
    """The last state of each case that is not in the suite any more."""
    rows = Case.objects.filter(suite=suite)
    last = rows.exclude(uid__in=living(suite).values("uid")).order_by().values("uid")
    return rows.filter(pk__in=last.annotate(last=Max("pk")).values("last"))


def slices_of(suite: Suite) -> list[tuple[str, int]]:
    """Every tag of the suite's cases with how many carry it, the commonest first."""
    return slices_by_suite([suite])[suite.pk]


def slices_by_suite(suites: Sequence[Suite]) -> dict[int, list[tuple[str, int]]]:
    """The same of many suites, by their keys: one query."""
    counts: dict[int, Counter[str]] = {suite.pk: Counter() for suite in suites}
    rows = Case.objects.filter(suite__in=suites, removed=None).order_by().values_list("suite_id", "tags")
    for key, tags, count in rows.annotate(n=Count("pk")):
        for tag in tags:
            counts[key][tag] += count
    return {key: sorted(found.items(), key=lambda pair: (-pair[1], pair[0])) for key, found in counts.items()}


def shapes_of(suites: Sequence[Suite]) -> dict[int, Shape]:
    """How large each of these suites is now, by its key: one query."""
    rows = Case.objects.filter(suite__in=suites, removed=None).order_by().values("suite_id")
    unit = Coalesce(NullIf("cluster", Value("")), F("prompt_hash"), output_field=CharField())
    counted = rows.annotate(
        cases=Count("pk"),
        under_seal=Count("pk", filter=Q(sealed=True)),
        units=Count(unit, filter=Q(sealed=False), distinct=True),
    )
    return {row["suite_id"]: Shape(row["cases"], row["under_seal"], row["units"]) for row in counted}
