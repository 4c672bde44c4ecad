"""How far reviewers mark the same text, against tables written out character by character."""

import random

import pytest

from labeling.agreement import krippendorff_alpha
from labeling.rag.agreeing import Marked, marked_alpha, marked_f1
from labeling.rag.answers import errors_in


def marks(seed: int, items: int = 40) -> Marked:
    """Texts of 0 to 60 characters, each marked by two to four people who see the same places, more or less."""
    rng = random.Random(seed)
    found: Marked = {}
    for item in range(items):
        length = rng.randrange(61)
        people = []
        for _ in range(rng.randrange(2, 5)):
            starts = sorted(rng.sample(range(0, length, 10), min(2, len(range(0, length, 10)))))
            people.append([(s, min(length, s + rng.randrange(1, 10))) for s in starts if rng.random() < 0.7])
        found[item] = (length, people)
    return found


def table(marked: Marked) -> list[list[int]]:
    """Characters x people: 1 where a person marks the character."""
    return [
        [int(any(start <= at < end for start, end in spans)) for spans in people]
        for length, people in marked.values()
        for at in range(length)
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_alpha_of_marks_is_that_of_a_table_of_characters(seed: int) -> None:
    marked = marks(seed)
    found, wanted = marked_alpha(marked, {}), krippendorff_alpha(table(marked))
    assert found is not None
    assert found.value == pytest.approx(wanted, abs=1e-12)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("seed", [1, 2])
def test_f1_is_twice_what_both_mark_of_what_each_marks_over_all_pairs(seed: int) -> None:
    marked, both, each = marks(seed), 0, 0
    for row in table(marked):
        for a in range(len(row)):
            for b in range(a):
                both += 2 * row[a] * row[b]
                each += row[a] + row[b]
    found = marked_f1(marked, {})
    assert found is not None
    assert found.value == pytest.approx(both / each, abs=1e-12)


def test_full_agreement_is_not_certain_and_nothing_marked_says_nothing() -> None:
    same: Marked = {item: (20, [[(2, 9)], [(2, 9)]]) for item in range(30)}
    found = marked_alpha(same, {})
    assert found is not None
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.9
    both = marked_f1(same, {})
    assert both is not None
    assert (both.value, both.high, both.n) == (1.0, 1.0, 30)
    assert both.low < 0.9
    apart = marked_f1({item: (20, [[(2, 9)], [(9, 12)]]) for item in range(30)}, {})
    assert apart is not None
    assert (apart.value, apart.low) == (0.0, 0.0)
    assert apart.high > 0.1
    assert marked_alpha({item: (20, [[], []]) for item in range(30)}, {}) is None
    assert marked_f1({item: (20, [[], []]) for item in range(30)}, {}) is None
    assert marked_alpha({1: (20, [[(2, 9)], [(2, 5)]])}, {}) is None


def test_a_supported_statement_is_no_mark_of_an_error() -> None:
    spans = [
        {"start": 0, "end": 5, "chunks": [1]},
        {"start": 6, "end": 9, "category": "evident_conflict", "chunks": [1]},
        {"start": 10, "end": 12},
    ]
    assert errors_in(spans) == [(6, 9), (10, 12)]
    assert errors_in(None) == []
