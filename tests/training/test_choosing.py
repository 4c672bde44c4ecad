"""Choosing k of n rows: against plain definitions, planted clusters and a bound from the literature."""

import itertools
from typing import Any

import numpy as np
import pytest

from training.recipes import choosing

ALL_EQUAL = np.full(400, 0.5)


def cloud(n: int, d: int = 6, seed: int = 0) -> Any:
    return choosing.unit(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def clusters(sizes: list[int], d: int = 16, seed: int = 0) -> tuple[Any, Any]:
    """Unit vectors around as many directions as there are sizes, and the cluster of each."""
    random = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(d)[of] * 10 + random.normal(scale=0.3, size=(len(of), d))
    return choosing.unit(vectors.astype(np.float32)), of


def test_places_share_ties_and_put_the_unknown_last() -> None:
    assert choosing.ranked(np.array([3.0, 1.0, 2.0])).tolist() == [1.0, 0.0, 0.5]
    assert choosing.ranked(np.array([2.0, 2.0, 1.0])).tolist() == [0.75, 0.75, 0.0]
    assert choosing.ranked(np.array([np.nan, 5.0, np.nan])).tolist() == [0.25, 1.0, 0.25]
    assert choosing.ranked(np.array([7.0])).tolist() == [0.0]
    assert choosing.worse(np.array([2.0, 2.0, np.nan, 5.0, np.nan])).tolist() == [0.5, 0.5, 0.0, 1.0, 0.0]


def test_vectors_lose_what_all_have_in_common() -> None:
    common = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32) + 100
    units = choosing.unit(common)
    assert np.linalg.norm(units, axis=1) == pytest.approx(np.ones(50), abs=1e-5)
    assert (units @ units.T).min() < -0.5, "without centring all of them point one way"
    assert choosing.unit(np.ones((4, 3), dtype=np.float32)).tolist() == np.zeros((4, 3)).tolist()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_farthest_first_is_what_its_definition_says(weight: float) -> None:
    vectors, quality = cloud(40), choosing.ranked(np.random.default_rng(2).random(40))
    picks = choosing.farthest(vectors, quality, 12, weight=weight)
    chosen = [picks[0].row]
    for pick in picks[1:]:
        best, best_score = -1, -1.0
        nearest = {
            row: min(1 - float(vectors[row].astype(np.float64) @ vectors[c]) for c in chosen)
            for row in range(40)
        }
        widest = max(nearest[row] for row in range(40) if row not in chosen)
        for row in range(40):
            score = weight * quality[row] + (1 - weight) * nearest[row] / widest
            if row not in chosen and score > best_score + 1e-6:
                best, best_score = row, score
        assert pick.row == best
        assert pick.distance == pytest.approx(nearest[best], abs=1e-5)
        assert pick.near in chosen
        chosen.append(best)


def test_quality_alone_takes_the_best_rows_in_order() -> None:
    quality = np.random.default_rng(3).permutation(30) / 29
    picks = choosing.farthest(cloud(30), quality, 7, weight=1.0)
    assert [pick.row for pick in picks] == np.argsort(-quality)[:7].tolist()


def test_the_first_pick_is_the_best_and_of_equally_good_ones_the_most_typical() -> None:
    vectors, of = clusters([30, 3])
    quality = np.where(np.arange(33) % 2, 1.0, 0.2)
    first = choosing.farthest(vectors, quality, 1, weight=0.1)[0]
    assert (quality[first.row], of[first.row]) == (1.0, 0)


def test_diversity_alone_is_within_twice_the_best_cover() -> None:
    """Gonzalez's bound, on the chord, which is a metric and grows with the cosine distance."""
    for seed in range(5):
        vectors = cloud(12, d=3, seed=seed)
        chord = np.sqrt(np.maximum(2 - 2 * (vectors @ vectors.T), 0))
        best = min(chord[:, list(three)].min(axis=1).max() for three in itertools.combinations(range(12), 3))
        chosen = [pick.row for pick in choosing.farthest(vectors, np.zeros(12), 3, weight=0.0)]
        assert chord[:, chosen].min(axis=1).max() <= 2 * best + 1e-5


