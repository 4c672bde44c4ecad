"""Statements that are compiled once give what the ORM gives, by either cursor."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken

from labeling.compiled import Insert, Select, Update, insert_many, instance, param
from labeling.models import Draft, Item, Project, Seat, User
from labeling.queue import claim_next, seat_of
from tests import world

pytestmark = pytest.mark.data_layer

ITEM = ["id", "content_hash", "messages", "created_at"]
FOUND = Select(lambda: Item.objects.filter(project=param("project", Item)).values_list(*ITEM).order_by("pk"))
MOVE = Update(lambda: (Seat.objects.filter(id=param("id", Seat)), {"last_at": param("last_at", Seat)}))
NOTE = Insert(Draft)


def test_rows_have_the_types_that_the_orm_gives(project: Project) -> None:
    world.fill(project, 3)
    assert FOUND.run(project=project.pk) == list(Item.objects.order_by("pk").values_list(*ITEM))
    with CaptureQueriesContext(connection) as seen:
        assert FOUND.first(project=project.pk) == Item.objects.order_by("pk").values_list(*ITEM).first()
    assert len(seen) == 2


def test_nothing_found_is_none_and_nothing_changed_is_zero(project: Project) -> None:
    assert FOUND.first(project=0) is None
    assert MOVE.run(id=0, last_at=timezone.now()) == 0


def test_an_update_stores_the_moment_as_the_orm_reads_it(project: Project, ben: User) -> None:
    seat, now = seat_of(project=project, person=ben), timezone.now()
    assert MOVE.run(id=seat.pk, last_at=now) == 1
    assert Seat.objects.get().last_at == now


def test_an_insert_gives_the_key_and_refuses_a_second_row_as_django_does(project: Project, ben: User) -> None:
    (item,) = world.fill(project, 1)
    values = {"person_id": ben.pk, "item_id": item.pk, "answer": {"text": "half"}, "turn": 1}
    values["updated_at"] = timezone.now()
    key = NOTE.run(**values)
    assert Draft.objects.get(pk=key).answer == {"text": "half"}
    with pytest.raises(IntegrityError), transaction.atomic():
        NOTE.run(**values)
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            NOTE.run(**values)


def test_rows_inserted_together_are_as_the_orm_would_have_stored_them(project: Project) -> None:
    like = Item(project=project, content_hash="", prompt_hash="p", messages=[], licence="MIT")
    insert_many(
        like, ("content_hash", "messages", "extra"), [("a", [{"role": "user"}], {}), ("b", [], {"n": 1})]
    )
    first, second = Item.objects.order_by("pk")
    assert (first.content_hash, first.messages, first.licence) == ("a", [{"role": "user"}], "MIT")
    assert (second.extra, second.overlap, second.synthetic) == ({"n": 1}, 1, False)
    assert abs((timezone.now() - first.created_at).total_seconds()) < 60
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_many(like, ("content_hash",), [("c",), ("a",)])
    assert Item.objects.count() == 2


def test_an_instance_reads_what_it_was_not_given_when_it_is_asked_for(project: Project) -> None:
    (item,) = world.fill(project, 1)
    made = instance(Item, ["id", "content_hash"], [item.pk, item.content_hash])
    assert (made.pk, made.n_responses) == (item.pk, item.n_responses)
    assert made == item
    assert not made._state.adding


@pytest.mark.parametrize("items", [3, 60])
def test_an_answer_and_the_next_item_take_the_same_few_statements_however_many_items_there_are(
    project: Project, ben: User, items: int
) -> None:
    world.fill(project, items)
    _, token = AuthToken.objects.create(user=ben)
    api = Client(headers={"Authorization": f"Token {token}"})
    here = f"/api/v1/projects/{project.slug}"
    task = api.post(f"{here}/next/").json()
    for _ in range(2):
        body = {"token": task["token"], "client_key": str(uuid.uuid4()), "verdict": "first", "next": True}
        with CaptureQueriesContext(connection) as seen:
            answer = api.post(
                f"{here}/assignments/{task['assignment_id']}/submit/", body, content_type="application/json"
            )
        task = answer.json()["next"]
    kinds = [query["sql"].split()[0] for query in seen.captured_queries]
    assert kinds.count("SELECT") == 2
    assert kinds.count("UPDATE") == 3
    assert kinds.count("INSERT") == 1
    assert claim_next(project=project, person=ben).pk == task["assignment_id"]
