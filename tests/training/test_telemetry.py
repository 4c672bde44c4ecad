"""What the recipe process writes is read once, line by line, whatever moment it is read at."""

from pathlib import Path

import pytest

from labeling.models import Project
from tests.training.runs import launched, write_event
from training.models import RunEvent, TrainingRun
from training.telemetry import EventTail, loss_points


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


def test_of_steps_done_twice_after_a_resume_the_later_ones_count(run: TrainingRun) -> None:
    for step, loss in ((1, 3.0), (2, 2.0), (3, 1.0), (2, 1.9), (3, 0.9)):
        write_event(run.path, "log", step, loss=loss)
    EventTail(run).read()
    assert loss_points(run) == [(1, {"loss": 3.0}), (2, {"loss": 1.9}), (3, {"loss": 0.9})]
