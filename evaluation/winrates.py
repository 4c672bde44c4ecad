"""What a judge's win rate owes to the length and the order of the answers: counted when a run ends, shown beside it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evaluation.models import CaseScore, EvalRun, RunTarget
from evaluation.reading import TargetLine
from evaluation.sheets import lines_of
from labeling.estimates import Estimate

PAIRWISE = "pairwise"


@dataclass(frozen=True, slots=True)
class JudgedRate:
    """A candidate's win rate over the baseline as judged (`raw`), and as it would be at equal length; `reason` says why
    that is not known, and `flagged` whether the two are more than 10 points apart. Of `n` verdicts `flipped` turned
    with the order; `longer` of `decided` went to the longer answer. `metric` and `target` are names."""

    metric: str
    target: str
    n: int = 0
    flipped: int = 0
    decided: int = 0
    longer: int = 0
    raw: Estimate | None = None
    controlled: Estimate | None = None
    reason: str = ""
    flagged: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class _Case:
    """A case's marks and by how much the candidate's answers are longer, one entry a sample."""

    values: list[float] = field(default_factory=list)
    longer: list[int] = field(default_factory=list)


def judged_rates(run: EvalRun, target: RunTarget) -> dict[str, dict[str, Any]]:
    """By the names of its pairwise metrics, what `rates_of` reads. Imports SciPy: for those who end a run."""
    names = [spec["name"] for spec in run.metrics if spec["scorer"] == PAIRWISE]
    return {} if target.is_baseline else {name: _judged(run, target, name) for name in names}


def _judged(run: EvalRun, target: RunTarget, metric: str) -> dict[str, Any]:
    from evaluation.statistics import length_controlled_win_rate

    rows = CaseScore.objects.filter(result__run=run, result__target=target, metric=metric, state="scored")
    cases: dict[int, _Case] = defaultdict(_Case)
    details = []
    for case, value, detail in rows.order_by().values_list("result__case_id", "value", "detail"):
        if detail and value is not None:
            details.append(detail)
            cases[case].values.append(value)
            cases[case].longer.append(detail["lengths"]["answer"] - detail["lengths"]["baseline"])
    known = [line for line in lines_of(run) if line.id in cases]
    if not known:
        return {}
    found = length_controlled_win_rate(
        [_mean(cases[line.id].values) for line in known],
        [_mean(cases[line.id].longer) for line in known],
        [line.unit for line in known],
    )
    decided = [_longer_won(detail) for detail in details if _decides(detail)]
    return {
        "n": len(details),
        "flipped": sum(bool(detail["flipped"]) for detail in details),
        "decided": len(decided),
        "longer": sum(decided),
        "raw": found.raw and found.raw.as_dict(),
        "controlled": found.controlled and found.controlled.as_dict(),
        "reason": found.reason,
        "flagged": found.flagged,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _decides(detail: Mapping[str, Any]) -> bool:
    return bool(detail["verdict"] != "tie" and detail["longer"] != "neither")


def _longer_won(detail: Mapping[str, Any]) -> bool:
    won, longer = detail["verdict"] == "win", detail["longer"] == "answer"
    return bool(won == longer)


def rates_of(line: TargetLine) -> list[JudgedRate]:
    """What was counted of a target when its run ended, one of each pairwise metric."""
    found: dict[str, dict[str, Any]] = line.facts.get("win_rates", {})
    return [
        JudgedRate(
            metric=name,
            target=line.name,
            **{**known, "raw": _estimate(known["raw"]), "controlled": _estimate(known["controlled"])},
        )
        for name, known in found.items()
        if known
    ]


def _estimate(found: dict[str, Any] | None) -> Estimate | None:
    return Estimate(**found) if found else None
