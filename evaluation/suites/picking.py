"""Cases chosen while browsing: items of the labeling queue, cases of other suites, results that went wrong."""

from collections import Counter
from collections.abc import Iterator, Sequence

from django.db import transaction

from evaluation.models import Case, CaseResult, Suite
from evaluation.suites.content import content_of
from evaluation.suites.making import create_suite
from evaluation.suites.reading import Draft, read_case
from evaluation.suites.versions import living
from evaluation.suites.writing import Put, chunks, put_cases
from labeling.blind import hidden_items
from labeling.errors import Refused
from labeling.models import Item, Judgment, Project, Resolution, Response, User
from labeling.reviewlist import standing

MOST = 5000


@transaction.atomic
def add_picked(
    *,
    suite: Suite,
    items: Sequence[int] = (),
    cases: Sequence[int] = (),
    results: Sequence[int] = (),
    tags: Sequence[str] = (),
    person: User | None,
) -> Put:
    """Copy what was picked into a suite of the same project. What it has already stays as it is and is counted.

    Items bring the answer that people preferred as the reference, where a majority or a settled answer says which, and
    where this person may read what others said: not while they may still be given the item to judge.
    `results` are of runs: the case behind each is taken. Raises Refused for sealed cases: copied, they would be open.
    """
    count = len(items) + len(cases) + len(results)
    if not count:
        raise Refused("Nothing was picked; mark at least one row.")
    if count > MOST:
        raise Refused(f"{count:,} rows were picked; up to {MOST:,} can be added at once.")
    drafts = {draft.uid: draft for draft in _drafts(suite, items, cases, results, list(tags), person)}
    there = set()
    for some in chunks(list(drafts)):
        there |= set(living(suite).filter(uid__in=some).values_list("uid", flat=True))
    fresh = [draft for uid, draft in drafts.items() if uid not in there]
    done = put_cases(suite=suite, drafts=fresh, person=person)
    return Put(done.new, 0, len(drafts) - done.new)


@transaction.atomic
def suite_from_items(*, project: Project, name: str, items: Sequence[int], person: User | None) -> Suite:
    """A new suite of labeling items; see `add_picked`. Where that is refused, no suite is left."""
    suite = create_suite(project=project, name=name, person=person)
    add_picked(suite=suite, items=items, person=person)
    return suite


def _drafts(
    suite: Suite,
    items: Sequence[int],
    cases: Sequence[int],
    results: Sequence[int],
    tags: list[str],
    person: User | None,
) -> Iterator[Draft]:
    for some in chunks(items):
        hidden = hidden_items(project=suite.project, person=person, items=some)
        yield from _of_items(suite, some, tags, hidden)
    behind = list(cases)
    for some in chunks(results):
        rows = CaseResult.objects.filter(pk__in=some, run__project=suite.project)
        behind += rows.values_list("case_id", flat=True)
    for some in chunks(behind):
        for case in Case.objects.filter(pk__in=some, suite__project=suite.project).select_related("suite"):
            if case.sealed:
                raise Refused(
                    f"Case {case.position + 1} of {case.suite} is under seal; a copy of it would be open. "
                    "Leave it out, or open its seal first."
                )
            content = content_of(case, tags=list(dict.fromkeys([*case.tags, *tags])))
            yield Draft(case.uid, case.uid, {}, content, f"{case.suite}, case {case.position + 1}")


def _of_items(suite: Suite, keys: Sequence[int], tags: list[str], hidden: set[int]) -> Iterator[Draft]:
    found = Item.objects.filter(pk__in=keys, project=suite.project).order_by("pk")
    texts: dict[int, list[str]] = {}
    for item_id, text in (
        Response.objects.filter(item__in=found).order_by("item", "position").values_list("item_id", "text")
    ):
        texts.setdefault(item_id, []).append(text)
    preferred = _preferred([item.pk for item in found if item.pk not in hidden])
    for item in found:
        row = {"id": f"item-{item.pk}", "prompt": item.messages, "tags": tags}
        sides, best = texts.get(item.pk, []), preferred.get(item.pk)
        if best is not None and len(sides) == 2 and sides[0] != sides[1]:
            row |= {"reference": sides[best], "rejected": sides[1 - best]}
        yield read_case(row, source=f"item {item.pk}")


def _preferred(keys: Sequence[int]) -> dict[int, int]:
    """The position of the response that is settled, or that most people chose, by item."""
    votes: dict[int, Counter[str]] = {}
    answers = standing(item__in=keys, kind=Judgment._meta.get_field("kind").default)
    for item, label in answers.values_list("item_id", "label"):
        votes.setdefault(item, Counter())[label] += 1
    found = {
        item: int(label)
        for item, counts in votes.items()
        for label, count in counts.most_common(1)
        if label in ("0", "1") and count * 2 > counts.total()
    }
    for item, label in (
        Resolution.objects.filter(item__in=keys).order_by("pk").values_list("item_id", "label")
    ):
        found.pop(item, None)
        if label in ("0", "1"):
            found[item] = int(label)
    return found
