"""Which checkpoint is in use: candidate, production, archived; and what people note about one.

At most one checkpoint is in production for each project, base model and line (models that answer, models that reward).
Promoting another archives the one that was there, in the same transaction. Whoever decides names what they saw: where
the stage, or the one in production, has changed since, nothing happens.
"""

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction

from labeling.errors import Refused
from labeling.models import User
from training.models import Checkpoint, CheckpointNote, StageChange

Stage = Checkpoint.Stage
REASON_LENGTH, NOTE_LENGTH = 300, 20_000


GATES: list[Callable[[Checkpoint], str]] = []
"""What decides whether a checkpoint goes into production, as apps above this one say it: "The gate of A decides …", or
"" where none does."""


class StageMoved(Refused):
    """Somebody else was faster."""


def in_production(checkpoint: Checkpoint) -> Checkpoint | None:
    """What is in production on this checkpoint's base and line, other than itself."""
    rows = Checkpoint.objects.filter(
        project=checkpoint.project_id, base=checkpoint.base_id, line=checkpoint.line, stage=Stage.PRODUCTION
    )
    return rows.exclude(pk=checkpoint.pk).first()


def set_stage(
    *,
    checkpoint: Checkpoint,
    before: str,
    after: str,
    replaces: int | None,
    person: User | None,
    reason: str = "",
) -> None:
    """Move a checkpoint from `before` to `after`; `replaces` is what was seen in production by whoever promotes.

    Raises Refused for a stage that does not exist, and StageMoved where what was seen is not so any more.
    """
    _refuse_nonsense(checkpoint, before, after, reason)
    try:
        with transaction.atomic():
            if after == Stage.PRODUCTION:
                _make_room(checkpoint, replaces, person)
            _move(checkpoint, before, after, person, reason)
    except IntegrityError as error:
        raise StageMoved(
            "Another checkpoint was promoted in this moment; look at it, then decide again."
        ) from error
    checkpoint.refresh_from_db()


def gate_before(checkpoint: Checkpoint) -> str:
    """Who decides whether this checkpoint goes into production, in a sentence; "" where whoever trains may."""
    return next((words for gate in GATES if (words := gate(checkpoint))), "")


def move_by_hand(
    *, checkpoint: Checkpoint, after: str, reason: str, past_gate: bool, person: User | None, **seen: Any
) -> None:
    """As `set_stage`, for whoever presses a button. Where a gate decides what goes into production, only those who may
    go past it move a checkpoint there, or from there, and not without a reason. Raises Refused."""
    gate = gate_before(checkpoint) if Stage.PRODUCTION in (checkpoint.stage, after) else ""
    if gate and not past_gate:
        way = f"Promote {checkpoint.name} by an evaluation" if after == Stage.PRODUCTION else "Roll it back"
        raise Refused(f"{gate} {way}; past the gate only an owner decides, with a reason.")
    if gate and not reason.strip():
        raise Refused(f"{gate} To go past it needs a reason; say in a sentence why.")
    set_stage(checkpoint=checkpoint, after=after, reason=reason, person=person, **seen)


def _refuse_nonsense(checkpoint: Checkpoint, before: str, after: str, reason: str) -> None:
    if checkpoint.kind == Checkpoint.Kind.BASE:
        raise Refused("A base model has no stage; it is there as it came.")
    if after not in Stage.values:
        raise Refused(f"The stage was given as {after!r}; allowed is one of {', '.join(Stage.values)}.")
    if after == before:
        raise Refused(f"{checkpoint.name} is {after} already.")
    if len(reason) > REASON_LENGTH:
        raise Refused(f"The reason has {len(reason)} characters; up to {REASON_LENGTH} are allowed.")


def _make_room(checkpoint: Checkpoint, replaces: int | None, person: User | None) -> None:
    current = in_production(checkpoint)
    if (current.pk if current else None) != replaces:
        who = f"{current.name} is" if current else "nothing is"
        raise StageMoved(f"By now {who} in production; look at the page again, then decide.")
    if current is not None:
        _move(
            current,
            Stage.PRODUCTION,
            Stage.ARCHIVED,
            person,
            f"Replaced by {checkpoint.name}."[:REASON_LENGTH],
        )


def _move(checkpoint: Checkpoint, before: str, after: str, person: User | None, reason: str) -> None:
    """Compare and set, and write down who did it."""
    if Checkpoint.objects.filter(pk=checkpoint.pk, stage=before).update(stage=after) != 1:
        raise StageMoved(f"{checkpoint.name} is not {before} any more; look at the page again, then decide.")
    StageChange.objects.create(
        checkpoint=checkpoint, before=before, after=after, reason=reason, created_by=person
    )


def note(*, checkpoint: Checkpoint, text: str, seen: int | None, person: User | None) -> None:
    """Replace the notes; `seen` is the key of those that were edited. Raises Refused where somebody else was faster."""
    if checkpoint.kind == Checkpoint.Kind.BASE:
        raise Refused("Notes are kept on what was trained here; a base model belongs to every project.")
    text = text.strip()
    if len(text) > NOTE_LENGTH:
        raise Refused(f"The notes have {len(text):,} characters; up to {NOTE_LENGTH:,} are allowed.")
    with transaction.atomic():
        Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        newest = checkpoint.notes.first()
        if (newest.pk if newest else None) != seen:
            raise StageMoved(
                "Somebody changed the notes since you opened them; copy yours and open the page again."
            )
        if text != (newest.text if newest else ""):
            CheckpointNote.objects.create(checkpoint=checkpoint, text=text, created_by=person)
