"""Who is told: members by e-mail, programs by a signed webhook. Owners choose."""

from collections.abc import Sequence

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from evaluation.models import Channel, Delivery, Notice
from evaluation.models.notices import new_salt
from evaluation.policies.webhooks import read_address, secret_of
from labeling.access import opened
from labeling.errors import Refused
from labeling.models import Project, User

MOST = 50
UNSENT = [f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy", "filebased")]
CHOICES = [event for event in Notice.Event if event != Notice.Event.TEST]


def add_person(*, project: Project, username: str, events: Sequence[str], person: User | None) -> Channel:
    """Tell a member by e-mail. Raises Refused where that is nobody who may see results, or who has no address."""
    told = User.objects.filter(username=username.strip()).first()
    if told is None or opened(told, project.slug, "view_results") is None:
        raise Refused(
            f"{username.strip()[:150]!r} is no member who may see results; add them under People first."
        )
    if not told.email:
        raise Refused(f"{told.username} has no e-mail address; an administrator adds one to the account.")
    return _stored(Channel(project=project, kind=Channel.Kind.EMAIL, person=told), events, person)


def add_webhook(
    *, project: Project, url: str, events: Sequence[str], person: User | None
) -> tuple[Channel, str]:
    """Tell an address; with the secret that signs, which is told only now. Raises Refused."""
    read_address(url.strip())
    channel = _stored(Channel(project=project, kind=Channel.Kind.WEBHOOK, url=url.strip()), events, person)
    return channel, secret_of(channel.salt)


def renew_secret(channel: Channel) -> str:
    """Another secret; the one before is worthless at once. Raises Refused for an e-mail."""
    if channel.kind != Channel.Kind.WEBHOOK:
        raise Refused("Only webhooks are signed.")
    channel.salt = new_salt()
    channel.save(update_fields=["salt"])
    return secret_of(channel.salt)


def take_away(channel: Channel) -> None:
    """Tell it nothing more. What was on its way is given up; what was sent stays in the list."""
    with transaction.atomic():
        Channel.objects.filter(pk=channel.pk, archived_at=None).update(archived_at=timezone.now())
        waiting = Delivery.objects.filter(channel=channel, state=Delivery.State.WAITING)
        waiting.update(state=Delivery.State.GIVEN_UP, sentence="The channel was taken away.")


def sends_mail() -> bool:
    """Whether mail leaves this installation. What does not send it prints it, writes it to a file, or drops it."""
    return settings.EMAIL_BACKEND not in UNSENT


def _stored(channel: Channel, events: Sequence[str], person: User | None) -> Channel:
    known = [str(event) for event in CHOICES]
    wanted = [event for event in known if event in events]
    if not wanted or set(events) - set(known):
        raise Refused(f"Choose what is told: one or more of {', '.join(known)}.")
    if Channel.objects.filter(project=channel.project, archived_at=None).count() >= MOST:
        raise Refused(f"{MOST} are told already, the most there can be; take one away first.")
    channel.events, channel.created_by = wanted, person
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError as error:
        raise Refused(
            f"{channel.shown} is told already; take it away first to change what it is told."
        ) from error
    return channel
