"""Do the intervals of evaluations cover, and do its tests alarm as often as they say? By simulation.

    python benchmarks/coverage.py [--quick]

Prints one JSON object as its last line, with one entry a statistic:
  {"coverage": .951, "nominal": .95, "simulations": 10000}         intervals that hold the truth
  {"false_positives": .049, "nominal": .05, "simulations": 10000}  tests and gates where nothing is to be found
  {"power": .80, "nominal": .8, "simulations": 2000}               gates with as many cases as was planned
Scores, shares, perplexities and paired differences go through evaluation/numbers.py, as pages get them; the rest
through evaluation/statistics. An entry with "undefined" had that share of simulations without a number; they are left
out of the rate. Entries named "plain_" are what a simpler method says of the same data: they are there to be wrong. Two
processes.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
sys.path.insert(0, str(Path(__file__).parents[1]))

import django
import numpy as np
from numpy.random import Generator

django.setup()

from evaluation import statistics as of  # noqa: E402
from evaluation.numbers import delta, own_score  # noqa: E402
from evaluation.scorers.base import Scale  # noqa: E402
from evaluation.sheets import Cell, Line, Metric  # noqa: E402
from labeling.estimates import Estimate  # noqa: E402

Found = dict[str, bool | None]
Array = np.ndarray[Any, Any]

KEYS = np.repeat(np.arange(40), 5).tolist()  # 40 documents with 5 questions each
CHUNKS = 8
SHARE, NUMBER, PERPLEXITY = (
    Metric(each, each, each, True) for each in (Scale.SHARE, Scale.NUMBER, Scale.PERPLEXITY)
)


class Task(NamedTuple):
    one: Callable[[Generator], Found]
    times: int
    kind: str
    nominal: float


TASKS: list[Task] = []


def repeat(
    times: int, kind: str = "coverage", nominal: float = 0.95
) -> Callable[[Callable[[Generator], Found]], Callable[[Generator], Found]]:
    def register(one: Callable[[Generator], Found]) -> Callable[[Generator], Found]:
        TASKS.append(Task(one, times, kind, nominal))
        return one

    return register


def covers(estimate: Estimate | None, truth: float) -> bool | None:
    return None if estimate is None else estimate.low <= truth <= estimate.high


def lines_of(n: int, keys: Sequence[Hashable] | None, weights: Sequence[float] | None) -> list[Line]:
    units, heavy = range(n) if keys is None else keys, [1.0] * n if weights is None else weights
    pairs = zip(units, heavy, strict=True)
    return [Line(place, "", str(unit), float(weight), ()) for place, (unit, weight) in enumerate(pairs)]


def cells_of(values: Array, sizes: Array | None = None) -> dict[int, Cell]:
    many = np.ones(len(values)) if sizes is None else sizes
    return {i: Cell(float(v), float(size), 1) for i, (v, size) in enumerate(zip(values, many, strict=True))}


def shown(
    values: Array,
    keys: Sequence[Hashable] | None = None,
    weights: Array | None = None,
    *,
    metric: Metric = SHARE,
    sizes: Array | None = None,
) -> Estimate | None:
    """One target's number as a page shows it; of a metric from 0 to 1 if nothing else is said."""
    return own_score(metric, lines_of(len(values), keys, weights), cells_of(values, sizes))


def between(
    a: Array,
    b: Array,
    keys: Sequence[Hashable] | None = None,
    weights: Array | None = None,
    *,
    metric: Metric = SHARE,
    sizes: Array | None = None,
) -> Estimate | None:
    """The difference of two targets as a page shows it."""
    lines = lines_of(len(a), keys, weights)
    return delta(metric, lines, cells_of(a, sizes), cells_of(b, sizes), quick=True).estimate


# One run


