"""A project as an annotator sees it: the annotating page with an item that nobody holds, and nothing is stored."""

import uuid
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from labeling.access import Access, guarded
from labeling.annotating import SKIP_REASONS
from labeling.models import Item, Project, Response
from labeling.models import Task as Kind
from labeling.pages import page
from labeling.preferences import key_words, keys_of
from labeling.progress import Progress
from labeling.rag.showing import ShownChunk, chunks_of, shown_categories
from labeling.screen import screen
from labeling.tasks import Task, shown_responses
from labeling.values import LONGEST_TEXT, STRENGTHS, display_order

PROMPT = [{"role": "user", "content": "How do I keep basil alive on a windowsill?"}]
ANSWERS = (
    "Give it six hours of sun, water it when the top of the soil is dry, and pick from the top so that it "
    "branches.\n\n- Turn the pot every few days.\n- Keep it away from cold glass in winter.",
    "Basil likes sun and water.",
    "Water it three times a day and cut it down to the soil each month.",
)
PASSAGES = [
    ShownChunk(
        0, "Herbs indoors", "Basil wants six hours of sun a day. Turn the pot, or it leans to the window."
    ),
    ShownChunk(1, "Watering", "Water basil when the top of the soil is dry. Standing water rots its roots."),
]
NOTHING = Progress(done=0, today=0, left=1, more_left=False, active_today_ms=0, per_hour=None, cap=None)


@guarded("curate")
def preview(request: HttpRequest, access: Access) -> HttpResponse:
    project = access.project
    wanted = request.GET.get("item", "")
    items = Item.objects.filter(project=project)
    item = items.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 18 else None
    item = item or items.first()
    task = _task_of(project, item) if item else _sample(project)
    following = items.filter(pk__gt=item.pk).values_list("pk", flat=True).first() if item else None
    return page(request, "labeling/preview.html", _context(project, task, item, following))


def _task_of(project: Project, item: Item) -> Task:
    texts = list(Response.objects.filter(item=item).order_by("position").values_list("text", flat=True))
    order = display_order(
        key=project.order_key, item_hash=item.content_hash, turn=0, responses=item.n_responses
    )
    shown = [texts[position] for position in order if position < len(texts)]
    return _task(project, item.messages, shown, chunks_of(item))


def _sample(project: Project) -> Task:
    counts = {Kind.RANKING: 3, Kind.EDIT: 1, Kind.DEMONSTRATION: 0, Kind.RAG: 1}
    return _task(project, PROMPT, list(ANSWERS[: counts.get(Kind(project.task), 2)]), PASSAGES)


def _task(
    project: Project, messages: list[dict[str, str]], texts: list[str], chunks: list[ShownChunk]
) -> Task:
    """What the annotating page gets of an item; its token opens nothing."""
    return Task(
        kind=project.task,
        assignment_id=0,
        token=uuid.uuid4(),
        client_key=uuid.uuid4(),
        messages=messages,
        responses=shown_responses(texts),
        draft=None,
        expires_at=timezone.now() + timedelta(seconds=project.lease_seconds),
        chunks=chunks,
        categories=shown_categories(project) if project.task == Kind.RAG else [],
    )


def _context(project: Project, task: Task, item: Item | None, following: int | None) -> dict[str, Any]:
    return {
        "task": task,
        "screen": screen(task=task, project=project),
        "item": item,
        "following": following,
        "progress": NOTHING,
        "left": 1,
        "total": 0,
        "skip_reasons": SKIP_REASONS.items(),
        "strengths": STRENGTHS.items() if project.ask_strength else (),
        "longest_text": LONGEST_TEXT,
        "key": {name: key_words(key) for name, key in keys_of({}).items()},
        "keys_json": "{}",
        "preferences": {"guide": "open"},
        "last_read": project.guideline.number if project.guideline else 0,
        "section": "setup",
    }
