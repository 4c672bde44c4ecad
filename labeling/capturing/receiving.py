"""A request with captures → what became of each: stored, a duplicate, or refused with a sentence."""

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling.capturing import queueing
from labeling.capturing.limiting import Limited, admit
from labeling.capturing.reading import CaptureDraft, NoConsent, read_capture
from labeling.capturing.sampling import rules_of, taking
from labeling.capturing.storing import count, insert_new, there
from labeling.errors import RowRefused
from labeling.models import CaptureTally, CaptureToken, Project
from labeling.models.captures import Voice

Outcome = CaptureTally.Outcome
OTHER_CONTENT = (
    "The key {!r} came before with other content, so nothing of this is stored; give each capture a key of its own, "
    "one with a vote that comes later too."
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one capture of a request. `id` is its name here, and empty where it was refused."""

    status: str
    id: str = ""
    reason: str = ""


def receive(*, token: CaptureToken, values: Sequence[Any], key: str = "") -> list[Fate]:
    """Store these captures, each by itself, and let the rules of the project take some for the queue.

    Everything that is said to be stored is committed. `key` is that of the request: of its only capture, or with the
    places of several. Raises Limited where the token has sent too many, and then nothing is stored.
    """
    now = timezone.now()
    day = timezone.localdate(now)
    project = token.project
    try:
        admit(token, len(values), now)
    except Limited:
        count(project=project, day=day, outcomes={Outcome.LIMITED: len(values)})
        raise
    keys = [key] if key and len(values) == 1 else _keys(key, len(values))
    read = [_read(value, project, each, now) for value, each in zip(values, keys, strict=True)]
    drafts: dict[str, CaptureDraft] = {}
    for each in read:
        if isinstance(each, CaptureDraft):
            drafts.setdefault(each.key, each)
    rules = rules_of(project) if drafts else []
    rows = [(draft, taking(rules, draft)) for draft in drafts.values()]
    with transaction.atomic():
        stored = insert_new(token=token, rows=rows, now=now) if rows else set()
        fates = _fates(read, drafts, stored, project)
        count(project=project, day=day, outcomes=_outcomes(read, fates, drafts, stored))
    if any(rule is not None and draft.key in stored for draft, rule in rows):
        queueing.nudge(project)
    return fates


def _keys(key: str, count: int) -> list[str]:
    """Keys of captures that name none, in the order of the captures: rows lie in the order of their keys."""
    name = key or f"{time.time_ns():x}-{uuid.uuid4().hex}"
    return [f"{name}:{place:04d}" for place in range(count)]


def _read(value: Any, project: Project, key: str, now: datetime) -> CaptureDraft | RowRefused:
    try:
        return read_capture(value, project=project, key=key, now=now)
    except RowRefused as refusal:
        return refusal


def _fates(
    read: Sequence[CaptureDraft | RowRefused],
    drafts: dict[str, CaptureDraft],
    stored: set[str],
    project: Project,
) -> list[Fate]:
    known = there(project, [key for key in drafts if key not in stored])
    known |= {key: (drafts[key].uid, drafts[key].sent) for key in stored}
    found = []
    for each in read:
        if isinstance(each, RowRefused):
            found.append(Fate("refused", reason=f"{each.sentence[:1].upper()}{each.sentence[1:]}."))
            continue
        uid, sent = known.get(each.key, ("", None))
        if sent not in (None, each.sent):
            found.append(Fate("refused", reason=OTHER_CONTENT.format(each.key)))
        else:
            found.append(Fate("stored" if uid == each.uid else "duplicate", uid))
    return found


def _outcomes(
    read: Sequence[CaptureDraft | RowRefused],
    fates: Sequence[Fate],
    drafts: dict[str, CaptureDraft],
    stored: set[str],
) -> Counter[str]:
    found: Counter[str] = Counter()
    for each, fate in zip(read, fates, strict=True):
        found[Outcome.NO_CONSENT if isinstance(each, NoConsent) else Outcome(fate.status)] += 1
    voices = Counter(drafts[key].voice for key in stored)
    found[Outcome.BAD], found[Outcome.GOOD] = voices[Voice.BAD], voices[Voice.GOOD]
    return found