@repeat(10_000)
def shares(rng: Generator) -> Found:
    """Binary, n = 200, p = .7; 40 documents of 5 with an intra-cluster correlation of .2; 60 at p = .97."""
    alone = (rng.random(200) < 0.7).astype(float)
    together = (rng.random(200) < np.repeat(rng.beta(2.8, 1.2, 40), 5)).astype(float)
    weights = rng.lognormal(0, 0.8, 200)
    high = (rng.random(60) < 0.97).astype(float)
    return {
        "wilson": covers(shown(alone), 0.7),
        "proportion_clustered": covers(shown(together, KEYS), 0.7),
        "weighted_share": covers(shown(alone, None, weights), 0.7),
        "weighted_share_clustered": covers(shown(together, KEYS, weights), 0.7),
        "weighted_share_high_n60": covers(shown(high, None, weights[:60]), 0.97),
        "plain_wilson_on_clusters": covers(of.wilson(int(together.sum()), 200), 0.7),
    }


@repeat(10_000)
def bounded_scores(rng: Generator) -> Found:
    """Skewed scores within 0 to 1, Beta(3, .75): mean .8, skewness -1.3; narrow ones, Beta(8, 12): mean .4; scores of
    which 97 in 100 are 1 and the others anything: mean .985."""
    scores, weights = rng.beta(3, 0.75, 200), rng.lognormal(0, 0.8, 200)
    shared = 0.7 * np.repeat(rng.beta(3, 0.75, 40), 5) + 0.3 * scores
    narrow, high = rng.beta(8, 12, 200), np.where(rng.random(200) < 0.97, 1.0, rng.random(200))
    return {
        "plain_t_n30": covers(of.mean_estimate(scores[:30]), 0.8),
        "score_t_n200": covers(shown(scores), 0.8),
        "score_t_narrow": covers(shown(narrow), 0.4),
        "score_bca_40_clusters": covers(shown(shared, KEYS), 0.8),
        "score_bca_n30": covers(shown(scores[:30]), 0.8),
        "score_hardly_varies": covers(shown(high), 0.985),
        "plain_t_hardly_varies": covers(of.mean_estimate(high), 0.985),
        "weighted_mean_clustered": covers(shown(shared, KEYS, weights), 0.8),
        "weighted_mean": covers(shown(scores, None, weights), 0.8),
        "plain_wilson_on_scores": covers(of.proportion_estimate(narrow), 0.4),
        "plain_t_on_clusters": covers(of.mean_estimate(shared), 0.8),
    }


@repeat(10_000)
def few_scores(rng: Generator) -> Found:
    """The same scores, 20 of them, or 20 documents of 3."""
    scores, three = rng.beta(3, 0.75, 20), np.repeat(np.arange(20), 3).tolist()
    shared = 0.7 * np.repeat(scores, 3) + 0.3 * rng.beta(3, 0.75, 60)
    return {
        "score_bca_n20": covers(shown(scores), 0.8),
        "score_bca_20_clusters": covers(shown(shared, three), 0.8),
        "plain_percentile_n20": covers(of.bootstrap_mean(scores, method="percentile"), 0.8),
    }


@repeat(2_000)
def f1_scores(rng: Generator) -> Found:
    """F1 of a judge with precision and recall of .75, 40 documents of 5: true F1 .75."""
    truth = rng.random(200) < np.repeat(rng.beta(4, 4, 40), 5)
    said = np.where(truth, rng.random(200) < 0.75, rng.random(200) < 0.25)
    hit, length = (truth & said).astype(float), truth.astype(float) + said

    def f1(rows: Array) -> float:
        return float(2 * hit[rows].sum() / length[rows].sum())

    found = of.bootstrap_estimate(f1, 200, KEYS, resamples=1_000)
    return {"f1_bca_clustered": covers(found, 0.75)}


