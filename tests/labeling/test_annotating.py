"""Invariant 1: a judgment is never lost or doubled. Invariant 3: and it is given blind."""

import json
import re
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from labeling.annotating import Sent, save_draft, skip, submit
from labeling.errors import Refused, StaleLease
from labeling.models import Assignment, Draft, Judgment, Project, User
from labeling.models.appendonly import Unchangeable
from labeling.queue import claim_next, lease_token, release_expired
from labeling.tasks import show
from labeling.values import PairwiseAnswer, display_order
from tests import world

pytestmark = pytest.mark.data_layer


def answer(slot: Assignment, who: User, *, verdict: str = "first", **changes: Any) -> Judgment:
    return world.send(slot, who, PairwiseAnswer(verdict=verdict), **changes)


def lose(slot: Assignment) -> None:
    """The time of this lease runs out, and the slot is free again."""
    Assignment.objects.filter(pk=slot.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    release_expired()


def test_an_answer_that_ben_sends_twice_is_stored_once(project: Project, ben: User) -> None:
    world.fill(project, 1)
    slot, key = claim_next(project=project, person=ben), uuid.uuid4()
    first, second = answer(slot, ben, client_key=key), answer(slot, ben, client_key=key)
    assert first.pk == second.pk
    assert Judgment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_bens_browser_sends_ten_times_at_once_is_stored_once_and_every_reply_says_so() -> None:
    project, ben = world.make_project(overlap=2), world.person("ben")
    world.fill(project, 1)
    slot, key = claim_next(project=project, person=ben), uuid.uuid4()
    stored = world.together([lambda: answer(slot, ben, client_key=key)] * 10)
    assert len({judgment.pk for judgment in stored}) == 1
    assert Judgment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_answers_of_ben_at_once_to_an_item_that_timed_out_are_one_judgment() -> None:
    project, ben = world.make_project(overlap=4), world.person("ben")
    world.fill(project, 1)
    slot, key = claim_next(project=project, person=ben), uuid.uuid4()
    lose(slot)
    stored = world.together([lambda: answer(slot, ben, client_key=key)] * 8)
    assert len({judgment.pk for judgment in stored}) == 1
    assert project.assignments.filter(person=ben).count() == 1


def test_bens_second_thought_on_an_item_is_refused_and_his_first_answer_stands(
    project: Project, ben: User
) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    answer(slot, ben, verdict="tie")
    with pytest.raises(StaleLease, match="first answer stands"):
        answer(slot, ben, verdict="both_bad")
    assert Judgment.objects.get().label == "tie"


def test_nobody_can_change_or_delete_a_judgment(project: Project, ben: User) -> None:
    world.fill(project, 1)
    judgment = world.judge_next(project, ben)
    judgment.label = "tie"
    for change in (
        judgment.save,
        judgment.delete,
        lambda: Judgment.objects.update(label="tie"),
        lambda: Judgment.objects.all().delete(),
        lambda: Judgment.objects.bulk_update([judgment], ["label"]),
    ):
        with pytest.raises(Unchangeable, match="never"), transaction.atomic():
            change()
    assert Judgment.objects.get().label == "0"


def test_the_database_itself_refuses_to_change_a_judgment(project: Project, ben: User) -> None:
    world.fill(project, 1)
    world.judge_next(project, ben)
    with (
        pytest.raises(DatabaseError, match="never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE labeling_judgment SET label = 'tie'")
    assert Judgment.objects.get().label == "0"


def test_the_database_itself_refuses_to_change_a_dataset_version(project: Project, ben: User) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben)
    world.frozen(project)
    for table, column in (("labeling_datasetversion", "number"), ("labeling_datasetentry", "row")):
        with (
            pytest.raises(DatabaseError, match="never changed"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f'UPDATE {table} SET "{column}" = 99')


def test_an_answer_that_ben_sends_after_his_time_is_stored_when_nobody_took_the_item(
    project: Project, ben: User
) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    lose(slot)
    judgment = answer(slot, ben)
    assert (judgment.person, judgment.item) == (ben, slot.item)
    assert Assignment.objects.get().submitted_at is not None


def test_an_answer_that_ben_sends_after_his_time_takes_another_free_slot_of_the_item(
    ben: User, bea: User
) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    lose(slot)
    claim_next(project=project, person=bea)
    judgment = answer(slot, ben)
    assert judgment.assignment_id != slot.pk
    assert project.assignments.filter(person__in=[ben, bea]).count() == 2


def test_when_bea_took_bens_item_he_is_told_and_his_answer_is_kept_as_a_draft(
    project: Project, ben: User, bea: User
) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    lose(slot)
    claim_next(project=project, person=bea)
    with pytest.raises(StaleLease, match=r"somebody else took it.*kept as a draft"):
        answer(slot, ben, verdict="second")
    assert Draft.objects.get(person=ben, item=slot.item).answer == {"verdict": "second"}
    assert Judgment.objects.count() == 0


def test_bens_page_answers_409_and_keeps_his_draft_when_bea_took_the_item(
    project: Project, ben: User, bea: User
) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    lose(slot)
    claim_next(project=project, person=bea)
    form = {"token": slot.token, "client_key": uuid.uuid4(), "verdict": "tie"}
    page = world.sign_in(ben).post(reverse("labeling:submit", args=[project.slug, slot.pk]), form)
    assert page.status_code == 409
    assert "somebody else took it" in page.text
    assert Draft.objects.get(person=ben).answer == {"verdict": "tie"}


def test_ben_cannot_pick_an_item_by_guessing_its_number(project: Project, ben: User) -> None:
    world.fill(project, 3)
    last = project.assignments.order_by("pk").last()
    for token in (uuid.uuid4(), lease_token(assignment_id=last.pk, person=world.person("bea"), turn=0)):
        with pytest.raises(Refused, match="never open in your name"):
            answer(last, ben, token=token)
    assert Judgment.objects.count() == Draft.objects.count() == 0
    assert project.assignments.filter(person=ben).count() == 0


def test_bea_cannot_answer_in_the_slot_that_ben_holds(project: Project, ben: User, bea: User) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    with pytest.raises(Refused):
        answer(slot, bea)
    assert claim_next(project=project, person=ben).pk == slot.pk


def test_a_slot_of_another_project_is_not_found(ben: User) -> None:
    helpful, harmless = world.make_project("Helpful"), world.make_project("Harmless")
    world.fill(harmless, 1)
    slot = claim_next(project=harmless, person=ben)
    with pytest.raises(Refused, match="no such item in this project"):
        submit(
            project=helpful, assignment_id=slot.pk, person=ben, answer=PairwiseAnswer(verdict="tie"),
            sent=Sent(token=slot.token, client_key=uuid.uuid4()),
        )  # fmt: skip


def test_ben_finds_his_draft_again_on_the_server_until_he_submits(project: Project, ben: User) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    save_draft(
        project=project,
        assignment_id=slot.pk,
        person=ben,
        token=slot.token,
        answer={"verdict": "second"},
    )
    again = claim_next(project=project, person=ben)
    assert show(assignment=again, person=ben).draft == {"verdict": "second"}
    answer(slot, ben, verdict="second")
    assert Draft.objects.count() == 0


def test_a_draft_that_arrives_after_bens_time_is_kept_though_the_item_is_not_his(
    project: Project, ben: User
) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    lose(slot)
    with pytest.raises(StaleLease):
        save_draft(
            project=project,
            assignment_id=slot.pk,
            person=ben,
            token=slot.token,
            answer={"verdict": "tie"},
        )
    assert Draft.objects.get(person=ben).answer == {"verdict": "tie"}


def test_a_draft_that_arrives_after_ben_submitted_is_not_kept(project: Project, ben: User) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    answer(slot, ben)
    with pytest.raises(StaleLease):
        save_draft(
            project=project,
            assignment_id=slot.pk,
            person=ben,
            token=slot.token,
            answer={"verdict": "tie"},
        )
    assert Draft.objects.count() == 0


def test_a_skip_needs_one_of_the_reasons(project: Project, ben: User) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    with pytest.raises(Refused, match="'boring'; choose one of unclear"):
        skip(project=project, assignment_id=slot.pk, person=ben, token=slot.token, reason="boring")
    assert claim_next(project=project, person=ben).pk == slot.pk


SECRETS = ("secret-model", "imported_preference", "origin", "bea", "cleo")


def test_bens_page_and_api_tell_neither_origins_nor_other_peoples_answers(ben: User, bea: User) -> None:
    project = world.make_project(overlap=3)
    world.put(project, world.draft(1, extra={"imported_preference": 0, "gold": "hidden-gold"}))
    world.judge_next(project, bea, "1")
    page = world.sign_in(ben).get(reverse("labeling:rank", args=[project.slug]))
    reply = world.sign_in(ben).post(reverse("api-next", args=[project.slug]))
    assert "Answer one to 1" in page.text
    assert "Answer one to 1" in reply.text
    for secret in (*SECRETS, "hidden-gold"):
        assert not re.search(rf"\b{secret}\b", page.text.lower())
        assert not re.search(rf"\b{secret}\b", reply.text.lower())


def test_cleo_sees_an_item_blind_as_long_as_she_may_still_be_given_it(cleo: User, ben: User) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    world.judge_next(project, ben)
    url = reverse("labeling:item", args=[project.slug, item.pk])
    before = world.sign_in(cleo).get(url).text
    world.judge_next(project, cleo)
    after = world.sign_in(cleo).get(url).text
    assert "secret-model-a" not in before
    assert ">ben<" not in before
    assert "secret-model-a" in after
    assert ">ben<" in after


def test_leo_who_never_judges_sees_the_judgments_at_once(leo: User, ben: User) -> None:
    project = world.make_project(overlap=2)
    (item,) = world.fill(project, 1)
    world.judge_next(project, ben)
    page = world.sign_in(leo).get(reverse("labeling:item", args=[project.slug, item.pk]))
    assert "secret-model-a" in page.text
    assert ">ben<" in page.text


def test_the_order_of_the_responses_is_the_same_on_reload_and_stored_with_the_judgment(
    project: Project, ben: User
) -> None:
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    shown = [[r.text for r in show(assignment=slot, person=ben).responses] for _ in range(3)]
    stored = list(slot.item.responses.order_by("position").values_list("text", flat=True))
    judgment = answer(slot, ben)
    assert shown[0] == shown[1] == shown[2] == [stored[position] for position in judgment.display_order]


@pytest.mark.parametrize("verdict", ["first", "second"])
def test_what_ben_clicks_means_the_response_he_saw_there(verdict: str, ben: User) -> None:
    project = world.make_project()
    world.fill(project, 12)
    orders = set()
    while slot := claim_next(project=project, person=ben):
        seen = {r.verdict: r.text for r in show(assignment=slot, person=ben).responses}
        judgment = answer(slot, ben, verdict=verdict)
        assert slot.item.responses.get(position=int(judgment.label)).text == seen[verdict]
        orders.add(tuple(judgment.display_order))
    assert orders == {(0, 1), (1, 0)}


def test_over_many_items_both_orders_are_about_as_frequent() -> None:
    shown = [display_order(key="key", item_hash=f"{n:032x}", turn=0, responses=2) for n in range(2000)]
    counts = Counter(map(tuple, shown))
    assert set(counts) == {(0, 1), (1, 0)}
    assert (
        900 <= counts[0, 1] <= 1100
    )  # binomial, 4.5 standard deviations; the key is fixed: it never flickers


def test_what_the_task_holds_can_be_sent_as_json_without_a_name_in_it(project: Project, ben: User) -> None:
    world.fill(project, 1)
    task = show(assignment=claim_next(project=project, person=ben), person=ben)
    sent = json.dumps([task.messages, [(r.number, r.verdict, r.text) for r in task.responses]])
    assert "secret-model" not in sent
    assert [r.number for r in task.responses] == [1, 2]
