"""Items: the list, and one item with what was said of it and what its right answer is."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404

from labeling.access import Access, guarded
from labeling.blind import read_without_judging
from labeling.errors import Refused
from labeling.exporting_judgments import judgments_file
from labeling.gold import mark_gold, mark_resolved_gold, unmark_gold
from labeling.itemlist import STATES, items_of
from labeling.models import Item, User
from labeling.pages import page
from labeling.sides import sides_of
from labeling.views.parts import number
from labeling.wording import COMPARED


@guarded("review")
def items(request: HttpRequest, access: Access) -> HttpResponse:
    q = request.GET.get("q", "").replace("\0", "")[:200]
    state, newest = request.GET.get("status", ""), request.GET.get("sort") == "newest"
    found = items_of(
        project=access.project,
        q=q,
        state=state if state in STATES else "",
        newest=newest,
        after=number(request.GET.get("after")),
        before=number(request.GET.get("before")),
    )
    context = {
        "found": found,
        "q": q,
        "state": state if state in STATES else "",
        "states": STATES.items(),
        "sort": "newest" if newest else "",
        "section": "items",
    }
    return page(request, "labeling/items.html", context, fragment="rows")


@guarded("review")
def item(request: HttpRequest, access: Access, item_id: int) -> HttpResponse:
    found = get_object_or_404(Item, project=access.project, pk=item_id)
    refused, words = "", ""
    if request.method == "POST":
        assert access.person is not None
        try:
            words = _act(request, access, access.person, item_id)
        except Refused as refusal:
            refused = refusal.sentence
    context = {
        "item": found,
        "sides": sides_of(project=access.project, item=found, reader=access.person),
        "compared": access.project.task in COMPARED,
        "refused": refused,
        "words": words,
        "section": "items",
    }
    status = 422 if refused else 200
    return page(request, "labeling/item.html", context, fragment="said", status=status)


def _act(request: HttpRequest, access: Access, person: User, item_id: int) -> str:
    """What the pressed button asks for, and a sentence that says it was done."""
    step = request.POST.get("do", "")
    if step == "mark":
        label, note = request.POST.get("label", ""), request.POST.get("note", "")
        mark_gold(project=access.project, item_id=item_id, person=person, label=label, note=note)
        return "People are checked by this item now; it is no work any more."
    if step == "mark_settled":
        mark_resolved_gold(project=access.project, item_id=item_id, person=person)
        return "The settled answer is the known answer now; the item is no work any more."
    if step == "unmark":
        unmark_gold(project=access.project, item_id=item_id)
        return "This item is work again."
    if step == "read":
        read_without_judging(project=access.project, item_id=item_id, person=person)
        return "You read this item now and are not given it to judge."
    raise Refused("Nothing was chosen; press one of the buttons of this page.")


@guarded("view_results")
def judgments(request: HttpRequest, access: Access, format: str) -> StreamingHttpResponse:
    """Download: what everybody said, without the items that the reader may still be given."""
    return judgments_file(access, format)
