"""Fifty annotators, each in a process of their own, at one queue: no slot twice, none stranded, overlap exact."""

import multiprocessing
import random
from collections import Counter

import pytest
from django.db import connections

from labeling.annotating import skip
from labeling.models import Assignment, Judgment, Project, Seat, User
from labeling.queue import claim_next
from labeling.values import PairwiseAnswer
from tests import world

pytestmark = [pytest.mark.data_layer, pytest.mark.django_db(transaction=True)]
PEOPLE, ITEMS, OVERLAP = 50, 30, 3


def work(project: Project, person: User, *, skips: float = 0.0) -> int:
    """Take and answer items until nothing is left; now and then put one aside. Returns the number of answers."""
    dice, count = random.Random(person.pk), 0
    while (slot := claim_next(project=project, person=person)) is not None:
        if dice.random() < skips:
            skip(project=project, assignment_id=slot.pk, person=person, token=slot.token, reason="unclear")
            continue
        world.send(slot, person, PairwiseAnswer(verdict="first"))
        count += 1
    return count


def in_a_process(project: Project, person: User, start: "multiprocessing.synchronize.Event") -> None:
    connections.close_all()
    start.wait(60)
    try:
        work(project, person, skips=0.1)
    finally:
        connections.close_all()


def test_fifty_people_in_fifty_processes_judge_every_slot_exactly_once() -> None:
    project = world.make_project(overlap=OVERLAP)
    people = [world.person(f"annotator{n}") for n in range(PEOPLE)]
    world.fill(project, ITEMS)
    connections.close_all()
    context = multiprocessing.get_context("fork")
    start = context.Event()
    processes = [context.Process(target=in_a_process, args=(project, one, start)) for one in people]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PEOPLE

    while any(work(project, one) for one in people):
        pass  # what was put aside last is for those who had stopped by then
    given = Counter(Judgment.objects.values_list("item", "person"))
    by_item = Counter(item for item, _ in given.elements())
    assert set(given.values()) == {1}
    assert set(by_item.values()) == {OVERLAP}
    assert len(by_item) == ITEMS
    live = Assignment.objects.filter(skipped_at=None)
    assert live.count() == ITEMS * OVERLAP
    assert not live.filter(submitted_at=None).exists()
    assert sum(Seat.objects.values_list("judged", flat=True)) == ITEMS * OVERLAP
