"""The closed loop with a real model: bad answers are captured, reviewed, frozen and trained on, and the ledger says
whether the planted failure closed on siblings that nobody trained on. A sham, whose labels were shuffled, did not."""

import pytest
from django.urls import reverse

from labeling.models import User
from labeling.protection import protected_hashes
from tests import world
from tests.loop.planted import LESSONS, OTHERS, SIBLINGS, Turn

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of a tiny model wait for each other longer than they work."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_the_planted_failure_is_closed_on_siblings_that_nobody_trained_on(leo: User) -> None:
    turn = Turn("Support", sham=False)
    entry = turn.go()
    assert (turn.opened.siblings, turn.opened.joined) == (SIBLINGS, LESSONS)
    assert turn.version.rows == LESSONS
    assert entry.trace.judged == LESSONS
    assert [each.version for each in entry.trace.used] == [turn.version]
    closing = entry.closing
    assert closing is not None
    assert (closing.failing, closing.controls, closing.met) == (SIBLINGS, OTHERS, 0)
    assert entry.standing == "closed", entry.sentence
    assert closing.gained is not None
    assert closing.ceiling is not None
    assert entry.fix.ceiling is not None
    cases = SIBLINGS + 2 * OTHERS  # of three families; the lessons were captured, so that none left the suite
    assert closing.gained.value == pytest.approx(closing.fixed / cases)
    assert (closing.ceiling.value, entry.fix.ceiling.value) == (pytest.approx(SIBLINGS / cases),) * 2
    siblings = set(entry.fix.cases.values_list("case__prompt_hash", flat=True))
    assert siblings <= protected_hashes(project=turn.project)
    page = world.sign_in(leo).get(reverse("evaluation:ledger", args=[turn.project.slug]))
    assert "closed" in page.text
    assert "dpo Support" in page.text


def test_a_sham_fix_of_shuffled_labels_is_not_closed() -> None:
    entry = Turn("Sham", sham=True).go()
    assert entry.closing is not None
    assert entry.closing.failing == SIBLINGS
    assert entry.standing == "not closed", entry.sentence
