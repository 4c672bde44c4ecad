"""Bring notices to where they go: at least once, tried again after longer and longer waits, and given up in the end."""

import json
import logging
from datetime import timedelta
from smtplib import SMTPException

from django.core.mail import send_mail
from django.db.models import F
from django.utils import timezone

from evaluation.models import Channel, Delivery
from evaluation.policies.channels import sends_mail
from evaluation.policies.notices import DELIVER
from evaluation.policies.webhooks import NotSent, post, secret_of, signed
from labeling.access import opened
from labeling.broker import send
from labeling.errors import Refused

log = logging.getLogger(__name__)

WAITS = [timedelta(seconds=seconds) for seconds in (30, 300, 1800, 7200, 28_800, 86_400)]
MOST_TRIES = len(WAITS) + 1
LEASE = timedelta(minutes=2)  # longer than any try takes
LATE = timedelta(seconds=30)
AT_ONCE = 100
PRINTED = (
    "No mail server is set, so it was only printed to the worker's log; send it again once EMAIL_HOST is set."
)
State = Delivery.State


def deliver(delivery: Delivery) -> bool:
    """Take a delivery that is due, and try. False where it is not due, another worker has it, or it did not arrive."""
    now = timezone.now()
    due = Delivery.objects.filter(pk=delivery.pk, state=State.WAITING, due_at__lte=now)
    if due.update(due_at=now + LEASE, tries=F("tries") + 1) != 1:
        return False
    row = Delivery.objects.select_related("notice__project", "channel__person", "channel__project").get(
        pk=delivery.pk
    )
    try:
        code = _bring(row)
    except NotSent as fault:
        _later(row, fault)
        return False
    except Exception as fault:
        log.exception("delivery %s met an unexpected fault", row.pk)
        _later(row, NotSent(f"Unexpected {type(fault).__name__}."))
        return False
    _settle(row, state=State.SENT, code=code, sentence="", sent_at=timezone.now())
    return True


def send_again(delivery: Delivery) -> None:
    """Send once more what was sent or given up, with all its tries. Raises Refused where it is on its way."""
    ended = Delivery.objects.filter(pk=delivery.pk, channel__archived_at=None).exclude(state=State.WAITING)
    if ended.update(state=State.WAITING, tries=0, due_at=timezone.now(), sentence="", code=None) != 1:
        raise Refused("This message is on its way already, or its channel is gone.")
    send(DELIVER, delivery.pk)


def sweep() -> None:
    """Send again the messages about deliveries that are due and that nobody took; give up those whose workers died each
    time."""
    late = Delivery.objects.filter(state=State.WAITING, due_at__lt=timezone.now() - LATE)
    words = f"The worker died at each of {MOST_TRIES} tries; look at its log, then send it again."
    late.filter(tries__gte=MOST_TRIES).update(state=State.GIVEN_UP, sentence=words)
    for key in late.order_by("due_at").values_list("pk", flat=True)[:AT_ONCE]:
        send(DELIVER, key)


def _bring(row: Delivery) -> int | None:
    channel, notice = row.channel, row.notice
    if channel.archived_at is not None:
        raise NotSent("The channel was taken away.")
    if channel.kind == Channel.Kind.EMAIL:
        _mail(row)
        return None
    body = json.dumps(notice.payload).encode()
    stamp = int(timezone.now().timestamp())
    headers = {"content-type": "application/json", "user-agent": "Prefloop"}
    headers |= signed(uid=notice.uid, timestamp=stamp, body=body, secret=secret_of(channel.salt))
    try:
        return post(url=channel.url, body=body, headers=headers)
    except Refused as refusal:
        raise NotSent(refusal.sentence) from refusal


def _mail(row: Delivery) -> None:
    person, notice = row.channel.person, row.notice
    assert person is not None
    if not person.is_active or opened(person, notice.project.slug, "view_results") is None:
        raise NotSent(f"{person.username} may not see the results of this project any more.")
    if not person.email:
        raise NotSent(f"{person.username} has no e-mail address; an administrator adds one to the account.")
    try:
        send_mail(notice.subject, notice.text, None, [person.email])
    except (OSError, SMTPException) as error:
        raise NotSent(f"The mail server did not take it ({type(error).__name__}).") from error
    if not sends_mail():
        raise NotSent(PRINTED, for_good=True)


def _later(row: Delivery, fault: NotSent) -> None:
    if fault.for_good:
        _settle(row, state=State.GIVEN_UP, code=fault.code, sentence=fault.sentence[:300])
    elif row.tries >= MOST_TRIES:
        words = f"{fault.sentence} That was try {row.tries}; it is given up."
        _settle(row, state=State.GIVEN_UP, code=fault.code, sentence=words[:300])
    else:
        wait = WAITS[row.tries - 1]
        _settle(row, due_at=timezone.now() + wait, code=fault.code, sentence=fault.sentence[:300])


def _settle(row: Delivery, **values: object) -> None:
    """Note what came of this try, unless another one was begun since."""
    Delivery.objects.filter(pk=row.pk, state=State.WAITING, tries=row.tries).update(**values)
