"""Items: the list, and one item with what was said of it."""

from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from labeling.access import Access, guarded
from labeling.curation import current_judgments
from labeling.models import Assignment, Item, Judgment
from labeling.pages import page
from labeling.values import LABEL_WORDS

PER_PAGE = 50
SORTS = {"": "id", "newest": "-id", "judgments": "-judgments_count"}
PAYLOAD = ("messages", "extra")


@guarded("review")
def items(request: HttpRequest, access: Access) -> HttpResponse:
    q, status, sort = (request.GET.get(name, "") for name in ("q", "status", "sort"))
    rows = _with_counts(Item.objects.filter(project=access.project).defer(*PAYLOAD))
    q = q.replace("\0", "")
    if q:
        rows = rows.filter(preview__icontains=q)
    if status in ("open", "done"):
        waiting = Assignment.objects.filter(project=access.project, submitted_at=None, skipped_at=None)
        rows = (
            rows.filter(pk__in=waiting.values("item"))
            if status == "open"
            else rows.exclude(pk__in=waiting.values("item"))
        )
    paginator = Paginator(rows.order_by(SORTS.get(sort, "id")), PER_PAGE)
    context = {
        "page_obj": paginator.get_page(request.GET.get("page")),
        "q": q,
        "status": status,
        "sort": sort,
        "section": "items",
    }
    return page(request, "labeling/items.html", context, fragment="rows")


@guarded("review")
def item(request: HttpRequest, access: Access, item_id: int) -> HttpResponse:
    found = get_object_or_404(Item, project=access.project, pk=item_id)
    blind = _is_blind(access, found)
    responses = list(found.responses.order_by("position"))
    if blind:
        for response in responses:
            response.origin = ""
    context = {
        "item": found,
        "messages_shown": found.messages,
        "responses": responses,
        "judgments": [] if blind else _judgments(access, found),
        "blind": blind,
        "section": "items",
    }
    return page(request, "labeling/item.html", context)


def _is_blind(access: Access, item: Item) -> bool:
    """Whoever may still be given this item sees neither the others' answers nor who wrote the responses."""
    if not access.can.annotate or access.person is None:
        return False
    slots = Assignment.objects.filter(item=item)
    mine = slots.filter(person=access.person).first()
    if mine is not None:
        return mine.submitted_at is None and mine.skipped_at is None
    return slots.filter(submitted_at=None, skipped_at=None).exists()


def _judgments(access: Access, item: Item) -> list[dict[str, object]]:
    rows = current_judgments(access.project).filter(item=item).select_related("person").order_by("id")
    return [
        {
            "person": row.person.username,
            "label_words": LABEL_WORDS[row.label],
            "order_words": " then ".join("AB"[position] for position in row.display_order),
            "created_at": row.created_at,
        }
        for row in rows
    ]


def _with_counts(rows: QuerySet[Item]) -> QuerySet[Item]:
    judged = Judgment.objects.filter(item=OuterRef("pk"), revision=1).order_by().values("item")
    return rows.annotate(judgments_count=Coalesce(Subquery(judged.annotate(n=Count("pk")).values("n")), 0))
