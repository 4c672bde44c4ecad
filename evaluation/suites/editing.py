"""Changing cases by hand: one at a time with compare-and-set, or many by their uids. Nothing is ever lost."""

from collections.abc import Iterable, Sequence

from django.db import transaction

from evaluation.models import Case, Suite
from evaluation.suites.content import Content, accepted, as_dict, content_of, row_of, tags_from
from evaluation.suites.versions import living, locked, open_version
from evaluation.suites.writing import (
    chunks,
    end_rows,
    following,
    held_by_seal,
    living_of,
    next_position,
    rewrite,
    store,
)
from labeling.errors import Refused
from labeling.models import User


class Overtaken(Refused):
    """Somebody else changed the case meanwhile. `current` is their row, None where they removed it."""

    def __init__(self, sentence: str, current: Case | None) -> None:
        super().__init__(sentence)
        self.current = current


@transaction.atomic
def add_case(*, suite: Suite, content: Content, person: User | None, source: str = "") -> Case:
    """Put one case at the end of the suite; under seal where it was sealed before, or shares its prompt or cluster with
    a sealed one. Raises Refused for one that is there or cannot be stored."""
    suite, content = locked(suite), accepted(content)
    there = living(suite).filter(uid=content.identity).first()
    if there is not None:
        raise Refused(f"{suite} has this case already, as number {there.position + 1}; change that one.")
    made = row_of(
        suite=suite,
        uid=content.identity,
        content=content,
        position=next_position(suite),
        number=open_version(suite, person).number,
        person=person,
        source=source,
    )
    return _stored(made)


@transaction.atomic
def edit_case(*, case: Case, content: Content, person: User | None, note: str = "") -> Case:
    """Give a case another content, in the open version. `case` is the row that the writer began from.

    The same content again changes nothing. A sealed one stays sealed, and an open one comes under seal where it now
    shares its prompt or cluster with a sealed one. Raises Overtaken where the row has ended since, and Refused for what
    cannot be stored.
    """
    suite = locked(case.suite)
    content = accepted(content_of(case, **{**as_dict(content), "sealed": case.sealed}))
    if not living(suite).filter(pk=case.pk).exists():
        raise _overtaken(case)
    if content == content_of(case):
        return case
    number = open_version(suite, person).number
    end_rows([case.pk], number)
    return _stored(following(case, content, number, person, note))


@transaction.atomic
def remove_cases(*, suite: Suite, uids: Sequence[str], person: User | None) -> list[str]:
    """Take cases out of the open version. Frozen versions keep them. Returns the uids of those that were there."""
    suite = locked(suite)
    found = [
        row for some in chunks(uids) for row in living(suite).filter(uid__in=some).values_list("pk", "uid")
    ]
    if found:
        end_rows([key for key, _ in found], open_version(suite, person).number)
    return [uid for _, uid in found]


@transaction.atomic
def restore_cases(*, suite: Suite, uids: Sequence[str], person: User | None) -> list[str]:
    """Bring removed cases back as they last were, but under seal where one of their prompt or cluster was sealed since.
    Returns the uids of those that came back."""
    suite = locked(suite)
    there = {case.uid for case in living_of(suite, uids)}
    last: dict[str, Case] = {}
    for some in chunks([uid for uid in uids if uid not in there]):
        rows = Case.objects.filter(suite=suite, uid__in=some).select_related("suite").order_by("pk")
        last |= {case.uid: case for case in rows}
    if last:
        number = open_version(suite, person).number
        held = held_by_seal(suite, last.values())
        again = {case.pk for case in last.values() if case.removed == number and case.uid not in held}
        for keys in chunks(list(again)):
            Case.objects.filter(pk__in=keys, removed=number).update(removed=None)
        anew = [
            following(case, content_of(case), number, person)
            for case in last.values()
            if case.pk not in again
        ]
        store(suite=suite, rows=anew, person=person)
    return list(last)


def retag(
    *,
    suite: Suite,
    uids: Sequence[str],
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    person: User | None,
) -> list[str]:
    """Add tags to cases and take tags from them. Returns the uids of those that changed. Raises Refused for a tag that
    is too long, or too many of them."""
    more, less = tags_from(list(add)), set(tags_from(list(remove)))
    if not more and not less:
        raise Refused("No tag was given; write at least one.")

    def tagged(case: Case) -> Content:
        kept = [tag for tag in case.tags if tag not in less]
        return accepted(content_of(case, tags=list(dict.fromkeys([*kept, *more]))))

    return rewrite(suite=suite, uids=uids, make=tagged, person=person)


def _stored(case: Case) -> Case:
    """The case after its unsaved row was stored, as it is then."""
    store(suite=case.suite, rows=[case], person=case.created_by)
    return living_of(case.suite, [case.uid])[0]


def _overtaken(case: Case) -> Overtaken:
    current = living(case.suite).filter(uid=case.uid).select_related("created_by").first()
    if current is None:
        return Overtaken(
            "Somebody removed this case while you were writing. Your text is still here; bring the case back, "
            "then save it again.",
            None,
        )
    return Overtaken(
        f"{current.created_by or 'Somebody'} changed this case while you were writing. Your text is still here, "
        "compared with theirs; take over what you want, then save it again.",
        current,
    )
