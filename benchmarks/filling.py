"""Projects that look as if people had worked in them for months, made in seconds. Runs inside our Django, on SQLite."""

from collections.abc import Iterator
from typing import Any

from benchmarks import pairs
from benchmarks.inside import BATCH, OWNER, make_project


def fill_judged(*, name: str, items: int, judgments: int, free: int) -> str:
    """A project in which each item has this many judgments, of labelers who take turns, and this many free slots.
    Returns its slug. Written by bulk inserts, as fast as the database takes them."""
    from labeling.models import Assignment, Item, Judgment, Response, Seat, User
    from labeling.upkeep import refresh_statistics

    project = make_project(name, 0, judgments + free)
    people = list(User.objects.exclude(username=OWNER).order_by("pk"))
    model = Item(project=project, overlap=judgments + free, content_hash="", prompt_hash="", messages=[])
    keys = _keys(Item, items)
    _insert(model, ("id", "content_hash", "prompt_hash", "preview", "messages"), _items(keys))
    texts = ((key, n, text) for key in keys for n, text in enumerate(pairs.pair(key)[1:]))
    _insert(Response(origin="a"), ("item_id", "position", "text"), texts)
    done = _done(keys, people, judgments)
    slots = _keys(Assignment, len(keys) * judgments)
    taken = [
        (slot, item, n, n, person, at, at) for slot, (item, n, person, at) in zip(slots, done, strict=True)
    ]
    names = ("id", "item_id", "slot", "turn", "person_id", "leased_at", "submitted_at")
    _insert(Assignment(project=project, review="submitted"), names, taken)
    open_ = ((item, judgments + n, judgments + n) for item in keys for n in range(free))
    _insert(Assignment(project=project), ("item_id", "slot", "turn"), open_)
    _insert(
        Judgment(project=project, display_order=[0, 1], answer={"verdict": "first"}, active_ms=1000),
        ("assignment_id", "item_id", "person_id", "client_key", "label", "created_at"),
        _judgments(taken),
    )
    Seat.objects.bulk_create(
        Seat(project=project, person=user, judged=len(taken) // len(people)) for user in people
    )
    refresh_statistics()
    slug: str = project.slug
    return slug


def _keys(model: Any, count: int) -> range:
    """The next keys of a table."""
    from django.db.models import Max

    last = model._base_manager.aggregate(last=Max("pk"))["last"] or 0
    return range(last + 1, last + 1 + count)


def _items(keys: range) -> Iterator[tuple[Any, ...]]:
    from labeling.intake import digest

    for key in keys:
        prompt, *_ = pairs.pair(key)
        hashed = digest(f"{key}")
        yield key, hashed[:32], hashed, prompt[:200], [{"role": "user", "content": prompt}]


def _done(keys: range, people: list[Any], judgments: int) -> list[tuple[Any, ...]]:
    """(item, slot, person, time) of each judgment: labelers take turns, one judgment a minute until today."""
    from datetime import timedelta

    from django.utils import timezone

    now, total = timezone.now(), len(keys) * judgments
    places = [(item, slot) for item in keys for slot in range(judgments)]
    return [
        (item, slot, people[(item + 7 * slot) % len(people)].pk, now - timedelta(minutes=total - place))
        for place, (item, slot) in enumerate(places)
    ]


def _judgments(taken: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    import uuid

    for slot, item, number, _, person, _, at in taken:
        yield slot, item, person, uuid.uuid4(), str((item + number) % 3 // 2), at


def _insert(like: Any, names: tuple[str, ...], rows: Any) -> None:
    """Insert rows that are like this instance but for the fields named, a batch at a time."""
    from itertools import islice

    from django.db import transaction

    from labeling.compiled import insert_many

    rows = iter(rows)
    with transaction.atomic():
        while chunk := list(islice(rows, BATCH)):
            insert_many(like, names, chunk)
