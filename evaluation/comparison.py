"""Two checkpoints over the cases they share, paired."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation import statistics
from evaluation.models import CaseResult, EvalRun
from evaluation.statistics import PairedComparison
from labeling.errors import Refused
from labeling.estimates import Estimate
from training.models import Checkpoint


@dataclass(frozen=True, slots=True)
class Comparison:
    """`second` against `first`: differences are second minus first, `ratio` is second's perplexity over first's."""

    first: Checkpoint
    second: Checkpoint
    paired: PairedComparison
    ratio: Estimate | None

    def as_dict(self) -> dict[str, Any]:
        paired = self.paired
        return {
            "first": self.first.pk,
            "second": self.second.pk,
            "n": paired.n,
            "difference": paired.difference.as_dict() if paired.difference else None,
            "p_value": paired.p_value,
            "fixed": paired.fixed,
            "broken": paired.broken,
            "perplexity_ratio": self.ratio.as_dict() if self.ratio else None,
        }


def compare(first: EvalRun, second: EvalRun) -> Comparison:
    """The last planned checkpoint of each run, over the suite they share. Raises Refused where they share none."""
    if first.suite_id != second.suite_id:
        raise Refused(
            f"Evaluation {first.pk} is on {first.suite} and {second.pk} on {second.suite}; "
            "only runs on the same suite can be compared."
        )
    a, b = (results(run, run.plan[-1]) for run in (first, second))
    if not a or len(a) != len(b):
        raise Refused("One of the evaluations has no complete results yet; wait for its end.")
    found = Checkpoint.objects.in_bulk([first.plan[-1], second.plan[-1]])
    paired, ratio = pair(a, b)
    return Comparison(found[first.plan[-1]], found[second.plan[-1]], paired, ratio)


def results(run: EvalRun, checkpoint: int) -> list[CaseResult]:
    """One checkpoint's results in the order of the cases; the texts of the cases are not read."""
    rows = (
        CaseResult.objects.filter(run=run, checkpoint=checkpoint)
        .order_by("case__index")
        .select_related("case")
    )
    sides = [f"{side}_{what}" for side in ("chosen", "rejected") for what in ("logprob", "tokens")]
    return list(rows.only(*sides, "case__prompt_hash"))


def pair(
    first: Sequence[CaseResult], second: Sequence[CaseResult]
) -> tuple[PairedComparison, Estimate | None]:
    """Paired preference accuracy and ratio of perplexities; cases of one prompt are one cluster."""
    clusters = [row.case.prompt_hash for row in first]
    paired = statistics.paired_difference(
        [row.preferred for row in first], [row.preferred for row in second], clusters
    )
    ratio = statistics.paired_perplexity_ratio(
        [-row.chosen_logprob for row in first],
        [-row.chosen_logprob for row in second],
        [row.chosen_tokens for row in first],
        [row.chosen_tokens for row in second],
        clusters,
    )
    return paired, ratio
