"""A capture as it was sent → what is stored of it; or what is wrong with it, which costs its neighbours nothing."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from labeling.capturing.texts import (
    LONGEST_MODEL,
    LONGEST_TAG,
    answers_of,
    keyed,
    label_of,
    messages_of,
    short,
    storable,
    text_of,
)
from labeling.errors import RowRefused
from labeling.importing.reviews import contexts_of, refuse_contexts
from labeling.models import Project
from labeling.models.captures import WHOLE, Voice
from labeling.models.items import PREVIEW_LENGTH
from labeling.pii import scrub_into
from labeling.values import LONGEST_REASON

MOST_TAGS = 20
LONGEST_KEY, LONGEST_LICENCE, LONGEST_NAME = 100, 100, 200
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FIELDS = {
    "prompt": "what was asked: a text, or a list of messages with role and content (also: messages)",
    "contexts": "what retrieval gave to the model, in its order: texts, or objects with text, title, ref and score",
    "answer": "what the model answered",
    "answers": "several answers to choose between: texts, or objects with text and model",
    "model": "which model answered",
    "thumbs": "what the user said of the answer: up or down",
    "chosen": "which of several answers the user chose, from 0",
    "comment": "what the user wrote about it",
    "user": "who it was, as a hash of yours; only a keyed hash of it is stored",
    "conversation": "an id that turns of one conversation share; only a keyed hash of it is stored",
    "consent": "true where the user agreed to this use; without it nothing of the capture is stored",
    "licence": "under which licence the texts may be used",
    "slice": "the part of your product that it comes from",
    "tags": "further words by which rules and people find it",
    "captured_at": "when it happened, as ISO 8601; now, where it is not given",
    "idempotency_key": "your own id of it: sending it again stores nothing twice, other content under it is refused",
}
NAMING = ("idempotency_key", "captured_at")
OTHER_NAMES = {"messages": "prompt", "license": "licence", "user_hash": "user"}


class NoConsent(RowRefused):
    """The user did not agree: counted, and not stored."""


@dataclass(frozen=True, slots=True)
class CaptureDraft:
    """A capture before it is stored, as labeling.models.Capture describes it. `body` is JSON already, `sent` in it."""

    key: str
    uid: str
    voice: str
    model: str
    slice: str
    labels: str
    licence: str
    user_hash: str
    preview: str
    n_answers: int
    n_contexts: int
    scrubbed: int
    draw: int
    captured_at: datetime
    body: str
    sent: str


def read_capture(value: Any, *, project: Project, key: str, now: datetime) -> CaptureDraft:
    """What is stored of a capture. `key` is used where it names none. Raises RowRefused with what is wrong."""
    given = _fields(value)
    if given.get("consent") is not True:
        said = "not given" if given.get("consent") is None else "refused"
        raise NoConsent(
            f"consent is {said}, so nothing of it is stored; send consent: true where the user agreed"
        )
    counts: Counter[str] = Counter()
    clean = partial(scrub_into, counts=counts)
    body, voice = _payload(given, clean, project)
    part = label_of(clean(short(given, "slice", LONGEST_TAG)))
    labels = filter(None, dict.fromkeys([part, *(label_of(clean(tag)) for tag in _tags(given))]))
    licence = clean(short(given, "licence", LONGEST_LICENCE))[:LONGEST_LICENCE]
    sent_as = short(given, "idempotency_key", LONGEST_KEY) or key
    named = sent_as if clean(sent_as) == sent_as else keyed(project, sent_as, b"key")
    asked = body["messages"][-1]["content"]
    draft = CaptureDraft(
        key=named,
        uid=uuid.uuid4().hex,
        voice=voice,
        model=body["answers"][0]["model"],
        slice=part,
        labels="|".join(["", *labels, ""]),
        licence=licence,
        user_hash=keyed(project, short(given, "user", LONGEST_NAME)),
        preview=" ".join(asked[: 10 * PREVIEW_LENGTH].split())[:PREVIEW_LENGTH],
        n_answers=len(body["answers"]),
        n_contexts=len(body["contexts"]),
        scrubbed=counts.total(),
        draw=int(keyed(project, named, b"draw"), 16) % WHOLE,
        captured_at=_moment(given, now),
        body=storable(body),
        sent=body["sent"],
    )
    storable([draft.key, draft.model, draft.labels, draft.licence])
    return draft


def _fields(value: Any) -> dict[str, Any]:
    """The fields that are given, by their first name; null is not given."""
    if not isinstance(value, Mapping):
        raise RowRefused(f"it is a {type(value).__name__}; a capture is an object with prompt and answer")
    named = ((str(name), part) for name, part in value.items() if part is not None)
    given = {OTHER_NAMES.get(name, name): part for name, part in named}
    unknown = next((name for name in given if name not in FIELDS), None)
    if unknown is not None:
        raise RowRefused(f"{unknown[:40]!r} is no field of a capture; the fields are {', '.join(FIELDS)}")
    return given


def _payload(
    given: dict[str, Any], clean: Callable[[str], str], project: Project
) -> tuple[dict[str, Any], str]:
    """The texts, scrubbed, and what the user said of the answer."""
    answers = answers_of(given)
    thumbs, chosen = given.get("thumbs"), given.get("chosen")
    if thumbs not in (None, "up", "down"):
        raise RowRefused(f"thumbs is {str(thumbs)[:40]!r}; use up or down, or leave it out")
    if chosen is not None and (type(chosen) is not int or not 0 <= chosen < len(answers)):
        raise RowRefused(
            f"chosen is {str(chosen)[:40]!r}; give the place of an answer, from 0 to {len(answers) - 1}"
        )
    voice = {"up": Voice.GOOD, "down": Voice.BAD}.get(
        str(thumbs), Voice.SILENT if chosen is None else Voice.CHOSE
    )
    comment = text_of(given.get("comment", ""), "comment", LONGEST_REASON)
    contexts = contexts_of(given)
    refuse_contexts(contexts)
    body = {
        "messages": [{**turn, "content": clean(turn["content"])} for turn in messages_of(given)],
        "contexts": [
            {
                "text": clean(each.text),
                "title": clean(each.title),
                "ref": clean(each.ref),
                "score": each.score,
            }
            for each in contexts
        ],
        "answers": [{"text": clean(text), "model": clean(model)[:LONGEST_MODEL]} for text, model in answers],
        "chosen": chosen,
        "comment": clean(comment),
        "conversation": keyed(project, short(given, "conversation", LONGEST_NAME)),
        "sent": keyed(project, _content(given), b"sent"),
    }
    return body, voice


def _content(given: Mapping[str, Any]) -> str:
    """What makes a capture the one that was sent before, under the same key: all but the key and the time."""
    try:
        return json.dumps({name: given[name] for name in given if name not in NAMING}, sort_keys=True)
    except RecursionError as error:
        raise RowRefused("it is nested too deeply") from error


def _tags(given: Mapping[str, Any]) -> list[str]:
    value = given.get("tags", [])
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise RowRefused("tags must be a list of texts")
    if len(parts) > MOST_TAGS:
        raise RowRefused(f"there are {len(parts)} tags; up to {MOST_TAGS} are taken")
    return [text_of(part, "a tag", LONGEST_TAG) for part in parts]


def _moment(given: Mapping[str, Any], now: datetime) -> datetime:
    value = given.get("captured_at")
    if value is None:
        return now
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise RowRefused(
            f"captured_at is {str(value)[:40]!r}; write it as in 2026-11-29T16:05:00Z, or leave it out"
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if not EARLIEST <= found <= now + timedelta(days=1):
        raise RowRefused(
            f"captured_at is {value[:40]!r}; give a time since the year 2000 that is not to come"
        )
    return found
