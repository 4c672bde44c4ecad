"""The only door by which work enters a project."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from labeling import imported
from labeling.compiled import insert_many, instance
from labeling.models import Assignment, Chunk, ImportBatch, Item, Judgment, Project, Response
from labeling.models.items import PREVIEW_LENGTH
from labeling.rag.prompting import question_of

Message = dict[str, str]


STORED = (
    *("content_hash", "prompt_hash", "preview", "source_ref", "licence"),
    *("synthetic", "n_responses", "messages", "extra"),
)


@dataclass(frozen=True, slots=True)
class ResponseDraft:
    text: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ContextDraft:
    """A passage that retrieval gave to the model, in retrieved order. `ref` is what the collection calls it."""

    text: str
    title: str = ""
    ref: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class VerdictDraft:
    """A judgment that comes with an imported item: who gave it, and what, in terms of the stored responses.

    `label` is "0" or "1" (position of the preferred response), "tie" or "both_bad" for pairwise; for a ranking the
    positions from best to worst, as in "2>0=1". `ratings` maps an attribute to one value per response. `edited` is the
    position of the response that `text` improves; without it `text` is a demonstration. `display_order`, `active_ms`
    and `created_at` are how and when it was given, where the file says so. `rag` holds the fields of a RagAnswer, for a
    review of a RAG answer.
    """

    person: str
    kind: str
    label: str = ""
    strength: int | None = None
    ratings: dict[str, list[int | None]] = field(default_factory=dict)
    edited: int | None = None
    text: str = ""
    rationale: str = ""
    display_order: list[int] | None = None
    active_ms: int | None = None
    created_at: datetime | None = None
    rag: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """An item before it is stored: the prompt's messages ({role, content}), the responses to judge and, for a review of
    a RAG answer, the contexts that were retrieved."""

    messages: list[Message]
    responses: list[ResponseDraft]
    source_ref: str = ""
    licence: str = ""
    synthetic: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    verdicts: list[VerdictDraft] = field(default_factory=list)
    contexts: list[ContextDraft] = field(default_factory=list)

    @property
    def content_hash(self) -> str:
        """The identity of an item: the first 128 bits, in hex, of a SHA-256 over prompt, responses and origins,
        and contexts where there are any.

        128 bits make an accident impossible in practice, and halve the index into which every import writes at random.
        """
        content: dict[str, Any] = {
            "messages": self.messages,
            "responses": [[r.text, r.origin] for r in self.responses],
        }
        if self.contexts:
            content["contexts"] = [[c.title, c.text, c.ref] for c in self.contexts]
        return digest(json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")))[:32]

    @property
    def preview(self) -> str:
        return " ".join(self.messages[-1]["content"].split())[:PREVIEW_LENGTH]


@dataclass(frozen=True, slots=True)
class Intake:
    new: int
    duplicate: int


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def prompt_hash(messages: Sequence[Message]) -> str:
    """Hash of what a prompt asks, without the chunks that were retrieved for it, and with case, width and white space
    evened out: one question, one hash, one split."""
    return hash_as_written(question_of(messages))


def hash_as_written(messages: Sequence[Message]) -> str:
    """The same with the chunks that stand in the prompt."""
    text = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
    return digest(" ".join(unicodedata.normalize("NFKC", text).casefold().split()))


def add_items(
    *,
    project: Project,
    drafts: Sequence[ItemDraft],
    source_kind: str,
    batch: ImportBatch | None = None,
) -> Intake:
    """Store the drafts that the project does not have yet, with one free slot per wanted judgment.

    The cost depends on the drafts only, not on what the project already holds. Repeating it is harmless.
    """
    unique = {draft.content_hash: draft for draft in drafts}
    for _ in range(3):
        try:
            with transaction.atomic():
                # Read anew for each call: the overlap may change while a long import runs.
                project.overlap = Project.objects.values_list("overlap", flat=True).get(pk=project.pk)
                known = _known(project, list(unique))
                fresh = {key: draft for key, draft in unique.items() if key not in known}
                _store(project, fresh, source_kind, batch)
        except IntegrityError:
            continue  # another import stored one of these at the same moment: look again
        return Intake(new=len(fresh), duplicate=len(drafts) - len(fresh))
    raise IntegrityError("other imports kept writing the same items; start this one again")


def _known(project: Project, hashes: list[str]) -> dict[str, int]:
    """The keys of the items with these hashes that the project has."""
    # Without an order: for the sake of ordering by id, SQLite would walk through all items of the project.
    rows = Item.objects.filter(project=project, content_hash__in=hashes).order_by()
    return dict(rows.values_list("content_hash", "pk"))


def _since(project: Project, last: int) -> dict[str, int]:
    """The keys, by hash, of the project's items after this one: read in a row, where a look-up of each new hash would
    go to a random place of its index once more."""
    rows = Item.objects.filter(pk__gt=last).order_by().values_list("content_hash", "pk", "project_id")
    return {key: pk for key, pk, owner in rows if owner == project.pk}


def _store(
    project: Project, fresh: dict[str, ItemDraft], source_kind: str, batch: ImportBatch | None
) -> None:
    last = Item.objects.aggregate(last=Max("pk"))["last"] or 0
    insert_many(
        Item(
            project=project,
            batch=batch,
            content_hash="",
            prompt_hash="",
            source_kind=source_kind,
            overlap=project.overlap,
            messages=[],
        ),
        STORED,
        (
            (
                *(key, prompt_hash(draft.messages), draft.preview, draft.source_ref, draft.licence),
                *(draft.synthetic, len(draft.responses), draft.messages, draft.extra),
            )
            for key, draft in fresh.items()
        ),
    )
    keys = _since(project, last)
    ordered = [(keys[key], draft) for key, draft in fresh.items()]
    _store_texts(ordered)
    items = [instance(Item, ["id", "content_hash"], [keys[key], key]) for key in fresh]
    judged = imported.judgments(project, list(zip(items, fresh.values(), strict=True)))
    insert_many(
        Assignment(project=project),
        ("item_id", "slot", "turn"),
        (
            (item, slot, slot)
            for item, draft in ordered
            for slot in range(len(draft.verdicts), max(project.overlap, len(draft.verdicts)))
        ),
    )
    Judgment.objects.bulk_create(judged)


def _store_texts(ordered: list[tuple[int, ItemDraft]]) -> None:
    """The responses and the contexts of these items, by their keys."""
    insert_many(
        Response(),
        ("item_id", "position", "text", "origin"),
        (
            (item, position, response.text, response.origin)
            for item, draft in ordered
            for position, response in enumerate(draft.responses)
        ),
    )
    contexts = [
        (item, position, context.title, context.text, context.ref, context.score)
        for item, draft in ordered
        for position, context in enumerate(draft.contexts)
    ]
    if contexts:
        insert_many(Chunk(), ("item_id", "position", "title", "text", "ref", "score"), contexts)
