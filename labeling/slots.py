"""The statements by which slots are found and taken: compiled once, run at every claim."""

from datetime import datetime
from typing import Any

from django.db.models import (
    Aggregate,
    BigIntegerField,
    Case,
    Exists,
    F,
    Field,
    IntegerField,
    JSONField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import JSONArray
from django.utils import timezone

from labeling.compiled import Param, Select, Update, UpdateReturning, instance, param
from labeling.models import Assignment, Deferral, Draft, Item, Project, Purpose, Response, Seat, User

SLOT = [field.attname for field in Assignment._meta.concrete_fields]
ITEM = ["id", "content_hash", "n_responses", "overlap", "priority", "messages"]
COLUMNS = [*SLOT, *(f"item__{name}" for name in ITEM)]
SEAT = [field.attname for field in Seat._meta.concrete_fields]
FIRST, EVERY = 1, 32_767
"""Below which turn a slot waits for nobody: in a project with two passes only the first, else every one."""


def first(statement: Select, project: Project, person: User, **values: Any) -> Assignment | None:
    """The first slot that the statement finds, with its item and what `begun` says of a draft."""
    at_once = FIRST if project.two_pass else EVERY
    row = statement.first(project=project.pk, person=person.pk, at_once=at_once, **values)
    return None if row is None else _slot(row, project)


def by_id(project: Project, person: User, assignment_id: int) -> Assignment | None:
    """A slot of the project. Its `more` says whether this person holds another one."""
    row = BY_ID.first(project=project.pk, person=person.pk, id=assignment_id)
    return None if row is None else as_slot(row, project)


def as_slot(row: tuple[Any, ...], project: Project) -> Assignment:
    """A slot from COLUMNS, and what `begun` and `others` say of it."""
    slot = _slot((*row[:-2], None, row[-2]), project)
    slot.more = row[-1]  # type: ignore[attr-defined]
    return slot


def read(statement: Select, project: Project, person: User) -> list[Assignment]:
    """All slots that the statement finds."""
    return [_slot(row, project) for row in statement.run(project=project.pk, person=person.pk)]


def seat(project: Project, person: User, *, lock: bool) -> Seat | None:
    """The person's seat, if they have one. SQLite's transactions take turns by themselves; others lock the row."""
    return _seat((LOCKED_SEAT if lock else OWN_SEAT).run(project=project.pk, person=person.pk))


def count(slot: Assignment, person: User, *, active_ms: int, now: datetime) -> Seat | None:
    """Count an answer to this slot on the person's seat, which is locked from then on, and move their place in the
    queue on to it. None where they have no seat yet.

    A known answer or a repeat does not move the place, nor does a slot that came back.
    """
    project = slot.project
    given = {"project": project.pk, "person": person.pk, "active_ms": active_ms, "last_at": now}
    given["day"] = timezone.localdate(now)
    if slot.purpose != Purpose.WORK or slot.freed_at is not None:
        return _seat(COUNT.run(**given))
    return _seat(COUNT_ON.run(**given, priority=slot.priority, item=slot.item_id, epoch=project.epoch))


def open_second(slot: Assignment, *, now: datetime) -> None:
    """With the first of two passes over, its item's other slots are offered like those that came back: by now, most
    people's places in the queue are past it."""
    if slot.project.two_pass and slot.turn == 0 and slot.purpose == Purpose.WORK:
        OPEN.run(item=slot.item_id, freed_at=now)


def _seat(rows: list[tuple[Any, ...]]) -> Seat | None:
    return instance(Seat, SEAT, rows[0]) if rows else None


def _slot(row: tuple[Any, ...], project: Project) -> Assignment:
    *columns, texts, begun = row
    slot: Assignment = instance(Assignment, SLOT, columns[: len(SLOT)])
    slot.project, slot.item = project, instance(Item, ITEM, columns[len(SLOT) :])
    if texts is not None:
        slot.item.texts = [text for _, text in sorted(texts)]  # type: ignore[attr-defined]
    slot.begun = begun  # type: ignore[attr-defined]
    return slot


class Collected(Aggregate):
    """All values of a group as a JSON array."""

    function = "json_group_array"
    output_field = JSONField()

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, function="jsonb_agg", **more)


def _with_item(rows: QuerySet[Assignment]) -> QuerySet[Any, Any]:
    """The columns of a slot and its item, the texts of its responses, and the turn on which this person began an
    answer that is still a draft."""
    grouped = Response.objects.filter(item=OuterRef("item")).order_by().values("item")
    texts = grouped.annotate(all=Collected(JSONArray("position", "text"))).values("all")
    return rows.annotate(texts=Subquery(texts), begun=begun(_person(), OuterRef("item"))).values_list(
        *COLUMNS, "texts", "begun"
    )


def begun(person: Any, item: Any) -> Subquery:
    """The turn on which this person began an answer to this item that is still a draft."""
    return Subquery(Draft.objects.filter(person=person, item=item).values("turn")[:1])


def others(person: Any, project: Any, assignment_id: Any) -> Exists:
    """Whether this person holds another slot of the project."""
    held = Assignment.objects.filter(person=person, project=project, submitted_at=None, skipped_at=None)
    return Exists(held.exclude(id=assignment_id))


def _person() -> Param:
    return param("person", Assignment)


