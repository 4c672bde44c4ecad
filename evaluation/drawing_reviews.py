"""Which reviewed answers a judge is held against, and what people said of them: drawn once and written down."""

import hashlib
import heapq
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from evaluation.carrying import json_line, write_lines
from evaluation.drawing import LEFT_OUT, learned_by
from evaluation.models import AgreementCard
from labeling.curation.withdrawing import is_withdrawn
from labeling.errors import Refused
from labeling.models import Chunk, Item, Judgment, Project, Response, Task
from labeling.rag.reviewed import names_of
from labeling.rag.triad import supported, unsupported
from labeling.reviewlist import standing

About = AgreementCard.About
REVIEWS = "reviews.jsonl"
BEAT_ROWS = 2000
ASKED = {
    About.CONTEXT_RELEVANCE: "relevance",
    About.GROUNDEDNESS: "spans",
    About.ANSWER_RELEVANCE: "answers_question",
}
"""Which question of a review is about a measure."""


@dataclass(frozen=True, slots=True)
class Review:
    """An answer with all that its reviewers said of one measure, an entry a reviewer: the grade of each context (0 to
    2, null where it was not marked), the stretches of the answer that nothing supports and those that a context
    does, or the grade of the answer."""

    row: int
    item: str
    cluster: str
    prompt: list[dict[str, str]]
    contexts: list[str]
    text: str
    people: list[Any]


def has_reviews(project: Project) -> bool:
    """Whether people have reviewed answers from given texts here."""
    return project.task == Task.RAG and _standing(project).exists()


def draw_reviews(
    folder: Path, *, project: Project, about: str, judge: object, limit: int, watch: Callable[[], None]
) -> None:
    """Write down which reviewed answers are asked about; a draw of before is left as it is.

    They are drawn at random, but for one project always alike, so that the cards of several judges are about the same
    answers. Prompts that a checkpoint was trained on are left out: there it repeats what it was told. Raises Refused
    where nothing is left.
    """
    if (folder / REVIEWS).exists():
        return
    said = _said(project, About(about), watch)
    seen = learned_by(judge, watch)
    rows = Item.objects.filter(_has_parts(About(about)), project=project)
    keys = rows.values_list("pk", "content_hash", "prompt_hash")
    found = [row for row in keys.iterator(chunk_size=BEAT_ROWS) if row[0] in said]
    fresh = [(key, content) for key, content, prompt in found if prompt not in seen]
    chosen = heapq.nsmallest(limit, fresh, key=lambda one: _chance(one[1]))
    if not chosen:
        raise Refused(_why_none(project, About(about), bool(found)))
    write_lines(folder / LEFT_OUT, [json.dumps(len(found) - len(fresh)).encode()])
    write_lines(folder / REVIEWS, (json_line(_review(key, said[key], watch)) for key, _ in chosen))


def reviews(folder: Path) -> Iterator[Review]:
    """The reviewed answers of a draw, in its order."""
    with (folder / REVIEWS).open(encoding="utf-8") as file:
        for line in file:
            yield Review(**json.loads(line))


def _standing(project: Project) -> QuerySet[Judgment]:
    return standing(project=project, kind=Task.RAG).filter(~is_withdrawn())


def _has_parts(about: About) -> Q:
    """The items whose answers have what the measure is about."""
    text = Q(Exists(Response.objects.filter(item=OuterRef("pk")).exclude(text="")))
    return (
        text & Q(Exists(Chunk.objects.filter(item=OuterRef("pk"))))
        if about != About.ANSWER_RELEVANCE
        else text
    )


def _said(project: Project, about: About, watch: Callable[[], None]) -> dict[int, list[Any]]:
    """What each reviewer of an item said of the measure; items of which nothing was said are not there."""
    stages = names_of(project).stages
    found: dict[int, list[Any]] = defaultdict(list)
    rows = _standing(project).order_by("item_id", "person_id").values_list("item_id", "answer")
    for number, (item, answer) in enumerate(rows.iterator(chunk_size=BEAT_ROWS)):
        if number % BEAT_ROWS == 0:
            watch()
        if (said := _of(answer, about, stages)) is not None:
            found[item].append(said)
    return found


def _of(answer: Mapping[str, Any], about: About, stages: Mapping[str, str]) -> Any:
    asked = ASKED[about]
    if asked in (answer.get("unasked") or []):
        return None
    if about == About.GROUNDEDNESS:
        return [unsupported(answer, stages), supported(answer)]
    said = answer.get(asked)
    if about == About.CONTEXT_RELEVANCE and all(grade is None for grade in said or []):
        return None
    return said


def _review(key: int, people: list[Any], watch: Callable[[], None]) -> Review:
    watch()
    item = Item.objects.prefetch_related("responses").get(pk=key)
    chunks = Chunk.objects.filter(item=item).order_by("position").values_list("text", flat=True)
    return Review(
        row=key,
        item=item.content_hash,
        cluster=item.prompt_hash,
        prompt=item.messages,
        contexts=list(chunks),
        text=item.responses.all()[0].text,
        people=people,
    )


def _chance(content_hash: str) -> str:
    return hashlib.sha256(f"{content_hash}:draw".encode()).hexdigest()


def _why_none(project: Project, about: About, learned: bool) -> str:
    if learned:
        return (
            f"The judge has learned from every prompt of {project} that was reviewed, so it cannot be held against the "
            "reviews; choose another model as the judge."
        )
    return f"No review of an answer in {project} says anything of {about.label.lower()}; review some answers first."
