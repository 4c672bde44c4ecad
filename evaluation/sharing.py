"""Read-only links to a verdict: one secret address for one run, with an end. Only the hash of the secret is stored."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from evaluation.models import EvalRun, ShareLink
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import User

DAYS = (1, 7, 30)
MOST_OPEN = 50


def share(*, run: EvalRun, days: int, person: User) -> tuple[ShareLink, str]:
    """A link and its secret, which is told only now. Raises Refused for a run without numbers, another time than one
    of DAYS, or too many open links."""
    if run.status != Status.SUCCEEDED:
        raise Refused(f"{run.name} has no verdict yet; share it when it has ended.")
    if days not in DAYS:
        raise Refused(f"The link would hold for {days} days; choose one of {', '.join(map(str, DAYS))}.")
    if len(open_links(run)) >= MOST_OPEN:
        raise Refused(
            f"There are {MOST_OPEN} open links to this verdict, the most there can be; revoke some first."
        )
    secret = secrets.token_urlsafe(32)
    link = ShareLink.objects.create(
        run=run,
        token_hash=hash_of(secret),
        expires_at=timezone.now() + timedelta(days=days),
        created_by=person,
    )
    return link, secret


def open_links(run: EvalRun) -> list[ShareLink]:
    """Those that still open, the newest first."""
    rows = ShareLink.objects.filter(run=run, revoked_at=None, expires_at__gt=timezone.now())
    return list(rows.select_related("created_by"))


def revoke(*, run: EvalRun, link_id: int) -> None:
    """Make a link worthless at once. Revoking it again changes nothing."""
    ShareLink.objects.filter(run=run, pk=link_id, revoked_at=None).update(revoked_at=timezone.now())


def shared_run(secret: str) -> ShareLink | None:
    """The link of a secret while it opens. It is looked up by its hash: how long that takes tells nothing of any
    secret, as nobody can choose what a hash begins with."""
    rows = ShareLink.objects.filter(
        token_hash=hash_of(secret), revoked_at=None, expires_at__gt=timezone.now()
    )
    return rows.select_related("run__version__suite", "run__suite", "run__project").first()


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