@repeat(4_000)
def perplexities(rng: Generator) -> Found:
    tokens = rng.integers(20, 300, 200).astype(float)
    rates = 2 + np.repeat(rng.normal(0, 0.3, 40), 5) + rng.normal(0, 0.2, 200)
    better = rates - 0.05 + np.repeat(rng.normal(0, 0.05, 40), 5) + rng.normal(0, 0.05, 200)
    nll_a, nll_b = tokens * rates, tokens * better
    ratio = between(nll_a, nll_b, KEYS, metric=PERPLEXITY, sizes=tokens)
    return {
        "perplexity": covers(shown(nll_a, KEYS, metric=PERPLEXITY, sizes=tokens), np.exp(2)),
        "perplexity_ratio": covers(ratio, np.exp(-0.05)),
    }


# Two runs on the same cases


def flips(rng: Generator, up: float, down: float, n: int, clusters: int = 0) -> tuple[Array, Array]:
    """Paired 0/1 scores of which a share `up` is fixed and `down` broken; in clusters, shares vary between
    them (an intra-cluster correlation of flips of about .1)."""
    if clusters:
        shares = np.repeat(rng.dirichlet(9 * np.array([up, down, 1 - up - down]), clusters), n // clusters, 0)
    else:
        shares = np.array([[up, down, 1 - up - down]])
    draw = rng.random((n, 1))
    fixed = draw[:, 0] < shares[:, 0]
    broken = ~fixed & (draw[:, 0] < shares[:, 0] + shares[:, 1])
    before = np.where(fixed, 0.0, np.where(broken, 1.0, (rng.random(n) < 0.7).astype(float)))
    return before, np.where(fixed, 1.0, np.where(broken, 0.0, before))


def shifted(rng: Generator, by: float) -> tuple[Array, Array]:
    """Bounded scores, 40 documents of 5, whose differences are skewed and share a part."""
    a = rng.beta(3, 0.75, 200)
    part = np.repeat(rng.beta(1, 3, 40) - 0.25, 5) + rng.beta(1, 3, 200) - 0.25
    return a, a + by + 0.3 * part


@repeat(4_000)
def paired(rng: Generator) -> Found:
    """15 % of the cases flip: 10 % up, 5 % down; bounded scores in clusters, with weights too."""
    a, b = flips(rng, 0.10, 0.05, 200)
    a5, b5 = flips(rng, 0.10, 0.05, 200, clusters=40)
    c, d = shifted(rng, 0.02)
    weights = rng.lognormal(0, 0.8, 200)
    return {
        "paired_flips": covers(between(a, b), 0.05),
        "paired_flips_weighted": covers(between(a, b, None, weights), 0.05),
        "paired_flips_clustered": covers(between(a5, b5, KEYS), 0.05),
        "paired_scores_clustered": covers(between(c, d, KEYS, metric=NUMBER), 0.02),
        "paired_scores_weighted": covers(between(c, d, KEYS, weights, metric=NUMBER), 0.02),
        "churn": covers(of.proportion_estimate((a != b).astype(float)), 0.15),
    }


@repeat(2_000, "false_positives", 0.05)
def paired_tests(rng: Generator) -> Found:
    """Two-sided tests where both runs are equal: 15 % flips half each way; bounded scores in clusters."""
    a, b = flips(rng, 0.075, 0.075, 200)
    c, d = shifted(rng, 0.0)
    first, second = of.paired_difference(a, b), of.paired_difference(c, d, KEYS)
    assert first.p_value is not None
    assert first.mid_p is not None
    assert second.p_value is not None
    fixed, broken = first.fixed, first.broken
    return {
        "sign_flip_binary": first.p_value <= 0.05,
        "sign_flip_clustered": second.p_value <= 0.05,
        "mcnemar_mid_p": first.mid_p <= 0.05,
        "mcnemar_exact": of.mcnemar(fixed, broken).exact <= 0.05,
        "mcnemar_chi2": of.mcnemar_chi2(fixed, broken) <= 0.05,
    }


def passed(gate: of.Gate | None) -> bool | None:
    return None if gate is None else gate.verdict == "passed"


def failed(gate: of.Gate | None) -> bool | None:
    return None if gate is None else gate.verdict == "failed"


@repeat(10_000, "false_positives", 0.05)
def gates_on_flips(rng: Generator) -> Found:
    """n = 300, 10 % flips, at the margin: equal for superiority, 2 points worse for non-inferiority."""
    a, b = flips(rng, 0.05, 0.05, 300)
    c, d = flips(rng, 0.04, 0.06, 300)
    e, f = flips(rng, 0.05, 0.07, 1000)
    return {
        "gate_superiority": passed(of.superiority(a, b)),
        "gate_non_inferiority": passed(of.non_inferiority(c, d, margin=0.02)),
        "gate_non_inferiority_n1000": passed(of.non_inferiority(e, f, margin=0.02)),
        "gate_non_inferiority_refuted": failed(of.non_inferiority(c, d, margin=0.02)),
        "plain_gate_new_not_below_old": bool(d.sum() >= c.sum()),
    }


@repeat(4_000, "false_positives", 0.05)
def gates_in_clusters(rng: Generator) -> Found:
    a, b = flips(rng, 0.05, 0.05, 200, clusters=40)
    c, d = flips(rng, 0.05, 0.10, 200, clusters=40)
    e, f = shifted(rng, 0.0)
    return {
        "gate_superiority_clustered": passed(of.superiority(a, b, KEYS)),
        "gate_non_inferiority_clustered": passed(of.non_inferiority(c, d, KEYS, margin=0.05)),
        "gate_superiority_scores": passed(of.superiority(e, f, KEYS)),
        "gate_superiority_scores_mirrored": passed(of.superiority(f, e, KEYS)),
        "gate_non_inferiority_scores": passed(of.non_inferiority(e, f - 0.02, KEYS, margin=0.02)),
    }


@repeat(10_000, "power", 0.8)
def planned_sizes(rng: Generator) -> Found:
    """As many cases as the planners ask for."""
    a, b = flips(rng, 0.125, 0.075, 626)
    one_sided = of.mcnemar_cases(0.1, 0.0, margin=0.02, one_sided=True)
    assert one_sided is not None
    c, d = flips(rng, 0.05, 0.05, one_sided)
    change = rng.normal(0.03, 1 / 3, 969)
    low = of.mean_estimate(change)
    return {
        "planned_mcnemar": of.mcnemar(int(np.sum(b > a)), int(np.sum(b < a))).mid_p <= 0.05,
        "planned_non_inferiority": passed(of.non_inferiority(c, d, margin=0.02)),
        "planned_mean": None if low is None else low.low > 0,
    }


@repeat(10_000, "false_positives", 0.05)
def many_p_values(rng: Generator) -> Found:
    """Twenty slices, none with an effect: any alarm is false."""
    p = rng.random(20)
    return {
        "holm_family": min(of.holm(p)) <= 0.05,
        "benjamini_hochberg_family": min(of.benjamini_hochberg(p)) <= 0.05,
        "plain_unadjusted_family": bool(p.min() <= 0.05),
    }


# Comparisons by judges

THETA = np.array([0.5, 0.1, -0.1, -0.5])


def judged(rng: Generator, nu: float | None) -> tuple[list[int], list[int], Array, list[int]]:
    """500 prompts, each a random pair of four models in two orders; the second order repeats the first's
    verdict in seven of ten. Bradley-Terry with 10 % ties, or Davidson's ties."""
    i, j = np.array([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])[rng.integers(0, 6, 500)].T
    d = THETA[i] - THETA[j]
    if nu is None:
        p = 1 / (1 + np.exp(-d))
        win, tie = p - 0.05, np.full(500, 0.1)
    else:
        total = np.exp(d / 2) + np.exp(-d / 2) + nu
        win, tie = np.exp(d / 2) / total, nu / total
    draw = rng.random((2, 500))
    draw[1] = np.where(rng.random(500) < 0.7, draw[0], draw[1])
    y = np.where(draw < win, 1.0, np.where(draw < win + tie, 0.5, 0.0))
    return [*i, *i], [*j, *j], y.ravel(), [*range(500), *range(500)]


@repeat(2_000)
def ratings(rng: Generator) -> Found:
    *half, prompts = judged(rng, None)
    *three, _ = judged(rng, 0.4)
    clustered, rows = of.bradley_terry(*half, prompts), of.bradley_terry(*half)
    davidson = of.bradley_terry(*three, prompts, ties="davidson")
    assert clustered
    assert rows
    assert davidson
    ranks = {found.model: found for found in of.rank_intervals(clustered)}
    first = 1000 + 400 / np.log(10) * THETA[0]
    return {
        "bradley_terry_contrast": covers(clustered.contrast(0, 1), 0.4),
        "bradley_terry_rating": covers(clustered.rating(0), first),
        "davidson_contrast": covers(davidson.contrast(0, 1), 0.4),
        "rank_intervals_together": all(ranks[m].best <= m + 1 <= ranks[m].worst for m in range(4)),
        "plain_bradley_terry_rows": covers(rows.contrast(0, 1), 0.4),
    }


@repeat(10_000)
def win_rates(rng: Generator) -> Found:
    """200 prompts: 45 % won, 30 % tied; the same in two orders that agree in half; and 80 % won of 60."""
    draw = rng.random((2, 200))
    draw[1] = np.where(rng.random(200) < 0.5, draw[0], draw[1])
    y = np.where(draw < 0.45, 1.0, np.where(draw < 0.75, 0.5, 0.0))
    prompts = [*range(200), *range(200)]
    lopsided = np.where((few := rng.random(60)) < 0.8, 1.0, np.where(few < 0.95, 0.5, 0.0))
    return {
        "win_rate_ties": covers(of.win_rate(y[0]).rate, 0.6),
        "win_rate_two_orders": covers(of.win_rate(y.ravel(), prompts).rate, 0.6),
        "win_rate_lopsided_n60": covers(of.win_rate(lopsided).rate, 0.875),
        "plain_wilson_on_ties": covers(of.proportion_estimate(y[0]), 0.6),
    }


@repeat(4_000)
def length_bias(rng: Generator) -> Found:
    """500 prompts, two orders each; equal quality, but the longer answer has 1.2 log odds a tanh of its length,
    and the candidate's answers are longer by 60 tokens in 100."""
    lengths = rng.normal(60, 100, 500)
    p = 1 / (1 + np.exp(-1.2 * np.tanh(lengths / 100)))
    y = (rng.random((2, 500)) < p).astype(float)
    prompts = [*range(500), *range(500)]
    means = of.length_controlled_win_rate(y.mean(axis=0), lengths)
    each = of.length_controlled_win_rate(y.ravel(), np.tile(lengths, 2), prompts)
    return {
        "length_controlled": covers(means.controlled, 0.5),
        "length_controlled_rows": covers(each.controlled, 0.5),
        "plain_raw_win_rate": covers(means.raw, 0.5),
    }


# A few human labels, many of a judge


def items(rng: Generator, n: int) -> tuple[Array, Array, Array]:
    """True share .7, a judge of sensitivity .9 and specificity .7, and how unsure it says it is."""
    y = (rng.random(n) < 0.7).astype(float)
    f = np.where(rng.random(n) < np.where(y == 1, 0.9, 0.3), 1.0, 0.0)
    return y, f, np.where(f == y, rng.beta(2, 4, n), rng.beta(4, 2, n))


@repeat(10_000)
def few_labels(rng: Generator) -> Found:
    """100 labels at random, or in expectation by a queue that prefers what the judge is unsure of."""
    y, f, doubt = items(rng, 1100)
    random = of.prediction_powered_mean(y[:100], f[:100], f[100:], ends=(0, 1))
    chance = 0.02 + doubt**2
    chance *= 100 / chance.sum()
    taken = rng.random(1100) < chance
    queue = of.prediction_powered_mean(
        y[taken], f[taken], f[~taken], probabilities=chance[taken], ends=(0, 1)
    )
    blind = of.prediction_powered_mean(y[taken], f[taken], f[~taken], ends=(0, 1))
    return {
        "ppi_random": covers(random.estimate if random else None, 0.7),
        "ppi_prioritised_weighted": covers(queue.estimate if queue else None, 0.7),
        "plain_ppi_prioritised_unweighted": covers(blind.estimate if blind else None, 0.7),
        "plain_judge_only": covers(of.wilson(int(f[100:].sum()), 1000), 0.7),
    }


# Studies of people's preferences, looked at three times


LOOKS = (1 / 3, 2 / 3, 1.0)
SPENT = {kind: of.boundaries(LOOKS, spending=kind) for kind in ("obrien_fleming", "pocock")}
ALIKE = 0.3  # how two people's judgments of one pair correlate


def preferences(rng: Generator, win_rate: float, prompts: int, people: int = 2) -> Array:
    """The mean of what people said of each prompt, 20 % ties; each prompt has chances of its own."""
    wins = win_rate - 0.1
    shares = rng.dirichlet((1 / ALIKE - 1) * np.array([wins, 0.2, 0.8 - wins]), prompts)
    draw = rng.random((prompts, people, 1)) > np.cumsum(shares, axis=1)[:, None, :2]
    return 1 - draw.sum(axis=2).mean(axis=1) / 2


def looked_at(values: Array, bounds: tuple[float, ...], truth: float) -> tuple[bool, bool]:
    """Whether a study stopped at a look, on the right side where there is one, and whether all its intervals held."""
    beyond, held = [], True
    for share, bound in zip(LOOKS, bounds, strict=True):
        tail = 2 * NormalDist().cdf(-bound)
        found = of.repeated_win_rate(values[: round(share * len(values))], tail=tail)
        assert found is not None
        held &= found.rate.low <= truth <= found.rate.high
        if abs(found.z) >= bound:
            beyond.append(found.z)
    return bool(beyond) and (truth == 0.5 or beyond[0] > 0), held


@repeat(10_000, "false_positives", 0.05)
def study_errors(rng: Generator) -> Found:
    """Two models that people like alike: 240 prompts, two people each, three looks."""
    values = preferences(rng, 0.5, 240)
    return {
        "study_obrien_fleming": looked_at(values, SPENT["obrien_fleming"], 0.5)[0],
        "study_pocock": looked_at(values, SPENT["pocock"], 0.5)[0],
        "plain_study_without_spending": looked_at(values, (1.96, 1.96, 1.96), 0.5)[0],
    }


@repeat(4_000, "power", 0.8)
def study_powers(rng: Generator) -> Found:
    """A true win rate of 58 %, with as many prompts as was planned."""
    variance = of.prompt_variance(0.58, 0.2, annotators=2, correlation=ALIKE)
    found = {}
    for kind in ("obrien_fleming", "pocock"):
        size = of.study_size(0.58, variance, looks=3, spending=kind)
        values = preferences(rng, 0.58, size.prompts)
        found[f"study_power_{kind}"] = looked_at(values, size.bounds, 0.58)[0]
    return found


@repeat(4_000)
def study_intervals(rng: Generator) -> Found:
    """All three intervals of a study hold a true win rate of 58 %; plain ones of 95 % do not."""
    values = preferences(rng, 0.58, 240)
    return {
        "study_repeated_interval": looked_at(values, SPENT["pocock"], 0.58)[1],
        "plain_study_interval_at_each_look": looked_at(values, (1.96, 1.96, 1.96), 0.58)[1],
    }


# Ceilings of an error analysis: failures that were read of those that fail


def wald(evaluated: int, errors: int, read: int, within: int) -> Estimate:
    """The ceiling plus and minus 1.96 errors, as it was first written down."""
    q, p = errors / evaluated * within / read, within / read
    spread = q * (1 - q) / evaluated + (errors / evaluated) ** 2 * p * (1 - p) / read * (1 - read / errors)
    half = 1.96 * float(np.sqrt(spread))
    return Estimate(q, q - half, q + half, read)


@repeat(10_000)
def ceilings(rng: Generator) -> Found:
    """1,000 cases of which a quarter fail; 40 or 200 of these were read, 30 % or 3 % are of the kind."""
    errors = max(200, int(rng.binomial(1000, 0.25)))
    few, rare, many = (int(rng.binomial(m, p)) for m, p in ((40, 0.3), (40, 0.03), (200, 0.3)))
    return {
        "ceiling_m40": covers(of.ceiling_estimate(1000, errors, 40, few), 0.075),
        "ceiling_m40_rare": covers(of.ceiling_estimate(1000, errors, 40, rare), 0.0075),
        "ceiling_m200": covers(of.ceiling_estimate(1000, errors, 200, many), 0.075),
        "plain_ceiling_wald_m40": covers(wald(1000, errors, 40, few), 0.075),
        "plain_ceiling_wald_m40_rare": covers(wald(1000, errors, 40, rare), 0.0075),
    }


@repeat(4_000)
def ceilings_in_clusters(rng: Generator) -> Found:
    """600 cases of 120 documents with weights; a document has its own share of failures and of the kind, a failure
    gains half a point to a whole one."""
    documents = np.repeat(np.arange(120), 5)
    fails = rng.random(600) < np.repeat(rng.beta(1, 3, 120), 5)
    kind, gains = rng.random(600) < np.repeat(rng.beta(1, 2, 120), 5), rng.uniform(0.5, 1, 600)
    weights = rng.lognormal(0, 0.5, 600)
    failing = np.flatnonzero(fails)
    read = rng.permutation(failing)[:60]
    lost = np.where(kind[read], gains[read], 0.0)
    together = of.Drawn(read, len(failing), weights, documents.tolist())
    alone = of.Drawn(read, len(failing), weights)
    return {
        "ceiling_clustered_weighted_gains": covers(together.ceiling(lost), 0.0625),
        "plain_ceiling_cases_alone": covers(alone.ceiling(lost), 0.0625),
    }


def chunk(number: int, part: int, share: float) -> dict[str, list[int]]:
    """[hits, defined, all] of each entry, in an eighth of a task's simulations."""
    task = TASKS[number]
    rng = np.random.default_rng([20261129, number, part])
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for _ in range(max(2, round(task.times * share / CHUNKS))):
        for name, hit in task.one(rng).items():
            counts[name][0] += bool(hit)
            counts[name][1] += hit is not None
            counts[name][2] += 1
    return dict(counts)


def run(share: float, only: str) -> dict[str, Any]:
    counts: dict[str, Array] = {}
    kinds: dict[str, Task] = {}
    with ProcessPoolExecutor(2) as pool:
        waiting = [
            (task, pool.submit(chunk, number, part, share))
            for number, task in enumerate(TASKS)
            for part in range(CHUNKS)
            if only in task.one.__name__
        ]
        for task, future in waiting:
            for name, found in future.result().items():
                counts[name] = counts.get(name, np.zeros(3, dtype=int)) + np.array(found)
                kinds[name] = task
    result = {}
    for name, (hits, defined, total) in counts.items():
        task = kinds[name]
        entry = {task.kind: round(float(hits) / max(int(defined), 1), 4), "nominal": task.nominal}
        result[name] = {**entry, "simulations": int(defined)}
        if defined < total:
            result[name]["undefined"] = round(1 - float(defined) / float(total), 4)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the simulations")
    parser.add_argument("--only", default="", help="only groups whose name holds this")
    given = parser.parse_args()
    began = time.perf_counter()
    found = run(0.02 if given.quick else 1.0, given.only)
    for name, entry in found.items():
        print(f"{name:38} {entry}", file=sys.stderr)
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
