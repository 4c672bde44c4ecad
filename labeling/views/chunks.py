"""Chunks that are too long to come with the page of a review: read one by one, and searched."""

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse

from labeling.access import Access, guarded
from labeling.models import Chunk, Item
from labeling.pages import page

LONGEST_QUERY = 200
NOT_OPEN = "There is no such chunk of an item that you have open; go back to your queue and look again."


@guarded("annotate")
def chunk(request: HttpRequest, access: Access, assignment_id: int, position: int) -> HttpResponse:
    """One chunk, in full, of the item that I have open or have judged."""
    found = Chunk.objects.filter(item__in=_mine(access, assignment_id), position=position).first()
    if found is None:
        return HttpResponse(NOT_OPEN, status=409, content_type="text/plain")
    context = {"chunk": found, "number": position + 1, "section": "rank"}
    return page(request, "labeling/chunk.html", context, fragment="text")


@guarded("annotate")
def search(request: HttpRequest, access: Access, assignment_id: int) -> HttpResponse:
    """The positions of the chunks that hold these words in their title or text, for the filter of the page."""
    words = request.GET.get("q", "").replace("\0", "")[:LONGEST_QUERY].split()
    chunks = Chunk.objects.filter(item__in=_mine(access, assignment_id))
    for word in words:
        chunks = chunks.filter(Q(text__icontains=word) | Q(title__icontains=word))
    return JsonResponse({"positions": list(chunks.order_by("position").values_list("position", flat=True))})


def _mine(access: Access, assignment_id: int) -> QuerySet[Item]:
    """The item of a slot that is mine; no item where it is not."""
    return Item.objects.filter(
        assignments__pk=assignment_id, assignments__person=access.person, assignments__skipped_at=None
    ).filter(project=access.project)
