"""What moves people's choices besides the responses, and how much noise is in them.

Each function gives a share with a 95 % interval: Wilson's, or with clusters Wilson's at an effective size
(`labeling.resampling.share_estimate`). None means fewer than MIN_UNITS observations, or clusters of them.
`clusters` holds one key an observation; those that share a key (one prompt) are not independent, and a key of
None stands alone.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from labeling.estimates import Estimate, cluster_codes, wilson_bounds
from labeling.resampling import MIN_UNITS, share_estimate


def position_bias(first_wins: int, second_wins: int) -> Estimate | None:
    """P(left wins): the share of decided choices that went to the response shown first; ties do not count.

    Where the order was drawn at random, .5 is no bias, and an interval without .5 shows one: with 280 choices a
    share of .6 shows in 92 of 100 cases, and a fair person is accused in 5.
    """
    return _counted(first_wins, second_wins)


def length_bias(
    lengths: Sequence[tuple[float, float]], clusters: Sequence[Hashable] | None = None
) -> Estimate | None:
    """The share of choices in which the longer response won; `lengths` are (chosen, rejected), in any one unit.

    Pairs of equal length are left out, and n says how many were not. A share above .5 is a bias only where
    longer responses are not in fact better.
    """
    return _share([None if won == lost else won > lost for won, lost in lengths], clusters)


def self_consistency(
    pairs: Sequence[tuple[Hashable, Hashable]], clusters: Sequence[Hashable] | None = None
) -> Estimate | None:
    """The share of repeated judgments in which a person said the same again; n is the number of repeats.

    `pairs` are (label, label at the repeat), in terms of the stored responses, not of the sides of the screen.
    """
    return _share([first == again for first, again in pairs], clusters)


def noise_ceiling(consistency: Estimate, categories: int) -> Estimate:
    """The most often that anything, even the truth, can agree with one label, from `self_consistency`.

    A person who gives the true label with chance q, and every other one alike, repeats a label with chance
    s = q^2 + (1 - q)^2 / (C - 1); so q = (1 + sqrt((C - 1)(C s - 1))) / C. Beyond chance this is Spearman's
    correction for attenuation (1904, "The proof and measurement of association between two things", American
    Journal of Psychology 15): the ceiling's kappa is the square root of the consistency's. The interval's ends
    go through the same formula; s below 1 / C counts as 1 / C. A person who remembers the first answer repeats
    it too often, and then the ceiling is too high. ValueError for fewer than two categories.
    """
    if categories < 2:
        raise ValueError(f"A choice has at least 2 categories, not {categories}.")

    def ceiling(same: float) -> float:
        return (1 + math.sqrt((categories - 1) * max(categories * same - 1, 0.0))) / categories

    return Estimate(
        ceiling(consistency.value), ceiling(consistency.low), ceiling(consistency.high), consistency.n
    )


def gold_pass_share(passed: int, failed: int) -> Estimate | None:
    """The share of gold items (known answers, mixed in unseen) that a person judged as the gold says."""
    return _counted(passed, failed)


def _counted(part: int, rest: int) -> Estimate | None:
    if part < 0 or rest < 0:
        raise ValueError(f"{part} and {rest} cannot be counts; give numbers from 0 on.")
    n = part + rest
    return Estimate(part / n, *wilson_bounds(part / n, n), n) if n >= MIN_UNITS else None


def _share(outcomes: Sequence[bool | None], clusters: Sequence[Hashable] | None) -> Estimate | None:
    """The share of True among what is not None."""
    if clusters is not None and len(clusters) != len(outcomes):
        raise ValueError(
            f"{len(clusters)} cluster keys cannot belong to {len(outcomes)} observations; give one key each."
        )
    kept = [number for number, outcome in enumerate(outcomes) if outcome is not None]
    groups = None if clusters is None else np.array(cluster_codes(clusters), dtype=np.intp)[kept]
    return share_estimate(np.array([outcomes[number] for number in kept], dtype=np.float64), groups)
