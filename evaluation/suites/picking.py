"""Cases chosen while browsing: items of the labeling queue, cases of other suites and of runs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from django.db import transaction

from evaluation.models import Case, Suite
from evaluation.suites.content import accepted, content_of, refused, tags_from
from evaluation.suites.making import create_suite
from evaluation.suites.reading import Draft, read_case
from evaluation.suites.reviewed import fields_of
from evaluation.suites.versions import living
from evaluation.suites.writing import Put, chunks, held_by_seal, put_cases
from labeling.blind import hidden_items
from labeling.curation.rows import prompt_text
from labeling.errors import Refused, RowRefused
from labeling.models import Item, Judgment, Project, Resolution, Response, Task, User
from labeling.protection import protect
from labeling.rag.prompting import question_of
from labeling.reviewlist import standing

MOST = 5000


@transaction.atomic
def add_picked(
    *,
    suite: Suite,
    items: Sequence[int] = (),
    cases: Sequence[int] = (),
    tags: Sequence[str] = (),
    person: User | None,
) -> Put:
    """Copy what was picked into a suite of the same project. What it has already stays as it is and is counted.

    Items bring the answer that people preferred as the reference, where a majority or a settled answer says which, and
    where this person may read what others said: not while they may still be given the item to judge.
    Reviewed RAG answers bring their chunks, the correction and the errors as well, and are kept out of training at
    once. `cases` are taken in the state of that number, as a run was on it. Raises Refused for those that are sealed or
    were sealed since: copied, they would be open.
    """
    count = len(items) + len(cases)
    if not count:
        raise Refused("Nothing was picked; mark at least one row.")
    if count > MOST:
        raise Refused(f"{count:,} rows were picked; up to {MOST:,} can be added at once.")
    drafts = {draft.uid: draft for draft in _drafts(suite, items, cases, list(tags), person)}
    there = set()
    for some in chunks(list(drafts)):
        there |= set(living(suite).filter(uid__in=some).values_list("uid", flat=True))
    fresh = [draft for uid, draft in drafts.items() if uid not in there]
    done = put_cases(suite=suite, drafts=fresh, person=person)
    if items and suite.project.task == Task.RAG:
        _keep_out_of_training(suite, items)
    return Put(done.new, 0, len(drafts) - done.new, done.sealed)


@transaction.atomic
def suite_from_items(*, project: Project, name: str, items: Sequence[int], person: User | None) -> Suite:
    """A new suite of labeling items; see `add_picked`. Where that is refused, no suite is left."""
    suite = create_suite(project=project, name=name, person=person)
    add_picked(suite=suite, items=items, person=person)
    return suite


def _drafts(
    suite: Suite, items: Sequence[int], cases: Sequence[int], tags: list[str], person: User | None
) -> Iterator[Draft]:
    for some in chunks(items):
        hidden = hidden_items(project=suite.project, person=person, items=some)
        yield from _of_items(suite, some, tags, hidden)
    yield from _of_cases(suite, cases, tags)


def _of_cases(suite: Suite, keys: Sequence[int], tags: list[str]) -> Iterator[Draft]:
    """A copy keeps the uid, so that it can be compared; it gets that of its texts where another prompt has the uid."""
    prompts: dict[str, str] = {}
    for some in chunks(keys):
        rows = Case.objects.filter(pk__in=some, suite__project=suite.project).select_related("suite")
        there = living(suite).filter(uid__in=rows.values("uid"))
        prompts = dict(there.values_list("uid", "prompt_hash")) | prompts
        for source, of_one in groupby(rows.order_by("suite", "position", "id"), key=lambda case: case.suite):
            found = list(of_one)
            held = held_by_seal(source, found)
            for case in found:
                if case.sealed or case.uid in held:
                    raise Refused(
                        f"Case {case.position + 1} of {source} is under seal; a copy of it would be open. "
                        "Leave it out, or open its seal first."
                    )
                content = accepted(content_of(case, tags=tags_from([*case.tags, *tags])))
                own = prompts.setdefault(case.uid, case.prompt_hash) == case.prompt_hash
                uid = case.uid if own else content.identity
                yield Draft(uid, uid, {}, content, f"{source}, case {case.position + 1}")


def _of_items(suite: Suite, keys: Sequence[int], tags: list[str], hidden: set[int]) -> Iterator[Draft]:
    found = Item.objects.filter(pk__in=keys, project=suite.project).order_by("pk")
    texts: dict[int, list[str]] = {}
    for item_id, text in (
        Response.objects.filter(item__in=found).order_by("item", "position").values_list("item_id", "text")
    ):
        texts.setdefault(item_id, []).append(text)
    if suite.project.task == Task.RAG:
        fields = fields_of(project=suite.project, items=list(found), texts=texts, hidden=hidden)
    else:
        fields = _compared([item.pk for item in found if item.pk not in hidden], texts)
    for item in found:
        more = fields.get(item.pk, {})
        row = {"id": f"item-{item.pk}", "prompt": item.messages, **more}
        try:
            yield read_case(row | {"tags": [*more.get("tags", ()), *tags]}, source=f"item {item.pk}")
        except RowRefused as refusal:
            raise refused(RowRefused(f"item {item.pk} cannot be a case: {refusal.sentence}")) from refusal


def _keep_out_of_training(suite: Suite, keys: Sequence[int]) -> None:
    """Before any run freezes the suite: what was learned from people's reviews is not to be trained on meanwhile."""
    for some in chunks(keys):
        rows = Item.objects.filter(pk__in=some, project=suite.project).values_list("prompt_hash", "messages")
        prompts = {key: prompt_text(question_of(messages)) for key, messages in rows}
        protect(project=suite.project, prompts=prompts, reason=f"suite {suite.name}"[:200])


def _compared(keys: Sequence[int], texts: Mapping[int, Sequence[str]]) -> dict[int, dict[str, Any]]:
    """Reference and rejected, where people preferred one of two different responses."""
    found = {}
    for item, best in _preferred(keys).items():
        sides = texts.get(item, ())
        if len(sides) == 2 and sides[0] != sides[1]:
            found[item] = {"reference": sides[best], "rejected": sides[1 - best]}
    return found


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
