"""Invariant 6: the row is the truth, the broker a hint. A lost message or a killed worker delays a job, no more."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from labeling.lifecycle import TERMINAL, Status
from labeling.models import ImportBatch, Project
from tests import world

pytestmark = pytest.mark.data_layer


def job(project: Project, **values: Any) -> ImportBatch:
    return ImportBatch.objects.create(project=project, filename="f", path="/nowhere", **values)


def copy(batch: ImportBatch) -> ImportBatch:
    """The same job as another worker holds it."""
    return ImportBatch.objects.get(pk=batch.pk)


def fall_silent(batch: ImportBatch) -> None:
    ImportBatch.objects.filter(pk=batch.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))


@pytest.fixture
def sent(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> list[tuple[str, list[int]]]:
    messages: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args: messages.append((name, args)))
    return messages


def test_two_workers_with_the_same_message_run_the_job_once(project: Project) -> None:
    batch = job(project)
    first, second = copy(batch), copy(batch)
    assert (first.claim(), second.claim()) == (True, False)
    assert (copy(batch).status, copy(batch).attempt) == (Status.RUNNING, 1)


@pytest.mark.django_db(transaction=True)
def test_of_ten_workers_at_once_one_gets_the_job() -> None:
    batch = job(world.make_project())
    won = world.together([lambda: copy(batch).claim()] * 10)
    assert sum(won) == 1


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_late_message_does_not_wake_a_job_that_is_over(project: Project, status: Status) -> None:
    batch = job(project, status=status)
    assert batch.claim() is False
    assert copy(batch).status == status


def test_a_job_whose_worker_fell_silent_is_queued_again_and_done_by_another(
    project: Project, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    batch = job(project)
    batch.claim()
    fall_silent(batch)
    with django_capture_on_commit_callbacks(execute=True):
        assert ImportBatch.sweep() == 1
    other = copy(batch)
    assert sent == [("labeling.jobs.run_import", [batch.pk])]
    assert other.claim() is True
    assert other.attempt == 2


def test_a_worker_that_still_beats_keeps_its_job(project: Project) -> None:
    batch = job(project)
    batch.claim()
    assert batch.heartbeat(0.4) is True
    assert ImportBatch.sweep() == 0
    assert (copy(batch).status, copy(batch).progress) == (Status.RUNNING, 0.4)


def test_a_worker_that_lost_its_claim_can_neither_beat_nor_finish_nor_give_back(project: Project) -> None:
    slow = job(project)
    slow.claim()
    fall_silent(slow)
    ImportBatch.sweep()
    other = copy(slow)
    other.claim()
    assert slow.heartbeat(0.9) is False
    assert slow.finish(Status.FAILED, "too late") is False
    assert slow.requeue() is False
    assert other.finish(Status.SUCCEEDED) is True
    assert (copy(slow).status, copy(slow).error) == (Status.SUCCEEDED, "")


def test_a_job_that_silences_every_worker_fails_with_a_sentence(project: Project, settings: Any) -> None:
    settings.PREFLOOP_MAX_ATTEMPTS = 3
    batch = job(project)
    for _ in range(3):
        copy(batch).claim()
        fall_silent(batch)
        ImportBatch.sweep()
    found = copy(batch)
    assert found.status == Status.FAILED
    assert "fell silent 3 times" in found.error
    assert "then start it again" in found.error
    assert found.finished_at is not None


def test_ada_cancels_a_queued_job_at_once(project: Project) -> None:
    batch = job(project)
    assert batch.request_cancel() is True
    assert copy(batch).status == Status.CANCELLED
    assert copy(batch).claim() is False


def test_ada_asks_a_running_job_to_stop_and_its_worker_ends_it(project: Project) -> None:
    batch = job(project)
    batch.claim()
    assert copy(batch).request_cancel() is True
    assert copy(batch).status == Status.STOPPING
    assert batch.cancel_requested() is True
    assert batch.heartbeat(0.5) is True
    assert batch.finish(Status.CANCELLED) is True
    assert copy(batch).request_cancel() is False


def test_a_job_to_be_stopped_whose_worker_fell_silent_is_cancelled_not_revived(project: Project) -> None:
    batch = job(project)
    batch.claim()
    batch.request_cancel()
    fall_silent(batch)
    ImportBatch.sweep()
    assert copy(batch).status == Status.CANCELLED


def test_a_broker_that_is_down_delays_a_job_and_does_not_lose_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(current_app, "send_task", down)
    with django_capture_on_commit_callbacks(execute=True):
        batch = job(project)
        batch.enqueue()
    assert copy(batch).status == Status.QUEUED
    assert batch.claim() is True


def test_the_message_of_a_job_that_waits_too_long_is_sent_again(
    project: Project, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    batch = job(project, queued_at=timezone.now() - timedelta(minutes=5))
    with django_capture_on_commit_callbacks(execute=True):
        assert ImportBatch.sweep() == 1
    assert sent == [("labeling.jobs.run_import", [batch.pk])]
    assert ImportBatch.sweep() == 0


def test_the_message_is_sent_after_the_row_is_committed(
    project: Project, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job(project).enqueue()
        assert sent == []
    assert len(sent) == 1


def test_a_job_that_is_given_back_without_a_fault_keeps_its_first_start_and_its_tries(
    project: Project,
) -> None:
    batch = job(project)
    batch.claim()
    started = batch.started_at
    assert batch.requeue() is True
    again = copy(batch)
    again.claim()
    assert (again.started_at, again.attempt) == (started, 1)
    assert again.seconds is not None


def test_a_job_that_meets_an_unexpected_fault_is_tried_again_and_then_fails_with_it(
    project: Project, settings: Any
) -> None:
    settings.PREFLOOP_MAX_ATTEMPTS = 2
    batch = job(project)

    def breaks() -> None:
        raise KeyError("surprise")

    for status in (Status.QUEUED, Status.FAILED):
        assert batch.claim()
        batch.carry(breaks)
        batch.refresh_from_db()
        assert batch.status == status
    assert "KeyError: 'surprise'" in batch.error


def test_the_longer_a_job_waits_the_less_often_its_message_is_sent_again(project: Project) -> None:
    batch = job(project)
    now = timezone.now()
    ImportBatch.objects.filter(pk=batch.pk).update(
        created_at=now - timedelta(hours=1), queued_at=now - timedelta(minutes=2)
    )
    assert ImportBatch.sweep() == 0
    ImportBatch.objects.filter(pk=batch.pk).update(queued_at=now - timedelta(minutes=6))
    assert ImportBatch.sweep() == 1
