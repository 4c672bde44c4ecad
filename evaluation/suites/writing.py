"""Rows of cases, begun and ended many at once, and the verb that puts in what a file or a program gives."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction
from django.db.models import Max

from evaluation.models import Case, Suite
from evaluation.suites.content import LONGEST_NOTE, Content, content_of, hash_of, merged, row_of
from evaluation.suites.reading import Draft
from evaluation.suites.versions import living, locked, open_version, unopened
from labeling.compiled import insert_many
from labeling.models import User

CHUNK = 500
ALIKE = "Put under seal: it was sealed before, or shares its prompt or cluster with a sealed case."
BONDS = ("uid", "prompt_hash", "cluster")
STORED = [
    *("uid", "added", "position", "sealed", "preview", "prompt", "prompt_hash", "reference", "rejected"),
    *("contexts", "gold", "tags", "checks", "weight", "cluster", "source", "note", "content_hash"),
]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Put:
    """How many cases were added, changed, or there already; and how many were put under seal by it, because they were
    sealed before, or share their prompt or cluster with a sealed one."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    sealed: int = 0


@transaction.atomic
def put_cases(*, suite: Suite, drafts: Sequence[Draft], person: User | None) -> Put:
    """Add the cases whose uid the suite does not have, and change those that it has where a given field differs.

    Fields that are not given stay as they are. Repeating it changes nothing.
    """
    suite = locked(suite)
    there = {case.uid: case for case in living_of(suite, [draft.uid for draft in drafts])}
    changed: list[tuple[Case, Draft, Content]] = []
    for draft in drafts:
        if case := there.get(draft.uid):
            before = content_of(case)
            content = merged(before, draft.given)
            if content != before:
                changed.append((case, draft, content))
    fresh = [draft for draft in drafts if draft.uid not in there]
    sealed: list[str] = []
    if changed or fresh:
        number, position = open_version(suite, person).number, next_position(suite)
        end_rows([case.pk for case, _, _ in changed], number)
        rows = [
            row_of(suite=suite, uid=case.uid, content=content, position=case.position, number=number,
                   person=person, source=draft.source or case.source)
            for case, draft, content in changed
        ] + [
            row_of(suite=suite, uid=draft.uid, content=draft.content, position=position + index, number=number,
                   person=person, source=draft.source)
            for index, draft in enumerate(fresh)
        ]  # fmt: skip
        sealed = store(suite=suite, rows=rows, person=person)
    return Put(len(fresh), len(changed), len(drafts) - len(fresh) - len(changed), len(sealed))


@transaction.atomic
def rewrite(
    *,
    suite: Suite,
    uids: Sequence[str],
    make: Callable[[Case], Content],
    person: User | None,
    note: str = "",
) -> list[str]:
    """Give each of these living cases the content that `make` makes of it. Returns the uids of those that changed."""
    suite = locked(suite)
    changed: list[str] = []
    for some in chunks(uids):
        pairs = [(case, make(case)) for case in living_of(suite, some)]
        pairs = [(case, content) for case, content in pairs if content != content_of(case)]
        if pairs:
            number = open_version(suite, person).number
            end_rows([case.pk for case, _ in pairs], number)
            Case.objects.bulk_create(
                following(case, content, number, person, note) for case, content in pairs
            )
            changed += [case.uid for case, _ in pairs]
    return changed


def store(*, suite: Suite, rows: Sequence[Case], person: User | None) -> list[str]:
    """Store unsaved rows of a suite that is locked. Those that a seal holds come under it, and so does every open case
    that shares its prompt or cluster with a sealed one of them: an open one would tell of the other. Returns the uids
    of all that came under seal."""
    held = held_by_seal(suite, rows)
    for row in rows:
        if row.uid in held:
            row.sealed, row.note = True, f"{row.note} {ALIKE}".strip()[:LONGEST_NOTE]
            row.content_hash = hash_of(row)
    insert_rows(rows)
    found, sealed = list(held), [row for row in rows if row.sealed]
    while sealed:
        under = rewrite(
            suite=suite, uids=_open_beside(suite, sealed), make=under_seal, person=person, note=ALIKE
        )
        sealed = living_of(suite, under)
        found += under
    return found


def held_by_seal(suite: Suite, rows: Collection[Case]) -> set[str]:
    """The uids of the open ones of these rows that are under a seal which nobody opened: their case was sealed before,
    or another one with their prompt or cluster was, whether it is in the suite or was removed."""
    seals = unopened(suite).order_by()
    held = {
        name: {
            key
            for some in chunks(sorted({getattr(row, name) for row in rows} - {""}))
            for key in seals.filter(**{f"{name}__in": some}).values_list(name, flat=True)
        }
        for name in BONDS
    }
    return {
        row.uid for row in rows if not row.sealed and any(getattr(row, name) in held[name] for name in BONDS)
    }


def _open_beside(suite: Suite, sealed: Sequence[Case]) -> list[str]:
    """The uids of the open cases that share their prompt or cluster with one of these rows."""
    rows = living(suite).filter(sealed=False).order_by()
    return [
        uid
        for name in ("prompt_hash", "cluster")
        for some in chunks(sorted({getattr(row, name) for row in sealed} - {""}))
        for uid in rows.filter(**{f"{name}__in": some}).values_list("uid", flat=True)
    ]


def under_seal(case: Case) -> Content:
    return content_of(case, sealed=True)


def following(case: Case, content: Content, number: int, person: User | None, note: str = "") -> Case:
    """The unsaved row that comes after a case's row, at the same place."""
    return row_of(
        suite=case.suite,
        uid=case.uid,
        content=content,
        position=case.position,
        number=number,
        person=person,
        source=case.source,
        note=note,
    )


def insert_rows(cases: Sequence[Case]) -> None:
    """Store unsaved rows of one suite, begun by one person, as they are; they are not given their keys."""
    if cases:
        like = Case(suite_id=cases[0].suite_id, created_by_id=cases[0].created_by_id, position=0, prompt=[])
        insert_many(like, STORED, ([getattr(case, name) for name in STORED] for case in cases))


def end_rows(keys: Sequence[int], number: int) -> int:
    """End living rows at a version; a row that began in it then belongs to none. Returns how many were living."""
    return sum(Case.objects.filter(pk__in=some, removed=None).update(removed=number) for some in chunks(keys))


def living_of(suite: Suite, uids: Sequence[str]) -> list[Case]:
    """The living rows of these cases in full, in order."""
    found: list[Case] = []
    for some in chunks(list(dict.fromkeys(uids))):
        found += living(suite).filter(uid__in=some).select_related("suite")
    return sorted(found, key=lambda case: case.position)


def next_position(suite: Suite) -> int:
    """The place after all cases that the suite ever had."""
    last = Case.objects.filter(suite=suite).aggregate(last=Max("position"))["last"]
    return 0 if last is None else int(last) + 1


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, a few hundred at a time: databases take only so many parameters."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
