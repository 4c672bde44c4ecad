"""The intervals of agreement say what the data can, for each statistic, and no more."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pytest

from labeling.agreement import (
    alpha_estimate,
    cohen_kappa,
    fleiss_estimate,
    fleiss_kappa,
    krippendorff_alpha,
    pairwise_kappas,
    raw_agreement,
)
from labeling.estimates import Estimate, wilson_bounds
from tests.labeling.test_agreement import (
    FLEISS_DIAGNOSES,
    SAS_TABLE,
    Keys,
    Labels,
    needs_shared_data,
    noisy_pair,
    pandalm,
    two_raters,
    unfold,
)

Interval = Callable[..., Estimate | None]
Point = Callable[[list[list[Any]]], float | None]


def linear_kappa(labels: Labels, **options: Any) -> Estimate | None:
    return pairwise_kappas(labels, "linear", **options)[0].kappa


def quadratic_kappa(labels: Labels, **options: Any) -> Estimate | None:
    return pairwise_kappas(labels, "quadratic", **options)[0].kappa


def kappa(labels: Labels, **options: Any) -> Estimate | None:
    return pairwise_kappas(labels, **options)[0].kappa


def fleiss_of_three(labels: Labels, **options: Any) -> Estimate | None:
    return fleiss_estimate(labels, raters=3, **options)


def columns(rows: list[list[Any]]) -> tuple[list[Any], list[Any]]:
    return [row[0] for row in rows], [row[1] for row in rows]


STATISTICS: dict[str, tuple[Interval, Point]] = {
    "kappa": (kappa, lambda rows: cohen_kappa(*columns(rows))),
    "linear": (linear_kappa, lambda rows: cohen_kappa(*columns(rows), weights="linear")),
    "quadratic": (quadratic_kappa, lambda rows: cohen_kappa(*columns(rows), weights="quadratic")),
    "fleiss": (
        fleiss_of_three,
        lambda rows: fleiss_kappa([[r.count(c) for c in (1, 2, 3, 4)] for r in rows]),
    ),
    "nominal": (alpha_estimate, krippendorff_alpha),
    "ordinal": (
        lambda labels, **o: alpha_estimate(labels, "ordinal", **o),
        lambda r: krippendorff_alpha(r, "ordinal"),
    ),
    "interval": (
        lambda labels, **o: alpha_estimate(labels, "interval", **o),
        lambda r: krippendorff_alpha(r, "interval"),
    ),
}


def ratings(rng: np.random.Generator, units: int, *, missing: float = 0.0) -> list[list[Any]]:
    """Three raters who see a true mark of 1 to 4 with noise; some marks may be missing."""
    truth = rng.integers(1, 5, (units, 1))
    seen = np.clip(truth + np.rint(rng.normal(0, 0.7, (units, 3))), 1, 4).astype(int)
    gaps = rng.random((units, 3)) < missing
    return [
        [None if gap else int(x) for x, gap in zip(*row, strict=True)] for row in zip(seen, gaps, strict=True)
    ]


def as_labels(rows: list[list[Any]]) -> Labels:
    return {unit: dict(zip(("Ben", "Bea", "Cleo"), row, strict=True)) for unit, row in enumerate(rows)}


def found(name: str, rows: list[list[Any]], clusters: Mapping[Hashable, Hashable] | None = None) -> Estimate:
    estimate = STATISTICS[name][0](as_labels(rows), clusters=clusters)
    assert estimate is not None
    return estimate


def kappa_of(labels: Labels, clusters: Mapping[Hashable, Hashable] | None = None) -> Estimate:
    estimate = kappa(labels, clusters=clusters)
    assert estimate is not None
    return estimate


def width(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.high - estimate.low


@pytest.mark.parametrize("name", STATISTICS)
def test_each_interval_is_the_one_of_a_plain_bootstrap(name: str) -> None:
    rows = ratings(np.random.default_rng(2), 80)
    point = STATISTICS[name][1]
    picks = np.random.default_rng(0).integers(0, 80, (600, 80))
    draws = np.array([point([rows[unit] for unit in pick]) for pick in picks], dtype=float)
    estimate = found(name, rows)
    assert estimate.value == pytest.approx(point(rows))
    assert estimate.n == 80
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.03)


@pytest.mark.parametrize("name", STATISTICS)
def test_each_interval_of_prompts_is_the_one_of_a_bootstrap_of_prompts(name: str) -> None:
    rng = np.random.default_rng(3)
    rows = [row for row in ratings(rng, 40) for _ in range(1 + rng.integers(3))]
    prompts: Keys = {unit: str(rows[unit]) + str(unit // 40) for unit in range(len(rows))}
    members = [[u for u in range(len(rows)) if prompts[u] == key] for key in dict.fromkeys(prompts.values())]
    point = STATISTICS[name][1]
    picks = rng.integers(0, len(members), (600, len(members)))
    drawn = ([rows[unit] for group in pick for unit in members[group]] for pick in picks)
    draws = np.array([point(sample) for sample in drawn], dtype=float)
    estimate = found(name, rows, prompts)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.05)


@pytest.mark.parametrize("name", ["kappa", "linear", "quadratic", "fleiss"])
def test_each_interval_holds_the_truth(name: str) -> None:
    rng = np.random.default_rng(11)
    truth = STATISTICS[name][1](ratings(rng, 40_000))
    assert truth is not None
    holds = [
        estimate.low <= truth <= estimate.high
        for estimate in (found(name, ratings(rng, 120)) for _ in range(120))
    ]
    assert 0.90 <= np.mean(holds) <= 0.99


@pytest.mark.parametrize("name", ["nominal", "ordinal", "interval"])
def test_each_interval_of_alpha_holds_the_truth_where_labels_are_missing(name: str) -> None:
    rng = np.random.default_rng(12)
    truth = STATISTICS[name][1](ratings(rng, 40_000))
    assert truth is not None
    samples = (ratings(rng, 160, missing=0.3) for _ in range(120))
    holds = [estimate.low <= truth <= estimate.high for estimate in (found(name, rows) for rows in samples)]
    assert 0.90 <= np.mean(holds) <= 0.99


def test_the_interval_of_the_sas_example_is_near_the_published_one() -> None:
    # SAS gives 0.2137 to 0.7547 and, linearly weighted, 0.1845 to 0.7558, both from a normal approximation.
    a, b = unfold(SAS_TABLE)
    labels = two_raters([*a], [*b])
    for estimate, low, high in ((kappa(labels), 0.2137, 0.7547), (linear_kappa(labels), 0.1845, 0.7558)):
        assert estimate is not None
        assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.08)


def test_fleiss_kappa_of_the_diagnoses_has_an_interval() -> None:
    labels: Labels = {patient: dict(enumerate(digits)) for patient, digits in enumerate(FLEISS_DIAGNOSES)}
    estimate = fleiss_estimate(labels, raters=6)
    assert estimate is not None
    assert estimate.value == pytest.approx(0.430245, abs=1e-6)
    assert estimate.n == 30
    assert 0.2 < estimate.low < 0.38
    assert 0.5 < estimate.high < 0.6


def test_fleiss_kappa_counts_only_units_with_as_many_labels_as_it_was_told() -> None:
    rows = ratings(np.random.default_rng(4), 60, missing=0.2)
    full = [row for row in rows if None not in row]
    estimate = fleiss_estimate(as_labels(rows), raters=3)
    assert estimate is not None
    assert 10 < estimate.n == len(full) < 60
    assert estimate == fleiss_estimate(as_labels(full), raters=3)
    assert fleiss_estimate(as_labels(rows), raters=4) is None
    with pytest.raises(ValueError, match="at least 2 labels a unit, not 1"):
        fleiss_estimate(as_labels(rows), raters=1)


def test_words_have_no_weighted_kappa() -> None:
    with pytest.raises(ValueError, match="need numbers"):
        pairwise_kappas(two_raters(["good", "bad"] * 9, ["bad", "bad"] * 9), "quadratic")


def test_the_value_of_an_estimate_is_the_plain_statistic() -> None:
    rng = np.random.default_rng(5)
    units: Labels = {u: {r: int(rng.integers(1, 5)) for r in "abc" if rng.random() < 0.8} for u in range(60)}
    table = [list(given.values()) for given in units.values()]
    for level in ("nominal", "ordinal", "interval"):
        estimate = alpha_estimate(units, level)
        assert estimate is not None
        assert estimate.value == pytest.approx(krippendorff_alpha(table, level))
        assert estimate.n == sum(len(row) > 1 for row in table)
    for first, second, kappa, raw in pairwise_kappas(units):
        a, b = ([given.get(rater) for given in units.values()] for rater in (first, second))
        assert kappa is not None
        assert raw is not None
        assert kappa.value == pytest.approx(cohen_kappa(a, b))
        assert raw.value == pytest.approx(raw_agreement(a, b))
        assert kappa.n == raw.n == sum(x is not None and y is not None for x, y in zip(a, b, strict=True))


@needs_shared_data
def test_pandalms_shared_prompts_widen_every_interval() -> None:
    labels, prompts = pandalm()
    assert len(set(prompts.values())) == 170
    for alone, together in zip(
        pairwise_kappas(labels), pairwise_kappas(labels, clusters=prompts), strict=True
    ):
        assert width(together.kappa) > 1.2 * width(alone.kappa)
        assert width(together.raw) > 1.2 * width(alone.raw)
    assert width(alpha_estimate(labels, clusters=prompts)) > 1.2 * width(alpha_estimate(labels))


def test_fewer_than_ten_shared_units_give_no_interval() -> None:
    nine, ten = (two_raters([*range(3)] * 4, [0, 1, 2, 1] * 3) for _ in range(2))
    nine = dict(list(nine.items())[:9])
    ten = dict(list(ten.items())[:10])
    assert pairwise_kappas(nine)[0][2:] == (None, None)
    assert alpha_estimate(nine) is None
    assert None not in pairwise_kappas(ten)[0]
    assert alpha_estimate(ten) is not None


def test_many_units_in_few_clusters_give_no_interval() -> None:
    labels = noisy_pair(np.random.default_rng(0), 200)
    clusters: Keys = {unit: int(str(unit)) % 9 for unit in labels}
    assert pairwise_kappas(labels, clusters=clusters)[0][2:] == (None, None)
    assert alpha_estimate(labels, clusters=clusters) is None


def test_perfect_agreement_is_never_certain() -> None:
    labels = two_raters([0, 1] * 50, [0, 1] * 50)
    pair = pairwise_kappas(labels)[0]
    unseen = 1 - wilson_bounds(1.0, 100)[0]
    expected = Estimate(1.0, 1 - unseen / 0.5, 1.0, 100)
    assert pair.kappa == expected
    assert pair.raw == Estimate(1.0, 1 - unseen, 1.0, 100)
    assert alpha_estimate(labels) == expected
    assert alpha_estimate(labels, "ordinal") == expected


def test_perfect_agreement_on_few_prompts_is_less_certain_than_on_many() -> None:
    labels = two_raters([0, 1] * 50, [0, 1] * 50)
    clusters: Keys = {unit: int(str(unit)) // 4 for unit in labels}
    pair = pairwise_kappas(labels, clusters=clusters)[0]
    assert pair.raw == Estimate(1.0, wilson_bounds(1.0, 25)[0], 1.0, 100)
    assert width(pair.kappa) > 3 * width(pairwise_kappas(labels)[0].kappa)
    assert width(alpha_estimate(labels, clusters=clusters)) == pytest.approx(width(pair.kappa))


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not() -> None:
    labels = noisy_pair(np.random.default_rng(1), 80)
    assert pairwise_kappas(labels, seed=3) == pairwise_kappas(labels, seed=3)
    assert pairwise_kappas(labels, seed=3) != pairwise_kappas(labels, seed=4)
    assert alpha_estimate(labels, seed=3) == alpha_estimate(labels, seed=3)


def test_intervals_of_repeated_units_hold_the_true_kappa_only_when_clustered() -> None:
    rng = np.random.default_rng(12)
    clusters: Keys = {unit: unit // 4 for unit in range(320)}
    alone: list[bool] = []
    together: list[bool] = []
    for _ in range(150):
        once = list(noisy_pair(rng, 80).values())
        labels: Labels = {unit: once[unit // 4] for unit in range(320)}
        for found, keys in ((alone, None), (together, clusters)):
            kappa = kappa_of(labels, keys)
            found.append(kappa.low <= 0.64 <= kappa.high)
    assert np.mean(alone) < 0.80
    assert 0.90 <= np.mean(together) <= 0.99


def test_resampling_in_pieces_keeps_every_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = noisy_pair(np.random.default_rng(1), 80)
    whole = kappa_of(labels)
    monkeypatch.setattr("labeling.resampling.DRAWS_AT_ONCE", 10)
    assert kappa_of(labels) == whole
