"""Reading failures: each in the hands of one person at a time, in the order of the analysis, with its whole history."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from evaluation.models import Analysis, ErrorRead, ErrorReadChange
from labeling.errors import Refused
from labeling.models import Project, User
from labeling.rag.taxonomy import categories_of, current

HELD = timedelta(minutes=30)
MOST_CATEGORIES, LONGEST_NOTE = 12, 5000
TRIES = 20


def next_failure(*, analysis: Analysis, person: User) -> ErrorRead | None:
    """The failure that this person reads next: the one they have open, else one that nobody finished for half an hour,
    else the next of the order. None where every failure is read or with somebody.

    Nobody may skip one: what is read is then the beginning of a random order, and the shares are those of a random
    sample.
    """
    for _ in range(TRIES):
        own = ErrorRead.objects.filter(analysis=analysis, reader=person, read_at=None).first()
        if own is not None:
            return own
        now = timezone.now()
        left = ErrorRead.objects.filter(analysis=analysis, read_at=None, claimed_at__lt=now - HELD).first()
        if left is not None:
            mine = ErrorRead.objects.filter(pk=left.pk, read_at=None, claimed_at=left.claimed_at)
            if mine.update(reader=person, claimed_at=now):
                return ErrorRead.objects.get(pk=left.pk)
            continue
        last = ErrorRead.objects.filter(analysis=analysis).aggregate(last=Max("place"))["last"]
        place = 0 if last is None else int(last) + 1
        if place >= analysis.failing:
            return None
        try:
            with transaction.atomic():
                return ErrorRead.objects.create(
                    analysis=analysis,
                    place=place,
                    case_id=analysis.order[place],
                    reader=person,
                    claimed_at=now,
                )
        except IntegrityError:
            continue  # somebody took it at the same moment
    return None


@transaction.atomic
def record(*, read: ErrorRead, categories: Sequence[str], note: str = "", person: User) -> ErrorRead:
    """Say what a failure is: the keys of its categories, or none where nothing fits, and a note.

    Saying it again changes it; the newest counts, and the history keeps all. Raises Refused for categories that the
    project does not offer, and while another person has the failure open.
    """
    read = (
        ErrorRead.objects.select_for_update(no_key=True, of=("self",))
        .select_related("analysis__project", "reader")
        .get(pk=read.pk)
    )
    if read.read_at is None and read.reader_id != person.pk and timezone.now() - read.claimed_at < HELD:
        raise Refused(f"{read.reader} has this failure open; take the next one.")
    keys = list(dict.fromkeys(categories))
    known = {category.key for category in categories_of(read.analysis.project)} | set(read.categories)
    if unknown := [key for key in keys if key not in known]:
        raise Refused(f"There is no category {unknown[0][:40]!r}; choose one that is offered, or add it.")
    if len(keys) > MOST_CATEGORIES:
        raise Refused(f"{len(keys)} categories were chosen; up to {MOST_CATEGORIES} fit on one failure.")
    words = note.replace("\0", "").strip()
    if len(words) > LONGEST_NOTE:
        raise Refused(f"The note has {len(words):,} characters; up to {LONGEST_NOTE:,} are allowed.")
    if read.read_at is not None and (read.categories, read.note) == (keys, words):
        return read
    if read.read_at is None:
        read.read_at, read.reader = timezone.now(), person
    read.categories, read.note = keys, words
    read.save(update_fields=["read_at", "reader", "categories", "note"])
    ErrorReadChange.objects.create(read=read, categories=keys, note=words, person=person)
    return read


def keys_of(project: Project, key: str) -> set[str]:
    """The keys that count for a category: its own, and those that were merged into it. What was said of one that was
    split counts for none of its parts: nobody has said for which."""
    return {each for each, now in current(project).items() if now == [key]} | {key}


def read_as(analysis: Analysis, keys: set[str]) -> tuple[set[str], set[str]]:
    """The uids of the cases that readers gave one of these categories, and of those that they gave none of them."""
    rows = ErrorRead.objects.filter(analysis=analysis, read_at__isnull=False).order_by()
    given = dict(rows.values_list("case__uid", "categories"))
    own = {uid for uid, categories in given.items() if keys & set(categories)}
    return own, set(given) - own
