"""How conversations end: deleted by their person, or forgotten after a while. Where a judgment rests on a turn, the
conversation stays: the judgment's origin can be read for as long as there is one."""

import shutil
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from evaluation.models import Conversation, Outcome, Serving
from evaluation.playground.serving import call_waiting, serve_forgotten
from evaluation.playground.talking import locked
from labeling.errors import Refused
from labeling.lifecycle import TERMINAL

AT_A_TIME = 50


def delete_conversation(*, conversation: Conversation) -> None:
    """Delete a conversation with everything that was said. Items and cases that were made of it stay. Raises Refused
    where a judgment rests on one of its turns. A worker that serves it finds its row gone, and stops."""
    with transaction.atomic():
        outcomes = Outcome.objects.filter(turn__conversation=locked(conversation))
        first = outcomes.filter(judgment__isnull=False).select_related("turn").first()
        if first is not None:
            raise Refused(
                f"A judgment rests on turn {first.turn.number} (item {first.item_id}), so this conversation stays. "
                "Withdraw the item to keep it out of every later dataset."
            )
        folders = [serving.path for serving in conversation.servings.all()]
        outcomes.delete()
        conversation.delete()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def forget_old() -> None:
    """Delete the conversations that nobody used for as long as the settings say, and on which no judgment rests."""
    if settings.PREFLOOP_CHAT_DAYS <= 0:
        return
    since = timezone.now() - timedelta(days=settings.PREFLOOP_CHAT_DAYS)
    judged = Outcome.objects.filter(turn__conversation=OuterRef("pk"), judgment__isnull=False)
    served = Serving.objects.filter(conversation=OuterRef("pk")).exclude(status__in=TERMINAL)
    old = Conversation.objects.filter(~Exists(judged), ~Exists(served), used_at__lt=since)
    for conversation in old[:AT_A_TIME]:
        delete_conversation(conversation=conversation)


def sweep() -> None:
    """Take up again what a worker left, tell those that wait for room, and forget what is old."""
    Serving.sweep()
    call_waiting()
    serve_forgotten()
    forget_old()
