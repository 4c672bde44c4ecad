"""Review of answers: taken up by one person, then accepted, or returned to the one who gave it with a comment.

Every step is a row of its own. The state is the slot's, and changes only from what the reviewer believes it is: of two
reviewers one is told that the other was faster. Nobody reviews their own answer, and a judgment is never changed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from labeling import progress
from labeling.blind import refuse_hidden
from labeling.errors import Refused
from labeling.models import (
    Assignment,
    Item,
    Judgment,
    Membership,
    Project,
    Purpose,
    Resolution,
    Review,
    ReviewState,
    User,
)
from labeling.wording import read_label

HELD = timedelta(minutes=30)
LONGEST_COMMENT = 5_000
MOST_AT_ONCE = 200
OPEN = (ReviewState.SUBMITTED, ReviewState.IN_REVIEW)
FROM: dict[str, tuple[str, ...]] = {
    ReviewState.IN_REVIEW: OPEN,
    ReviewState.ACCEPTED: OPEN,
    ReviewState.RETURNED: OPEN,
    ReviewState.SUBMITTED: (ReviewState.IN_REVIEW, ReviewState.ACCEPTED, ReviewState.RETURNED),
}


@dataclass(slots=True)
class Accepted:
    """What became of several answers: those accepted, and a sentence for each that was not."""

    reviews: list[Review] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def take_up(*, project: Project, assignment_id: int, reviewer: User) -> Review:
    """Hold an answer for this reviewer, so that nobody else reviews it meanwhile. Repeating it is harmless.

    After HELD without an end another reviewer may take it over. Raises Refused where somebody else has it.
    """
    return _step(project, assignment_id, reviewer, ReviewState.IN_REVIEW)


def accept(
    *, project: Project, assignment_id: int, reviewer: User, comment: str = "", judgment_id: int | None = None
) -> Review:
    """Accept an answer: from now on the person who gave it cannot change it. `judgment_id` is the one that the
    reviewer read; Refused where there is a newer one by now."""
    return _step(project, assignment_id, reviewer, ReviewState.ACCEPTED, comment, judgment_id)


def return_with_comment(
    *, project: Project, assignment_id: int, reviewer: User, comment: str, judgment_id: int | None = None
) -> Review:
    """Send an answer back to the person who gave it: it comes first when they go on, with the comment."""
    if not comment.strip():
        raise Refused("The comment is empty; say what should be looked at again, then return the answer.")
    return _step(project, assignment_id, reviewer, ReviewState.RETURNED, comment, judgment_id)


def take_back(*, project: Project, assignment_id: int, reviewer: User) -> Review:
    """Undo a review: the answer waits for one again, as it was submitted."""
    return _step(project, assignment_id, reviewer, ReviewState.SUBMITTED)


def accept_many(
    *,
    project: Project,
    assignment_ids: Collection[int],
    reviewer: User,
    seen: Mapping[int, int] = MappingProxyType({}),
) -> Accepted:
    """Accept several answers; each is accepted or refused on its own. Raises Refused for more than MOST_AT_ONCE.

    `seen` holds the judgment that the reviewer read of each answer, as far as that is known.
    """
    if len(assignment_ids) > MOST_AT_ONCE:
        raise Refused(f"{len(assignment_ids)} answers were chosen; accept at most {MOST_AT_ONCE} at once.")
    done = Accepted()
    for assignment_id in assignment_ids:
        try:
            read = seen.get(assignment_id)
            review = accept(project=project, assignment_id=assignment_id, reviewer=reviewer, judgment_id=read)
            done.reviews.append(review)
        except Refused as refusal:
            done.refused.append(refusal.sentence)
    return done


def resolve(*, project: Project, item_id: int, person: User, label: str, comment: str = "") -> Resolution:
    """Settle an item on which people differ: another revision of its settled answer. The judgments stay as they are.

    `label` is in terms of the stored responses, as `read_label` takes it. Raises Refused where it does not fit, nobody
    has judged the item, or this person may still be given it.
    """
    item = Item.objects.filter(project=project, pk=item_id).only("pk", "n_responses").first()
    if item is None:
        raise Refused(f"There is no item {item_id} in this project; go back to the list.")
    read = read_label(project=project, responses=item.n_responses, text=label)
    refuse_hidden(project=project, person=person, item_id=item_id)
    if not Judgment.objects.filter(item=item, purpose=Purpose.WORK).exists():
        raise Refused("Nobody has judged this item yet; there is nothing to settle.")
    for _ in range(3):
        newest = Resolution.objects.filter(item=item).aggregate(newest=Max("revision"))["newest"] or 0
        try:
            with transaction.atomic():
                return Resolution.objects.create(
                    project=project,
                    item=item,
                    revision=newest + 1,
                    label=read,
                    comment=comment[:LONGEST_COMMENT],
                    person=person,
                )
        except IntegrityError:
            continue  # somebody settled it at the same moment: this one is the revision after
    raise Refused("Others settled this item at the same moment; read their answer, then settle it again.")


def _step(
    project: Project,
    assignment_id: int,
    reviewer: User,
    state: ReviewState,
    comment: str = "",
    judgment_id: int | None = None,
) -> Review:
    if len(comment) > LONGEST_COMMENT:
        raise Refused(f"The comment has {len(comment):,} characters; {LONGEST_COMMENT:,} are allowed.")
    with transaction.atomic():
        # Locked, so that the step before is read as it is when this one is made.
        rows = Assignment.objects.select_for_update(no_key=True, of=("self",)).select_related("person")
        slot = rows.filter(project=project, pk=assignment_id, submitted_at__isnull=False).first()
        if slot is None:
            raise Refused("There is no such answer in this project; reload the list.")
        _refuse_person(project, slot, reviewer)
        last = Review.objects.filter(assignment=slot).select_related("reviewer").order_by("-pk").first()
        mine = last is not None and last.reviewer_id == reviewer.pk and last.state == slot.review == state
        if mine and last is not None:
            return last
        _refuse_state(slot, last, reviewer, state)
        newest = Judgment.objects.filter(assignment=slot).order_by("-revision").only("pk").first()
        assert newest is not None
        if judgment_id is not None and newest.pk != judgment_id:
            raise Refused("The answer was changed while you were reading it; read the new one, then decide.")
        return _record(project, slot, newest, reviewer, state, comment.strip())


def _record(
    project: Project, slot: Assignment, judgment: Judgment, reviewer: User, state: ReviewState, comment: str
) -> Review:
    assert slot.person is not None
    Assignment.objects.filter(pk=slot.pk).update(review=state)
    if state == ReviewState.RETURNED:
        progress.sent_back(project=project, person=slot.person)
    elif slot.review == ReviewState.RETURNED:
        progress.mended(project=project, person=slot.person)
    return Review.objects.create(
        assignment=slot, judgment=judgment, reviewer=reviewer, state=state, comment=comment
    )


def _refuse_person(project: Project, slot: Assignment, reviewer: User) -> None:
    if slot.purpose != Purpose.WORK:
        raise Refused(
            "This answer was given to check a person; it is counted under Quality and not reviewed."
        )
    if slot.person_id == reviewer.pk:
        raise Refused("This answer is your own; another reviewer has to look at it.")
    refuse_hidden(project=project, person=reviewer, item_id=slot.item_id)


def _refuse_state(slot: Assignment, last: Review | None, reviewer: User, state: ReviewState) -> None:
    name = slot.person.username if slot.person else ""
    if slot.review not in FROM[state]:
        words = ReviewState(slot.review).label.lower()
        by = f" by {last.reviewer.username}" if last and slot.review != ReviewState.SUBMITTED else ""
        after = "it waits for review already" if state == ReviewState.SUBMITTED else "take that back first"
        raise Refused(f"The answer of {name} is {words}{by}; {after}.")
    held = slot.review == ReviewState.IN_REVIEW and last is not None and last.reviewer_id != reviewer.pk
    if held and last is not None and last.created_at > timezone.now() - HELD:
        raise Refused(
            f"{last.reviewer.username} is reviewing the answer of {name}; choose another, or wait until "
            f"{HELD.seconds // 60} minutes have passed since they took it up."
        )
    there = Membership.objects.filter(project_id=slot.project_id, user=slot.person_id).exists()
    if state == ReviewState.RETURNED and not there:
        raise Refused(
            f"{name} is no member of this project and would never see the answer again; settle the item instead."
        )
