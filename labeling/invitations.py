"""Links by which people join a project: one link, one person. Only the hash of its secret is stored."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from labeling.errors import Refused
from labeling.models import Invitation, Membership, Project, Role, User

MOST_DAYS, MOST_OPEN = 90, 200


def invite(
    *, project: Project, role: str, person: User | None, days: int = 7, note: str = ""
) -> tuple[Invitation, str]:
    """An invitation and the secret of its link, which is told only now. It lapses after `days`.

    Raises Refused for a role that there is not, a time outside of 1 to 90 days, or too many open ones.
    """
    if role not in Role.values:
        raise Refused(f"The role given is {role!r}; choose one of {', '.join(Role.values)}.")
    if not 1 <= days <= MOST_DAYS:
        raise Refused(f"The link would hold for {days} days; choose between 1 and {MOST_DAYS}.")
    if len(open_invitations(project)) >= MOST_OPEN:
        raise Refused(f"There are {MOST_OPEN} open invitations, the most there can be; revoke some first.")
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        project=project,
        role=role,
        note=note.strip()[:120],
        secret_hash=_hash(secret),
        created_by=person,
        expires_at=timezone.now() + timedelta(days=days),
    )
    return invitation, secret


def open_invitations(project: Project) -> list[Invitation]:
    """Those that somebody may still use, the newest first."""
    rows = Invitation.objects.filter(project=project, accepted_by=None, expires_at__gt=timezone.now())
    return list(rows.select_related("created_by"))


def revoke(*, project: Project, invitation_id: int) -> None:
    """Make a link worthless. Raises Refused where somebody has joined by it already."""
    rows = Invitation.objects.filter(project=project, pk=invitation_id)
    if not rows.filter(accepted_by=None).delete()[0] and rows.exists():
        raise Refused("Somebody has joined by this link already; remove the person instead.")


def find(secret: str) -> Invitation:
    """The invitation of a link. Raises Refused with the reason where it cannot be used (any more)."""
    found = (
        Invitation.objects.filter(secret_hash=_hash(secret)).select_related("project", "created_by").first()
    )
    if found is None:
        raise Refused("There is no such invitation, or it was revoked. Ask for a new link.")
    if found.accepted_by_id is not None:
        raise Refused("This invitation was used already: a link is for one person. Ask for one of your own.")
    if not found.is_open:
        raise Refused(f"This invitation lapsed on {found.expires_at:%Y-%m-%d}. Ask for a new link.")
    return found


def accept(*, secret: str, person: User) -> Membership:
    """Let this person join by the link, which is used up then. Raises Refused as `find` does, and for who is in the
    project already: their role stays, and so does the link."""
    with transaction.atomic():
        invitation = find(secret)
        member = Membership.objects.filter(project=invitation.project, user=person).first()
        if member is not None:
            raise Refused(
                f"You are in {invitation.project} already, as {member.get_role_display()}. "
                "An owner can change roles under People; the link can still be used by somebody else."
            )
        unused = Invitation.objects.filter(pk=invitation.pk, accepted_by=None)
        if not unused.update(accepted_by=person):
            find(secret)  # says that somebody else was faster
        return Membership.objects.create(project=invitation.project, user=person, role=invitation.role)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
