"""A project of RAG reviews for the demo: real answers and passages of MTRAG, some of them reviewed already."""

import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.db import transaction

from evaluation.demo.people import make_people
from labeling.annotating import Sent, submit
from labeling.guidelines import save_guideline
from labeling.importing import inspector
from labeling.importing.mapping import to_draft
from labeling.intake import ItemDraft, add_items
from labeling.models import Judgment, Project, Task, User
from labeling.projects import create_project
from labeling.queue import claim_next
from labeling.rag.answers import BAD, GOOD, RagAnswer, Span
from labeling.rag.candidates import sentences, unsupported
from labeling.rag.showing import ShownChunk
from labeling.tasks import Task as Shown
from labeling.tasks import show

BUNDLED = Path(__file__).with_name("mtrag-part.json.gz")
SLUG, NAME, LICENCE = "rag-review", "RAG review", "Apache-2.0"
FIRST, SECOND = 12, 5
"""How many answers Ben reviews, and how many of them Bea after him."""

SHORTEST = 30  # characters of a statement; the number of a list is none
DESCRIPTION = "Do the answers of three systems rest on the passages that were retrieved? Questions of MTRAG."


GUIDELINE = """# How to review

- Read the question, then the chunks: mark what is relevant to the question, whatever the answer made of it.
- Mark each statement that no chunk supports, or that a chunk contradicts, and link those that have support.
- **Bad** is an answer that would mislead somebody, or that does not say what the chunks would have let it say.
- Correct an answer where a few words are enough; else say why it is bad.
"""


def fill_reviews(*, say: Any) -> Project:
    """The project with its answers; Ben has reviewed some, and Bea some of these on a second pass. Safe to repeat."""
    project = Project.objects.filter(slug=SLUG).first()
    if project is None:
        project = create_project(
            name=NAME,
            owner=None,
            task=Task.RAG,
            overlap=2,
            two_pass=True,
            gold_share=0,
            repeat_share=0,
            description=DESCRIPTION,
        )
    people, given = make_people(project), drafts()
    if project.guideline_id is None:
        save_guideline(project=project, text=GUIDELINE, person=people["ada"])
        project.refresh_from_db()
    if not project.items.exists():
        unjudged = [replace(draft, verdicts=[]) for draft in given]
        new = add_items(project=project, drafts=unjudged, source_kind="import").new
        say(f"{new:,} RAG answers from {BUNDLED.name}")
    if not Judgment.objects.filter(project=project).exists():
        rated = {draft.responses[0].text: _was_good(draft) for draft in given}
        with transaction.atomic():
            count = _review(project, people["ben"], rated, FIRST) + _review(
                project, people["bea"], rated, SECOND
            )
        say(f"{count:,} reviews, with the verdicts that MTRAG's people gave and marks made up for the demo")
    return project


def drafts() -> list[ItemDraft]:
    """The bundled answers with their passages and the ratings of people."""
    content = io.BytesIO(gzip.decompress(BUNDLED.read_bytes()))
    rows = list(inspector.rows(content, BUNDLED.name))
    found = [to_draft(row, format="inspector", task=Task.RAG) for _, row in rows]
    return [replace(draft, licence=LICENCE) for draft in found]


def _was_good(draft: ItemDraft) -> bool:
    """Whether at least half of the people who rated the answer found it good."""
    said = [verdict.rag["verdict"] == GOOD for verdict in draft.verdicts if verdict.rag]
    return bool(2 * sum(said) >= len(said))


def _review(project: Project, person: User, rated: dict[str, bool], most: int) -> int:
    for done in range(most):
        slot = claim_next(project=project, person=person)
        if slot is None:
            return done
        task = show(assignment=slot, person=person)
        good = rated.get(task.responses[0].text, True)
        answer = _answer(task, good=good)
        sent = Sent(token=task.token, client_key=task.client_key, active_ms=40_000)
        submit(project=project, assignment_id=task.assignment_id, person=person, answer=answer, sent=sent)
    return most


def _answer(task: Shown, *, good: bool) -> RagAnswer:
    """Marks as somebody might make them: the sentence with the most words in a chunk rests on it, one with hardly any
    is called baseless."""
    text = task.responses[0].text
    texts = [chunk.text for chunk in task.chunks]
    doubtful = unsupported(text, texts)
    whole = [(start, end) for start, end in sentences(text) if end - start > SHORTEST]
    resting = [span for span in whole if span not in doubtful][:2] if texts else []
    spans = [
        Span(start=start, end=end, chunks=[_nearest(text[start:end], task.chunks)]) for start, end in resting
    ]
    if not good and doubtful:
        start, end = doubtful[0]
        spans.append(Span(start=start, end=end, category="evident_baseless", severity=2))
    used = {position for span in spans for position in span.chunks}
    return RagAnswer(
        verdict=GOOD if good else BAD,
        relevance=[2 if chunk.position in used else 1 for chunk in task.chunks],
        answers_question=2 if good else 1,
        spans=sorted(spans, key=lambda span: span.start),
        rationale="" if good else "It goes beyond what the passages say.",
    )


def _nearest(sentence: str, chunks: list[ShownChunk]) -> int:
    """The chunk that has the most of these words."""
    words = set(sentence.casefold().split())
    return max(chunks, key=lambda chunk: len(words & set(chunk.text.casefold().split()))).position