def _fit() -> QuerySet[Assignment]:
    """Free slots of items that this person never had, in the order of the queue; each locked by one taker at a time.
    Of two passes the second waits while the first is not submitted."""
    had = Assignment.objects.filter(item=OuterRef("item"), person=_person())
    free = Assignment.objects.filter(~Exists(had), project=param("project", Assignment), person=None)
    first = Assignment.objects.filter(item=OuterRef("item"), purpose=Purpose.WORK, turn=0)
    waits = Exists(first.filter(submitted_at=None, skipped_at=None))
    free = free.filter(Q(turn__lt=param("at_once", Assignment, "turn")) | ~waits)
    free = free.order_by("-priority", "item_id", "slot")
    return free.select_for_update(skip_locked=True, of=("self",))


def _now() -> QuerySet[Assignment]:
    """Those that this person did not put off."""
    return _fit().filter(~Exists(Deferral.objects.filter(item=OuterRef("item"), person=_person())))


def _same() -> QuerySet[Assignment]:
    after = param("item", Assignment)
    return _now().filter(priority=param("priority", Assignment), item_id__gt=after)


def _freed() -> QuerySet[Assignment]:
    return _now().filter(freed_at__gt=param("freed_at", Assignment)).order_by("freed_at")


def _put_off() -> QuerySet[Assignment]:
    """Slots of items that this person put off, the longest put off first."""
    when = Deferral.objects.filter(item=OuterRef("item"), person=_person()).values("created_at")
    return _fit().annotate(when=Subquery(when[:1])).filter(when__isnull=False).order_by("when")


def _held() -> QuerySet[Assignment]:
    open_slots = Assignment.objects.filter(submitted_at=None, skipped_at=None)
    mine = open_slots.filter(project=param("project", Assignment), person=_person())
    return mine.order_by("leased_at", "id")


def _by_id() -> QuerySet[Any, Any]:
    found = Assignment.objects.filter(project=param("project", Assignment), id=param("id", Assignment))
    more = others(_person(), OuterRef("project"), OuterRef("id"))
    return found.annotate(begun=begun(_person(), OuterRef("item")), more=more).values_list(
        *COLUMNS, "begun", "more"
    )


def _open(**more: Any) -> QuerySet[Assignment]:
    return Assignment.objects.filter(id=param("id", Assignment), submitted_at=None, skipped_at=None, **more)


def _seats() -> QuerySet[Seat]:
    return Seat.objects.filter(**_given(Seat, "project", "person"))


def _counted() -> dict[str, Any]:
    day, spent = param("day", Seat), param("active_ms", Seat)

    def today(name: str, more: Any) -> Case:
        """The day's count and this; on another day than the last answer's, this alone."""
        return Case(When(day=day, then=F(name) + more), default=more, output_field=BigIntegerField())

    return {
        "judged": F("judged") + 1,
        "active_ms": F("active_ms") + spent,
        "judged_today": today("judged_today", Value(1)),
        "active_today_ms": today("active_today_ms", spent),
        "day": day,
        "last_at": param("last_at", Seat),
    }


def _moved() -> dict[str, Any]:
    """The place of the last item in order: by priority, the highest first, then by id. It never goes back, but where
    the project's epoch is another one."""
    priority, item = param("priority", Assignment), param("item", Assignment)
    epoch = param("epoch", Seat)
    behind = ~Q(epoch=epoch) | Q(cursor_priority=None) | Q(cursor_priority__gt=priority)
    behind |= Q(cursor_priority=priority, cursor_item__lt=item)

    def on(name: str, to: Param, like: "Field[Any, Any]") -> Case:
        return Case(When(behind, then=to), default=F(name), output_field=like)

    return {
        "cursor_priority": on("cursor_priority", priority, IntegerField()),
        "cursor_item": on("cursor_item", item, BigIntegerField()),
        "epoch": epoch,
    }


def _given(model: Any, *names: str) -> dict[str, Param]:
    return {name: param(name, model) for name in names}


ANY = Select(lambda: _with_item(_now())[:1])
SAME = Select(lambda: _with_item(_same())[:1])
BELOW = Select(lambda: _with_item(_now().filter(priority__lt=param("priority", Assignment)))[:1])
FREED = Select(lambda: _with_item(_freed())[:1])
PUT_OFF = Select(lambda: _with_item(_put_off())[:1])
HELD = Select(lambda: _with_item(_held()))
BY_ID = Select(_by_id)
OWN_SEAT = Select(lambda: _seats().values_list(*SEAT))
LOCKED_SEAT = Select(lambda: _seats().select_for_update(no_key=True).values_list(*SEAT))
LEASE = Update(
    lambda: (
        Assignment.objects.filter(id=param("id", Assignment), person=None),
        _given(Assignment, "person", "token", "turn", "leased_at", "expires_at", "freed_at"),
    )
)
OPEN = Update(
    lambda: (
        Assignment.objects.filter(item=param("item", Assignment), person=None, purpose=Purpose.WORK),
        _given(Assignment, "freed_at"),
    )
)
RENEW = Update(lambda: (_open(token=param("token", Assignment)), _given(Assignment, "expires_at")))
REMEMBER = Update(lambda: (Seat.objects.filter(id=param("id", Seat)), _given(Seat, "freed_seen")))
COUNT = UpdateReturning(lambda: (_seats(), _counted()), SEAT)
COUNT_ON = UpdateReturning(lambda: (_seats(), _counted() | _moved()), SEAT)
