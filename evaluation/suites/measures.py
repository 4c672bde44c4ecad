"""What a suite is scored by: the scorers with their settings and business weights, checked before they are kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.scorers import find_scorer
from evaluation.specs import MetricSpec
from labeling.errors import Refused
from training.specs import SpecRefused, parse

MOST = 40


def check_scoring(scoring: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The scorers as they are kept: only what differs from the defaults. Raises Refused with what does not fit."""
    if len(scoring) > MOST:
        raise Refused(f"{len(scoring)} metrics were given; a suite has up to {MOST}.")
    try:
        metrics = [parse(MetricSpec, dict(given)) for given in scoring]
        kept = [_kept(metric) for metric in metrics]
        check_ends(metrics)
    except SpecRefused as refusal:
        raise Refused(f"{str(refusal)[:1].upper()}{str(refusal)[1:]}.") from refusal
    names = [metric.name for metric in metrics]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refused(f"Two metrics are named {twice[0]}; give each a name of its own.")
    return kept


def check_ends(metrics: Sequence[MetricSpec]) -> None:
    """Raises SpecRefused where several metrics count together and one has no bounds: without a value that counts
    as 0 and one that counts as 1 it would outweigh the others, whatever their weights are."""
    weighted = [metric for metric in metrics if metric.weight > 0]
    for metric in weighted if len(weighted) > 1 else ():
        if metric.floor is None and not find_scorer(metric.scorer).scale.is_bounded:
            raise SpecRefused(
                f"{metric.name} has a weight beside other metrics, and its values have no bounds; say which value "
                "counts as 0 (floor) and which as 1 (ceiling), or give it the weight 0"
            )


def _kept(metric: MetricSpec) -> dict[str, Any]:
    params = parse(find_scorer(metric.scorer).Params, metric.params)
    found = metric.model_dump(mode="json", exclude_defaults=True, exclude={"params", "version"})
    if given := params.model_dump(mode="json", exclude_defaults=True):
        found["params"] = given
    return found
