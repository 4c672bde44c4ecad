"""What rows are made of: the texts of items, read for some hundred of them at a time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast

from labeling.compiled import among
from labeling.curation.votes import REVIEW, WRITING, Vote
from labeling.models import Chunk, ErrorCategory, Item, Judgment, Project, Response
from labeling.rag.prompting import with_contexts

Message = dict[str, str]


class Source(NamedTuple):
    """The payload of an item. `prompt` holds the retrieved chunks as a model was shown them, where there are any, and
    `asked` the messages without them. What people wrote, and their reviews, are by judgment; `stages` says of each
    category of the item's project where such errors arise."""

    prompt: list[Message]
    texts: Sequence[str]
    written: Mapping[int, str]
    asked: list[Message]
    chunks: Sequence[str]
    reviews: Mapping[int, Mapping[str, Any]]
    stages: Mapping[str, str]


class Payload:
    """Reads what the rows of these projects are made of."""

    def __init__(self, projects: Sequence[Project]) -> None:
        self._has_chunks = Chunk.objects.filter(item__project__in=projects).exists()
        self._stages: dict[str, dict[str, str]] = {}
        rows = ErrorCategory.objects.filter(project__in=projects).order_by()
        for slug, key, stage in rows.values_list("project__slug", "key", "stage"):
            self._stages.setdefault(slug, {})[key] = stage

    def read(self, found: Iterable[tuple[int, Sequence[Vote]]]) -> dict[int, Source]:
        """The payload of these items, and of the judgments behind their votes what people wrote."""
        votes = dict(found)
        items = list(votes)
        texts = _texts(Response, items)
        chunks = _texts(Chunk, items) if self._has_chunks else {}
        written, reviews = _written([vote for each in votes.values() for vote in each])
        prompts = among(Item.objects.order_by(), "labeling_item.id", items)
        whole = Cast("messages", TextField())  # a quarter of the time of the field's own reading
        sources = {}
        for item, messages in prompts.values_list("pk", whole).iterator():
            asked, shown = orjson.loads(messages), chunks.get(item, ())
            sources[item] = Source(
                with_contexts(asked, shown) if shown else asked,
                texts.get(item, ()),
                written.get(item, {}),
                asked,
                shown,
                reviews.get(item, {}),
                self._stages.get(votes[item][0].project, {}),
            )
        return sources


def asked_of(items: Collection[int]) -> dict[int, list[Message]]:
    """The messages of these items, without what was retrieved for them."""
    found = among(Item.objects.order_by(), "labeling_item.id", list(items))
    return dict(found.values_list("pk", "messages"))


def _texts(model: type[Response] | type[Chunk], items: Sequence[int]) -> dict[int, list[str]]:
    """The responses, or the chunks, of these items in their order."""
    found: dict[int, list[str]] = {}
    ordered = model._default_manager.order_by("item_id", "position")
    rows = among(ordered, f"{model._meta.db_table}.item_id", items)
    for item, text in rows.values_list("item_id", "text").iterator():
        if item in found:
            found[item].append(text)
        else:
            found[item] = [text]
    return found


def _written(votes: Sequence[Vote]) -> tuple[dict[int, dict[int, str]], dict[int, dict[int, Any]]]:
    """What people wrote and how they reviewed: item → judgment → text, or the whole review."""
    written: dict[int, dict[int, str]] = {}
    reviews: dict[int, dict[int, Any]] = {}
    wanted = [vote.judgment_id for vote in votes if vote.kind in WRITING or vote.kind == REVIEW]
    if not wanted:
        return written, reviews
    answers = among(Judgment.objects.order_by(), "labeling_judgment.id", wanted)
    for item, judgment, kind, answer in answers.values_list("item_id", "pk", "kind", "answer"):
        if kind == REVIEW:
            reviews.setdefault(item, {})[judgment] = answer
        else:
            written.setdefault(item, {})[judgment] = answer["text"]
    return written, reviews