def test_clusters_that_are_there_give_a_row_each_and_their_sizes() -> None:
    vectors, of = clusters([50, 30, 15, 5])
    quality = choosing.ranked(np.random.default_rng(4).random(100))
    picks = choosing.kmeans(vectors, quality, 4, weight=1.0, seed=7)
    assert [pick.group for pick in picks] == [50, 30, 15, 5]
    assert [of[pick.row] for pick in picks] == [0, 1, 2, 3]
    assert [pick.row for pick in picks] == [
        int(np.flatnonzero(of == c)[np.argmax(quality[of == c])]) for c in range(4)
    ]
    assert picks == choosing.kmeans(vectors, quality, 4, weight=1.0, seed=7)


def test_without_quality_a_cluster_gives_the_row_nearest_to_its_middle() -> None:
    vectors, of = clusters([40, 40])
    for pick in choosing.kmeans(vectors, ALL_EQUAL[:80], 2, weight=0.0, seed=1):
        inside = np.flatnonzero(of == of[pick.row])
        middle = vectors[inside].sum(axis=0)
        assert pick.row == inside[np.argmax(vectors[inside] @ middle)]


@pytest.mark.parametrize("way", ["farthest", "kmeans"])
@pytest.mark.parametrize("k", [1, 2, 9, 29])
def test_exactly_k_different_rows_are_chosen_even_where_most_texts_are_equal(way: str, k: int) -> None:
    same = np.repeat(np.eye(4, dtype=np.float32), [20, 5, 4, 1], axis=0)
    vectors = choosing.unit(same)
    if way == "kmeans":
        picks = choosing.kmeans(vectors, ALL_EQUAL[:30], k, weight=0.5, seed=3)
    else:
        picks = choosing.farthest(vectors, ALL_EQUAL[:30], k, weight=0.5)
    assert len({pick.row for pick in picks}) == k
    first = {same[pick.row].argmax() for pick in picks[:4]}
    assert len(first) == min(k, 4), "every different text comes before any text comes twice"


def test_all_rows_the_same_is_no_reason_to_stop() -> None:
    vectors = choosing.unit(np.ones((6, 3), dtype=np.float32))
    assert {pick.row for pick in choosing.farthest(vectors, np.zeros(6), 3, weight=0.5)} == {0, 1, 2}
    assert len({pick.row for pick in choosing.kmeans(vectors, np.zeros(6), 3, weight=0.5, seed=0)}) == 3


def test_a_diverse_choice_reaches_more_than_a_random_one() -> None:
    vectors, _ = clusters([300, 40, 30, 20, 10])
    looked_at = np.arange(400)
    chosen = [pick.row for pick in choosing.farthest(vectors, ALL_EQUAL, 5, weight=0.0)]
    random = np.random.default_rng(5)
    drawn = [
        choosing.reach(vectors, random.choice(400, 5, replace=False).tolist(), looked_at) for _ in range(20)
    ]
    assert choosing.reach(vectors, chosen, looked_at) < min(drawn)
    near, distance = choosing.nearest_chosen(vectors, chosen)
    assert distance.mean() == pytest.approx(choosing.reach(vectors, chosen, looked_at), abs=1e-6)
    assert set(near) <= set(chosen)


def test_the_map_keeps_clusters_apart() -> None:
    vectors, of = clusters([40, 40])
    flat = choosing.map_of(vectors)
    assert flat.shape == (80, 2)
    gap = np.linalg.norm(flat[of == 0].mean(axis=0) - flat[of == 1].mean(axis=0))
    assert gap > 4 * flat[of == 0].std(axis=0).max()
    assert choosing.map_of(np.ones((1, 1), dtype=np.float32)).shape == (1, 2)
