"""What a suite can detect, how many cases a question needs, and what the best of many gains by chance."""

import math

from scipy import integrate, optimize, stats

from evaluation.statistics.checking import MIN_CASES, share_between


def minimal_detectable_effect(
    n: int,
    difference_variance: float,
    *,
    within_a: float = 0.0,
    within_b: float = 0.0,
    samples: int = 1,
    cluster_size: float = 1.0,
    icc: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """Smallest true mean difference that `n` paired cases detect (Miller 2024, section 5), in the scores'
    unit.

    `difference_variance` is the variance over cases of the difference in expected score; `within_a` and
    `within_b` are the variances between repeated answers to one case, of which each model gives `samples`.
    (With one answer a case, pass the variance of the observed differences and leave these 0.) Clusters of
    `cluster_size` cases with intra-cluster correlation `icc` cost a factor 1 + (cluster_size - 1) icc in n.
    """
    variance = difference_variance + (within_a + within_b) / samples
    if n < MIN_CASES or variance <= 0:
        return None
    first, second = _quantiles(alpha, power, one_sided=False)
    return (first + second) * math.sqrt(variance * _design(cluster_size, icc) / n)


def mean_cases(
    difference_variance: float,
    effect: float,
    *,
    margin: float = 0.0,
    within_a: float = 0.0,
    within_b: float = 0.0,
    samples: int = 1,
    cluster_size: float = 1.0,
    icc: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
    one_sided: bool = False,
) -> int | None:
    """Paired cases that show a true mean difference of `effect` to be other than, or above, -margin.

    The inverse of `minimal_detectable_effect`, same arguments. None without variance, or where the effect
    equals -margin.
    """
    variance = difference_variance + (within_a + within_b) / samples
    distance = effect + margin
    if variance <= 0 or distance == 0:
        return None
    first, second = _quantiles(alpha, power, one_sided=one_sided)
    return _whole((first + second) ** 2 * variance * _design(cluster_size, icc) / distance**2)


def mcnemar_cases(
    discordant: float,
    effect: float,
    *,
    margin: float = 0.0,
    design_effect: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    one_sided: bool = False,
) -> int | None:
    """Paired 0/1 cases for McNemar's test: Connor (1987, Biometrics 43).

    `discordant` is the share of cases that flip, up or down; `effect` the difference of the pass rates; the
    same formula with the null at -margin plans non-inferiority. `design_effect` multiplies the cases. None
    where the effect equals -margin. ValueError where fewer cases flip than the effect or the margin asks for.
    """
    if not max(abs(effect), margin) <= discordant <= 1:
        raise ValueError(f"A difference of {effect:g} needs as many flips; {discordant:g} are too few.")
    if effect + margin == 0:
        return None
    first, second = _quantiles(alpha, power, one_sided=one_sided)
    root = first * math.sqrt(discordant - margin**2) + second * math.sqrt(discordant - effect**2)
    return _whole(design_effect * root**2 / (effect + margin) ** 2)


def mcnemar_detectable_effect(
    n: int,
    discordant: float,
    *,
    design_effect: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """Smallest difference of pass rates that `n` paired 0/1 cases detect where a share `discordant` of them
    flips: the inverse of `mcnemar_cases`. None where even flips all one way would not be detected."""
    share_between(discordant, "The share of flips")
    first, second = _quantiles(alpha, power, one_sided=False)
    size = n / design_effect

    def missing(effect: float) -> float:
        root = first * math.sqrt(discordant) + second * math.sqrt(discordant - effect**2)
        return root - effect * math.sqrt(size)

    if n < MIN_CASES or missing(discordant) > 0:
        return None
    return float(optimize.brentq(missing, 0.0, discordant, xtol=1e-12))


def best_by_chance(candidates: int, standard_error: float) -> float:
    """How far the best of k equal candidates is expected to score above the truth: E[max of k standard
    normals] times the error.

    `standard_error` is of one candidate's score, without what all share: on the same cases, the error of a
    paired difference over sqrt(2). One candidate gains nothing. (Winner's curse: it grows with sqrt(2 ln k).)
    """
    if candidates < 1 or not (math.isfinite(standard_error) and standard_error >= 0):
        raise ValueError(f"{candidates} candidates with an error of {standard_error:g} cannot be.")
    if candidates == 1:
        return 0.0

    def density(x: float) -> float:
        return float(x * candidates * stats.norm.pdf(x) * stats.norm.cdf(x) ** (candidates - 1))

    return float(integrate.quad(density, -12, 12, points=[0.0])[0]) * standard_error


def _quantiles(alpha: float, power: float, *, one_sided: bool) -> tuple[float, float]:
    share_between(alpha, "alpha")
    share_between(power, "Power")
    return float(stats.norm.isf(alpha if one_sided else alpha / 2)), float(stats.norm.ppf(power))


def _design(cluster_size: float, icc: float) -> float:
    return 1 + (cluster_size - 1) * icc


def _whole(cases: float) -> int:
    return math.ceil(cases * (1 - 1e-12))
