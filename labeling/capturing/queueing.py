"""Captures that a rule took → items of the queue. The captures are what is to be done: a lost message, or a worker that
dies in the middle, delays them until the sweep, and nothing more."""

import logging
from collections.abc import Mapping, Sequence
from datetime import date

from django.core.cache import cache
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from labeling.broker import send
from labeling.errors import RowRefused
from labeling.importing.checks import finished
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft, add_items
from labeling.models import Capture, CaptureRule, CaptureState, Item, Project, Task
from labeling.rag.prompting import with_contexts

log = logging.getLogger(__name__)

JOB = "labeling.jobs.queue_captures"
CHUNK, ASK_AGAIN_S = 500, 2


def nudge(project: Project) -> None:
    """Tell a worker that captures wait, not more often than every ASK_AGAIN_S: a lost message only delays them."""
    if cache.add(f"captures-of-{project.pk}", 1, ASK_AGAIN_S):
        transaction.on_commit(lambda: send(JOB, project.pk))


def sweep() -> None:
    """Send again for every project in which captures wait."""
    waiting = Capture.objects.filter(state=CaptureState.TAKEN).order_by()
    for project in waiting.values_list("project_id", flat=True).distinct():
        send(JOB, project)


def queue_captures(project: Project) -> int:
    """Make items of all captures that wait. Returns how many captures were dealt with; repeating it is harmless."""
    done = 0
    while some := _some(project, CHUNK):
        done += some
    return done


def _some(project: Project, most: int) -> int:
    try:
        return _queue(project, most)
    except (OperationalError, InterfaceError):
        raise  # of the database, and of no capture: the sweep tries again
    except Exception:
        if most == 1:
            log.exception("a capture of %s cannot become an item", project.slug)
            return _put_aside(project)
        # One of them cannot be stored, and the others shall not wait for it.
        return _some(project, most // 8 or 1)


@transaction.atomic
def _queue(project: Project, most: int) -> int:
    """Some captures, in the order in which they came. Who holds the rules decides what still fits under their caps."""
    rules = CaptureRule.objects.select_for_update().filter(project=project).order_by("pk")
    caps = dict(rules.values_list("pk", "daily_cap"))
    rows = list(_waiting(project).select_for_update()[:most])
    queued = _Queued()
    drafts: dict[int, ItemDraft] = {}
    for capture in rows:
        cap = caps.get(capture.rule_id or 0)
        day = (capture.rule_id or 0, timezone.localdate(capture.received_at))
        if cap is not None and queued[day] >= cap:
            capture.state = CaptureState.FULL
            continue
        try:
            drafts[capture.pk] = draft_of(project, capture)
        except RowRefused as refusal:
            capture.state, capture.note = CaptureState.UNFIT, refusal.sentence[:300]
            continue
        if cap is not None:
            queued[day] += 1
    _store(project, rows, drafts)
    Capture.objects.bulk_update(rows, ["state", "note", "item"])
    return len(rows)


def _store(project: Project, rows: Sequence[Capture], drafts: Mapping[int, ItemDraft]) -> None:
    """Add what the project does not have yet; an item says which capture it came from."""
    new: dict[str, ItemDraft] = {}
    for each in drafts.values():
        new.setdefault(each.content_hash, each)
    if new:
        add_items(project=project, drafts=list(new.values()), source_kind="capture")
    there = Item.objects.filter(project=project, content_hash__in=new).order_by()
    items = {item.content_hash: item for item in there.only("content_hash", "source_ref")}
    for capture in rows:
        if draft := drafts.get(capture.pk):
            item = capture.item = items[draft.content_hash]
            is_new = item.source_ref == draft.source_ref
            capture.state = CaptureState.QUEUED if is_new else CaptureState.KNOWN


def _put_aside(project: Project) -> int:
    """The capture that waits longest is set aside, so that it holds up no others."""
    first = list(_waiting(project).values_list("pk", flat=True)[:1])
    note = "It could not be stored as an item; the worker's log says why."
    return Capture.objects.filter(pk__in=first).update(state=CaptureState.UNFIT, note=note)


def _waiting(project: Project) -> QuerySet[Capture]:
    return Capture.objects.filter(project=project, state=CaptureState.TAKEN).order_by("pk")


class _Queued(dict[tuple[int, date], int]):
    """Rule and day of receipt → how many were queued."""

    def __missing__(self, key: tuple[int, date]) -> int:
        taken = Capture.objects.filter(rule=key[0], received_at__date=key[1])
        self[key] = taken.filter(state__in=(CaptureState.QUEUED, CaptureState.KNOWN)).count()
        return self[key]


def draft_of(project: Project, capture: Capture) -> ItemDraft:
    """The item that a capture becomes in this project. Raises RowRefused where it does not fit the task."""
    body = capture.body
    answers = _answers(project.task, body["answers"], body["chosen"])
    contexts = [ContextDraft(**each) for each in body["contexts"]]
    messages = body["messages"]
    if project.task != Task.RAG:  # people then see what the model saw, as prompts hold chunks everywhere
        messages, contexts = with_contexts(messages, [each.text for each in contexts]), []
    extra = {"capture": {"id": capture.uid, "voice": capture.voice, "comment": body["comment"]}}
    if body["conversation"]:
        extra["conversation"] = body["conversation"]
    draft = ItemDraft(
        messages=messages,
        responses=[ResponseDraft(each["text"], each["model"]) for each in answers],
        source_ref=f"capture {capture.uid}",
        licence=capture.licence,
        extra=extra,
        contexts=contexts,
    )
    return finished(draft, task=project.task)


def _answers(task: str, answers: list[dict[str, str]], chosen: int | None) -> list[dict[str, str]]:
    """The answers that people judge: of a review the one that the user chose, of a comparison that and another one."""
    if task == Task.RAG and len(answers) > 1:
        if chosen is None:
            raise RowRefused(f"it has {len(answers)} answers and none was chosen; a review is of one answer")
        return [answers[chosen]]
    if task == Task.PAIRWISE and len(answers) > 2:
        best = 0 if chosen is None else chosen
        other = next(place for place in range(len(answers)) if place != best)
        return [answers[place] for place in sorted((best, other))]
    return answers
