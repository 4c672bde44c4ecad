"""Whose conversations there are: everybody's own ones in full, and for owners how many others have."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.shortcuts import get_object_or_404

from evaluation.models import Conversation
from labeling.errors import Refused
from labeling.models import Project, User


def conversations_of(*, project: Project, person: User) -> QuerySet[Conversation]:
    """A person's own conversations, those used last first, each with its voices and the number of its `asked` turns."""
    rows = Conversation.objects.filter(project=project, created_by=person).prefetch_related("voices")
    counted = rows.annotate(asked=Count("turns", filter=Q(turns__replaced_at=None)))
    return counted.order_by("-used_at", "-pk")


def counts_of_people(project: Project) -> Sequence[Mapping[str, Any]]:
    """How many conversations each person has, and when they used one last; nothing of what was said."""
    rows = Conversation.objects.filter(project=project).order_by().values("created_by__username")
    counted: Any = rows.annotate(count=Count("pk"), last=Max("used_at")).order_by("created_by__username")
    return list(counted)


def own_conversation(project: Project, person: User, number: int) -> Conversation:
    """A conversation of this person. Raises Http404 where there is none of this number, and Refused where it is
    somebody else's."""
    found = get_object_or_404(Conversation.objects.select_related("project"), project=project, pk=number)
    if found.created_by_id != person.pk:
        raise Refused("This conversation is somebody else's; only they can read it. Begin one of your own.")
    return found
