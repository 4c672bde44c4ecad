"""Leases that run out at the moment at which the overlap changes leave no slot too many and none too few."""

from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.allocation import set_overlap
from labeling.models import Assignment
from labeling.queue import claim_next, release_expired
from tests import world
from tests.labeling.test_allocation import assert_exact


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_the_overlap_stays_exact_while_leases_run_out(attempt: int) -> None:
    project = world.make_project(f"Race {attempt}", overlap=3)
    world.fill(project, 8)
    for who in (world.person(f"annotator{n}") for n in range(3)):
        held: list[int] = []
        while slot := claim_next(project=project, person=who, besides=held):
            held.append(slot.pk)
    taken = Assignment.objects.filter(person__isnull=False)
    assert taken.update(expires_at=timezone.now() - timedelta(seconds=1)) == 24
    changes = [lambda: [set_overlap(project=project, overlap=k, every=True) for k in (1, 3, 1, 2, 1)]]
    world.together([*changes, lambda: release_expired(project=project), lambda: release_expired()])
    assert_exact(project)
