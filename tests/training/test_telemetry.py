"""What the recipe process writes is read once, line by line, whatever moment it is read at."""

from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries

from labeling.models import Project
from tests.training.runs import launched, write_event
from training.models import RunEvent, TrainingRun
from training.telemetry import EventTail, points_of


@pytest.fixture
def run(project: Project) -> TrainingRun:
    run = launched(project)
    run.path.mkdir(parents=True)
    return run


def events_file(run: TrainingRun) -> Path:
    return run.path / "events.jsonl"


def test_before_the_process_wrote_anything_there_is_nothing_to_read(run: TrainingRun) -> None:
    assert EventTail(run).read() == []


def test_each_event_is_read_once_in_its_order(run: TrainingRun) -> None:
    tail = EventTail(run)
    write_event(run.path, "start", total_steps=10)
    first = tail.read()
    write_event(run.path, "log", 1, loss=2.5)
    second = tail.read()
    assert [event.type for event in first + second] == ["start", "log"]
    assert tail.read() == []
    assert list(RunEvent.objects.values_list("seq", "type", "step")) == [(0, "start", 0), (1, "log", 1)]


def test_a_half_written_line_waits_for_its_end(run: TrainingRun) -> None:
    tail = EventTail(run)
    write_event(run.path, "log", 1, loss=2.0)
    whole = events_file(run).read_bytes()
    events_file(run).write_bytes(whole[:20])
    assert tail.read() == []
    events_file(run).write_bytes(whole)
    assert [event.step for event in tail.read()] == [1]


def test_a_line_torn_by_a_kill_is_passed_over(run: TrainingRun) -> None:
    write_event(run.path, "log", 1, loss=2.0)
    with events_file(run).open("a") as out:
        out.write('{"type": "log", "st\n[1]\nnull\n{"type": "log", "step": "x", "time": "y", "values": {}}\n')
    write_event(run.path, "log", 2, loss=1.0)
    assert [event.step for event in EventTail(run).read()] == [1, 2]


def test_a_second_worker_that_reads_the_file_again_doubles_nothing(run: TrainingRun) -> None:
    for step in range(3):
        write_event(run.path, "log", step, loss=float(step))
    EventTail(run).read()
    EventTail(run).read()
    assert RunEvent.objects.count() == 3


def losses(run: TrainingRun) -> list[tuple[int, float]]:
    series = points_of(run).get("log", "loss")
    return [] if series is None else [(group.step, group.mean) for group in series]


def test_of_steps_done_twice_after_a_resume_the_later_ones_count(run: TrainingRun) -> None:
    for step, loss in ((1, 3.0), (2, 2.0), (3, 1.0), (2, 1.9), (3, 0.9)):
        write_event(run.path, "log", step, loss=loss)
    EventTail(run).read()
    assert losses(run) == [(1, 3.0), (2, 1.9), (3, 0.9)]


def test_a_page_that_looks_again_reads_only_what_is_new(
    run: TrainingRun, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    tail = EventTail(run)
    write_event(run.path, "log", 1, loss=3.0)
    tail.read()
    assert losses(run) == [(1, 3.0)]
    write_event(run.path, "log", 2, loss=2.0)
    tail.read()
    with django_assert_num_queries(1) as asked:
        assert losses(run) == [(1, 3.0), (2, 2.0)]
    assert '"seq" > 0' in asked.captured_queries[0]["sql"]


def test_a_resume_while_a_page_looks_on_takes_back_what_is_done_again(run: TrainingRun) -> None:
    tail = EventTail(run)
    for step in (1, 2, 3):
        write_event(run.path, "log", step, loss=float(step))
    tail.read()
    losses(run)
    write_event(run.path, "log", 2, loss=20.0)
    tail.read()
    assert losses(run) == [(1, 1.0), (2, 20.0)]


def test_two_events_of_one_step_complete_each_other(run: TrainingRun) -> None:
    write_event(run.path, "log", 1, loss=3.0, grad_norm=1.0)
    write_event(run.path, "log", 1, loss=2.5, tokens_per_second=100.0)
    EventTail(run).read()
    points = points_of(run)
    found = {name: [group.mean for group in series] for (_, name), series in points.series.items()}
    assert found == {"loss": [2.5], "grad_norm": [1.0], "tokens_per_second": [100.0]}


def test_only_numbers_become_points(run: TrainingRun) -> None:
    write_event(run.path, "log", 1, loss=1.0, done=True, words="many", none=None)
    write_event(run.path, "eval", 1, loss=2.0)
    EventTail(run).read()
    assert set(points_of(run).series) == {("log", "loss"), ("eval", "loss")}
