"""The gate's decision on plain numbers: no database, so that it can be simulated (benchmarks/gates.py).

The claim "better" is tested one-sided. Its alpha is spent over all candidates that were ever held against one champion
on the same cases, and never more than once: a champion that is as good as the rest is replaced by chance at most with
that probability, however many candidates are tried, in one run or one after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation import statistics
from evaluation.statistics import Gate as Bound

BETTER, NOT_WORSE, WORSE, INCONCLUSIVE = "better", "not_worse", "worse", "inconclusive"


@dataclass(frozen=True, slots=True)
class Values:
    """Champion `a` and candidate `b` on the same cases, turned so that more is better; a key of its cluster a case."""

    a: Sequence[float]
    b: Sequence[float]
    clusters: Sequence[str] | None = None
    weights: Sequence[float] | None = None

    @property
    def differ(self) -> bool:
        return any(x != y for x, y in zip(self.a, self.b, strict=True))

    @property
    def none_worse(self) -> bool:
        """Whether no case got worse, of as many as a number takes."""
        pairs = list(zip(self.a, self.b, strict=True))
        return len(pairs) >= statistics.MIN_CASES and all(y >= x for x, y in pairs)


@dataclass(frozen=True, slots=True)
class Tries:
    """How many candidates were held against this champion on these cases in runs before, and how many in this run."""

    earlier: int = 0
    together: int = 1

    @property
    def total(self) -> int:
        return self.earlier + self.together

    def alpha(self, whole: float) -> float:
        """What one candidate of this run may spend: of candidates one by one the j-th gets whole / (j (j + 1)), and
        those of one run share equally what their places would get. All there will ever be add up to `whole`."""
        return whole / ((self.earlier + 1) * (self.total + 1))


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the primary metric says. `better` is the test of superiority, None where there is too little to tell. `more`
    is how many more cases would settle a difference of the size that was seen, whichever way."""

    verdict: str
    better: Bound | None
    alpha: float
    more: int | None


@dataclass(frozen=True, slots=True)
class Rail:
    """One guardrail: its test of not being worse by the margin, Holm's p over all of them, and whether it holds."""

    bound: Bound | None
    p_value: float | None
    passed: bool


def weigh(values: Values, *, alpha: float, margin: float, tries: Tries | None = None) -> Weighed:
    """Better, worse, not worse by the margin, or not to be told: `alpha` is the gate's own, not yet shared."""
    share = (tries or Tries()).alpha(alpha)
    better = statistics.superiority(values.a, values.b, values.clusters, weights=values.weights, alpha=share)
    if better is None:
        return Weighed(INCONCLUSIVE, None, share, None)
    if better.verdict == "passed":
        return Weighed(BETTER, better, share, None)
    if better.verdict == "failed":
        return Weighed(WORSE, better, share, None)
    close = statistics.non_inferiority(
        values.a, values.b, values.clusters, margin=margin, weights=values.weights, alpha=alpha
    )
    needed = statistics.cases_needed(
        values.a,
        values.b,
        values.clusters,
        weights=values.weights,
        effect=abs(better.difference),
        alpha=share,
    )
    more = needed - better.n if needed and needed > better.n else None
    holds = close is not None and close.verdict == "passed"
    return Weighed(NOT_WORSE if holds else INCONCLUSIVE, better, share, more)


def weigh_rails(rails: Sequence[tuple[Values, float]], *, alpha: float) -> list[Rail]:
    """Whether the candidate is not worse by each margin, corrected by Holm's method over the guardrails."""
    bounds = [
        statistics.non_inferiority(
            values.a, values.b, values.clusters, margin=margin, weights=values.weights, alpha=alpha
        )
        for values, margin in rails
    ]
    corrected = iter(statistics.holm([bound.p_value for bound in bounds if bound is not None]))
    found = []
    for (values, _), bound in zip(rails, bounds, strict=True):
        if bound is None:
            found.append(Rail(None, None, values.none_worse))
        else:
            p = next(corrected)
            found.append(Rail(bound, p, p < alpha))
    return found
