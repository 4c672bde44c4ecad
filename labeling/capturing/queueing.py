"""Captures that a rule took → items of the queue. The captures are what is to be done: a lost message, or a worker that
dies in the middle, delays them until the sweep, and nothing more."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from celery import current_app
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from labeling.errors import RowRefused
from labeling.importing.checks import finished
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft, add_items
from labeling.models import Capture, CaptureRule, CaptureState, Item, Project, Task
from labeling.rag.prompting import with_contexts

log = logging.getLogger(__name__)

JOB = "labeling.jobs.queue_captures"
CHUNK, ASK_AGAIN_S = 500, 2
WAITING = {"state": CaptureState.TAKEN}


def nudge(project: Project) -> None:
    """Tell a worker that captures wait, not more often than every ASK_AGAIN_S: a lost message only delays them."""
    if cache.add(f"captures-of-{project.pk}", 1, ASK_AGAIN_S):
        transaction.on_commit(lambda: _send(project.pk))


def sweep() -> int:
    """Send again for every project in which captures wait. Returns how many."""
    waiting = Capture.objects.filter(**WAITING).order_by().values_list("project_id", flat=True).distinct()
    found = list(waiting)
    for project in found:
        _send(project)
    return len(found)


def _send(project_id: int) -> None:
    try:
        current_app.send_task(JOB, args=[project_id])
    except Exception:
        log.exception("could not reach the broker for captures of %s; the sweep will try again", project_id)


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
        return _some(project, 1)  # one of them cannot be stored: the others shall not wait for it


@transaction.atomic
def _queue(project: Project, most: int) -> int:
    """Some captures, in the order in which they came. Who holds the rules decides what still fits under their caps."""
    rules = CaptureRule.objects.select_for_update().filter(project=project).order_by("pk")
    caps = {rule.pk: rule.daily_cap for rule in rules}
    waiting = Capture.objects.select_for_update(of=("self",)).filter(project=project, **WAITING)
    rows = list(waiting.order_by("pk")[:most])
    room = _Room(caps)
    drafts: dict[int, ItemDraft] = {}
    for capture in rows:
        if not room.takes(capture):
            capture.state = CaptureState.FULL
            continue
        try:
            drafts[capture.pk] = draft_of(project, capture)
        except RowRefused as refusal:
            capture.state, capture.note = CaptureState.UNFIT, refusal.sentence[:300]
            room.give_back(capture)
    _store(project, rows, drafts)
    Capture.objects.bulk_update(rows, ["state", "note", "item"])
    return len(rows)


def _store(project: Project, rows: Sequence[Capture], drafts: Mapping[int, ItemDraft]) -> None:
    hashes = {draft.content_hash for draft in drafts.values()}
    before = _items(project, hashes)
    if drafts:
        add_items(project=project, drafts=list(drafts.values()), source_kind="capture")
    items, seen = _items(project, hashes), set(before)
    for capture in rows:
        if capture.pk in drafts:
            key = drafts[capture.pk].content_hash
            capture.state = CaptureState.KNOWN if key in seen else CaptureState.QUEUED
            capture.item_id = items[key]
            seen.add(key)


def _items(project: Project, hashes: set[str]) -> dict[str, int]:
    rows = Item.objects.filter(project=project, content_hash__in=hashes).order_by()
    return dict(rows.values_list("content_hash", "pk"))


def _put_aside(project: Project) -> int:
    """The capture that waits longest is set aside, so that it holds up no others."""
    first = Capture.objects.filter(project=project, **WAITING).order_by("pk").values_list("pk", flat=True)[:1]
    note = "It could not be stored as an item; the worker's log says why."
    return Capture.objects.filter(pk__in=list(first)).update(state=CaptureState.UNFIT, note=note)


class _Room:
    """How much each rule may still take of each day."""

    def __init__(self, caps: Mapping[int, int | None]) -> None:
        self._caps = caps
        self._used: Counter[tuple[int, date]] = Counter()
        self._read: set[tuple[int, date]] = set()

    def takes(self, capture: Capture) -> bool:
        cap = self._caps.get(capture.rule_id or 0)
        if cap is None:
            return True
        key = self._key(capture)
        if key not in self._read:
            self._read.add(key)
            self._used[key] = Capture.objects.filter(
                rule=key[0],
                received_at__date=key[1],
                state__in=(CaptureState.QUEUED, CaptureState.KNOWN),
            ).count()
        self._used[key] += 1
        return self._used[key] <= cap

    def give_back(self, capture: Capture) -> None:
        self._used[self._key(capture)] -= 1

    def _key(self, capture: Capture) -> tuple[int, date]:
        return capture.rule_id or 0, timezone.localdate(capture.received_at)


def draft_of(project: Project, capture: Capture) -> ItemDraft:
    """The item that a capture becomes in this project. Raises RowRefused where it does not fit the task."""
    body = capture.body
    answers = _answers(project.task, body["answers"], body.get("chosen"))
    contexts = [ContextDraft(**each) for each in body["contexts"]]
    messages = body["messages"]
    if (
        project.task != Task.RAG
    ):  # people then see what the model saw, in the one way in which prompts hold chunks
        messages, contexts = with_contexts(messages, [each.text for each in contexts]), []
    extra: dict[str, Any] = {
        "capture": {"id": capture.uid, "voice": capture.voice, "comment": body["comment"]}
    }
    if body.get("conversation"):
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
    """The answers that people judge: of a review and an edit the one that the user saw last, of a comparison two."""
    if task == Task.RAG and len(answers) > 1:
        if chosen is None:
            raise RowRefused(f"it has {len(answers)} answers and none was chosen; a review is of one answer")
        return [answers[chosen]]
    if task == Task.PAIRWISE and len(answers) > 2:
        best = 0 if chosen is None else chosen
        other = next(place for place in range(len(answers)) if place != best)
        return [answers[place] for place in sorted((best, other))]
    return answers
