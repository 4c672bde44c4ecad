"""How long captures are kept."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from labeling.capturing import keeping
from labeling.capturing.keeping import delete_old
from labeling.capturing.queueing import queue_captures
from labeling.capturing.sampling import save_rule
from labeling.errors import Refused
from labeling.jobs import sweep
from labeling.models import Capture, CaptureTally, Project
from labeling.projects import set_rules
from tests import world
from tests.labeling.captured import a_capture, a_token, took

pytestmark = pytest.mark.data_layer


def both(number: int) -> dict[str, Any]:
    return a_capture(number, answer=None, answers=["Here.", "There."], idempotency_key=f"key-{number}")


def aged(project: Project, *days: float) -> list[Capture]:
    """A capture for each age in days, in that order."""
    token, _ = a_token(project, name=f"web shop {Capture.objects.count()}")
    took(token, *(both(n) for n in range(len(days))))
    rows = list(Capture.objects.filter(project=project).order_by("pk"))
    for row, age in zip(rows, days, strict=True):
        row.received_at = timezone.now() - timedelta(days=age)
        row.save(update_fields=["received_at"])
    return rows


def left(project: Project) -> set[str]:
    return set(Capture.objects.filter(project=project).values_list("key", flat=True))


def test_a_worker_deletes_what_is_too_old_and_nothing_else(project: Project) -> None:
    other = world.make_project("Another")
    aged(project, 31, 29, 0)
    aged(other, 400)
    sweep()
    assert (len(left(project)), len(left(other))) == (3, 1), "without a number of days all are kept"
    set_rules(project=project, capture_days=30)
    sweep()
    assert left(project) == {"key-1", "key-2"}
    assert len(left(other)) == 1


def test_what_was_made_of_a_capture_stays_and_what_waits_is_made_first(project: Project) -> None:
    save_rule(project=project, person=None)
    set_rules(project=project, capture_days=1)
    aged(project, 5, 5)
    assert delete_old(project=project) == 0
    assert queue_captures(project) == 2
    assert delete_old(project=project) == 2
    assert project.items.count() == 2
    assert sum(CaptureTally.objects.filter(outcome="stored").values_list("n", flat=True)) == 2


def test_the_oldest_go_first_in_steps(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "STEP", 2)
    monkeypatch.setattr(keeping, "MOST_STEPS", 2)
    aged(project, 11, 15, 12, 14, 13, 9)
    set_rules(project=project, capture_days=10)
    assert delete_old(project=project) == 4
    assert left(project) == {"key-0", "key-5"}
    assert (delete_old(project=project), delete_old(project=project)) == (1, 0)


def test_days_are_deleted_whole_and_none_after_one_that_waits(project: Project) -> None:
    """The cap of a rule counts what a day has; half a day would be filled up again."""
    set_rules(project=project, capture_days=3)
    rows = aged(project, 9, 8, 7, 6)
    day = timezone.localdate(rows[2].received_at)
    begin = timezone.make_aware(datetime.combine(day, time.min))
    Capture.objects.filter(pk=rows[1].pk).update(received_at=begin)
    Capture.objects.filter(pk=rows[2].pk).update(received_at=begin + timedelta(hours=23), state="taken")
    assert delete_old(project=project) == 1
    assert left(project) == {"key-1", "key-2", "key-3"}
    Capture.objects.update(state="left")
    noon = begin + timedelta(days=3, hours=12)
    assert delete_old(project=project, now=noon) == 0, "the day is not over for as long"
    assert delete_old(project=project, now=noon + timedelta(days=1)) == 2


def test_what_a_rule_takes_while_it_is_to_be_deleted_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rules(project=project, capture_days=3)
    rows = aged(project, 9, 8)
    delete = QuerySet.delete

    def taken_meanwhile(self: QuerySet[Capture]) -> Any:
        Capture.objects.filter(pk=rows[1].pk).update(state="taken")
        return delete(self)

    monkeypatch.setattr(QuerySet, "delete", taken_meanwhile)
    assert delete_old(project=project) == 1
    assert left(project) == {"key-1"}


def test_a_key_whose_capture_is_gone_makes_a_new_one(project: Project) -> None:
    set_rules(project=project, capture_days=10)
    aged(project, 11)
    assert delete_old(project=project) == 1
    token, _ = a_token(project)
    assert took(token, both(0))[0].status == "stored"


def test_an_owner_says_how_long_and_the_list_repeats_it(project: Project, ada: Any) -> None:
    client, url = world.sign_in(ada), reverse("labeling:setup", args=[project.slug])
    page = client.get(url).context["form"]
    values = {name: page[name].value() for name in page.fields if page[name].value() not in (None, False)}
    said = client.post(url, {**values, "action": "rules", "capture_days": "0"})
    assert (said.status_code, "0 is too little; give 1 or more." in said.text) == (422, True)
    assert client.post(url, {**values, "action": "rules", "capture_days": "90"}).status_code == 302
    project.refresh_from_db()
    assert project.capture_days == 90
    captures = client.get(reverse("labeling:captures", args=[project.slug])).text
    assert "Each is deleted 90 days after it came; items that came of it stay." in captures
    assert client.post(url, {**values, "action": "rules", "capture_days": ""}).status_code == 302
    project.refresh_from_db()
    assert project.capture_days is None
    with pytest.raises(Refused, match="capture_days"):
        set_rules(project=project, capture_days=0)
