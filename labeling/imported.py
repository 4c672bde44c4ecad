"""Judgments that come with a file: stored as facts of people who cannot sign in."""

import uuid
from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from labeling.models import Assignment, Item, Judgment, Project, ReviewState, User
from labeling.rag.adopting import adopt

if TYPE_CHECKING:
    from labeling.intake import ItemDraft, VerdictDraft

NAMESPACE = uuid.UUID("6f0c1a52-6f7a-4d0e-9a3a-8d5a9c1f2b7e")
PREFIX = "import:"


def judgments(project: Project, pairs: "list[tuple[Item, ItemDraft]]") -> list[Judgment]:
    """The judgments of these stored items, each with a slot of its own, not yet written.

    A file's annotators become users of their own, named `import:NAME` and unable to sign in: what somebody else wrote
    is never put under the name of a person here. Where the file does not say how responses were shown to them,
    `display_order` is empty and answers are in the stored order.
    """
    given = [(item, draft, verdict) for item, draft in pairs for verdict in draft.verdicts]
    if not given:
        return []
    adopt(project, [verdict.rag for _, _, verdict in given if verdict.rag is not None])
    now, people = timezone.now(), _people({verdict.person for _, _, verdict in given})
    slots = _slots(project, pairs, people)
    return [
        Judgment(
            assignment=slots[item.pk, verdict.person],
            project=project,
            item=item,
            person=people[verdict.person],
            client_key=uuid.uuid5(NAMESPACE, f"{project.pk}:{item.content_hash}:{verdict.person}"),
            kind=verdict.kind,
            label=_label(verdict),
            strength=verdict.strength,
            display_order=verdict.display_order or [],
            answer=_answer(verdict),
            active_ms=verdict.active_ms,
            created_at=verdict.created_at or now,
        )
        for item, _, verdict in given
    ]


def _slots(
    project: Project, pairs: "list[tuple[Item, ItemDraft]]", people: dict[str, User]
) -> dict[tuple[int, str], Assignment]:
    now = timezone.now()
    rows = {
        (item.pk, verdict.person): Assignment(
            project=project,
            item=item,
            slot=slot,
            turn=slot,
            person=people[verdict.person],
            submitted_at=now,
            review=ReviewState.SUBMITTED,
        )
        for item, draft in pairs
        for slot, verdict in enumerate(draft.verdicts)
    }
    Assignment.objects.bulk_create(rows.values())
    return rows


def _people(names: set[str]) -> dict[str, User]:
    usernames = {name: f"{PREFIX}{name}"[:150] for name in names}
    found = {user.username: user for user in User.objects.filter(username__in=usernames.values())}
    missing = set(usernames.values()) - set(found)
    User.objects.bulk_create(
        [
            User(username=username, is_active=False, password=make_password(None))
            for username in sorted(missing)
        ],
        ignore_conflicts=True,
    )
    if missing:
        found |= {user.username: user for user in User.objects.filter(username__in=missing)}
    return {name: found[username] for name, username in usernames.items()}


def _label(verdict: "VerdictDraft") -> str:
    if verdict.rag is not None:
        return str(verdict.rag["verdict"])
    return str(verdict.edited) if verdict.edited is not None else verdict.label


def _answer(verdict: "VerdictDraft") -> dict[str, Any]:
    """The answer as it was given: in the order shown, where that is known."""
    if verdict.rag is not None:
        return verdict.rag
    order = verdict.display_order or []
    values = {
        "verdict": _shown_verdict(verdict),
        "ratings": {
            key: [row[position] for position in order] if order else row
            for key, row in verdict.ratings.items()
        },
        "number": _shown_number(verdict),
        "text": verdict.text,
        "rationale": verdict.rationale,
    }
    return {name: value for name, value in values.items() if value not in (None, "", {})}


def _shown_number(verdict: "VerdictDraft") -> int | None:
    if verdict.edited is None:
        return None
    order = verdict.display_order or []
    return 1 + (order.index(verdict.edited) if order else verdict.edited)


def _shown_verdict(verdict: "VerdictDraft") -> str:
    """What was clicked in a comparison, which tells how often the left side won."""
    if verdict.kind != "pairwise" or not verdict.display_order or verdict.label not in ("0", "1"):
        return ""
    return ("first", "second")[verdict.display_order.index(int(verdict.label))]
