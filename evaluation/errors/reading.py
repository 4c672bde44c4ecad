"""Reading failures: each in the hands of one person at a time, in the order of the analysis, with its whole history."""

from collections.abc import Iterable, Mapping, Sequence
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


class Overtaken(Refused):
    """Somebody else said what this failure is meanwhile. `current` is theirs; nothing of what was sent was stored."""

    def __init__(self, sentence: str, current: ErrorReadChange) -> None:
        super().__init__(sentence)
        self.current = current


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
def record(
    *, read: ErrorRead, categories: Sequence[str], note: str = "", person: User, base: int | None = None
) -> ErrorRead:
    """Say what a failure is: the keys of its categories, or none where nothing fits, and a note.

    Saying it again changes it; the newest counts, and the history keeps all. `base` is the change that the reader saw
    (0 for none): where there is a newer one that says something else, Overtaken is raised. Raises Refused for
    categories that the project does not offer, and while another person has the failure open.
    """
    read = (
        ErrorRead.objects.select_for_update(no_key=True, of=("self",))
        .select_related("analysis__project", "reader")
        .get(pk=read.pk)
    )
    if read.read_at is None and read.reader_id != person.pk and timezone.now() - read.claimed_at < HELD:
        raise Refused(f"{read.reader} has this failure open; take the next one.")
    now = current(read.analysis.project)
    keys, stands = called_now(categories, now), called_now(read.categories, now)
    known = {category.key for category in categories_of(read.analysis.project)} | set(stands)
    if unknown := [key for key in keys if key not in known]:
        raise Refused(f"There is no category {unknown[0][:40]!r}; choose one that is offered, or add it.")
    if len(keys) > MOST_CATEGORIES:
        raise Refused(f"{len(keys)} categories were chosen; up to {MOST_CATEGORIES} fit on one failure.")
    words = note.replace("\0", "").strip()
    if len(words) > LONGEST_NOTE:
        raise Refused(f"The note has {len(words):,} characters; up to {LONGEST_NOTE:,} are allowed.")
    if read.read_at is not None and (set(stands), read.note) == (set(keys), words):
        return read
    last = read.changes.select_related("person").first()
    if base is not None and last is not None and last.pk != base:
        raise Overtaken(
            f"{last.person} said what this failure is while you read it. Your reading still stands in the form; change "
            "theirs with it, or read on.",
            last,
        )
    if read.read_at is None:
        read.read_at, read.reader = timezone.now(), person
    read.categories, read.note = keys, words
    read.save(update_fields=["read_at", "reader", "categories", "note"])
    ErrorReadChange.objects.create(read=read, categories=keys, note=words, person=person)
    return read


def called_now(keys: Iterable[str], now: Mapping[str, Sequence[str]]) -> list[str]:
    """These keys as they are called now, each once. One that was merged is what it was merged into; one that was split
    stays, as nobody has said which of its parts it is, and so does one that nobody knows."""
    became = ((key, now.get(key, ())) for key in keys)
    return list(dict.fromkeys(after[0] if len(after) == 1 else key for key, after in became))


def keys_of(project: Project, key: str) -> set[str]:
    """The keys that count for a category: its own, and those that were merged into it. What was said of one that was
    split counts for none of its parts: nobody has said for which."""
    return keys_among(current(project), key)


def keys_among(now: Mapping[str, Sequence[str]], key: str) -> set[str]:
    """The same, where it is known what each key is called now."""
    return {each for each, became in now.items() if became == [key]} | {key}


def read_as(analysis: Analysis, keys: set[str]) -> tuple[set[str], set[str]]:
    """The uids of the cases that readers gave one of these categories, and of those that they gave none of them."""
    rows = ErrorRead.objects.filter(analysis=analysis, read_at__isnull=False).order_by()
    given = dict(rows.values_list("case__uid", "categories"))
    own = {uid for uid, categories in given.items() if keys & set(categories)}
    return own, set(given) - own
