"""Bradley-Terry ratings where a judge compared answers in several runs. Imports SciPy, for whoever asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import prefetch_related_objects

from evaluation.charts import Chart, Mark, dots_chart
from evaluation.leaderboard import Board, runs_on
from evaluation.measured import Side, given, measured, measured_otherwise, prompted_otherwise
from evaluation.models import CaseScore, EvalRun
from evaluation.scorers.base import Scale
from evaluation.sheets import Metric, lines_of
from labeling.estimates import Estimate

if TYPE_CHECKING:
    from evaluation.statistics.rating import Ties

DAVIDSON = "davidson"
RATING = Metric("rating", "Rating", Scale.NUMBER, True)
WORTH = {"win": 1.0, "tie": 0.5, "loss": 0.0}


@dataclass(frozen=True, slots=True)
class Rating:
    """One model's strength as in chess: 400 points more are odds of 10 to 1."""

    name: str
    estimate: Estimate | None


@dataclass(slots=True)
class Rated:
    """The ratings, the strongest first, or the `reason` why there are none. `left_out` names what is not in them, and
    why. With Davidson's ties `tie` is how often two equal models tie."""

    ties: "Ties"
    ratings: list[Rating] = field(default_factory=list)
    reason: str = ""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    tie: float | None = None

    @property
    def chart(self) -> Chart | None:
        marks = [Mark(each.name, each.estimate) for each in self.ratings if each.estimate]
        return dots_chart(marks, RATING, title="Bradley–Terry ratings, with 95 % intervals", name="ratings")

    def as_dict(self) -> dict[str, Any]:
        return {
            "ties": self.ties,
            "ratings": [
                {"target": each.name, "rating": each.estimate.as_dict() if each.estimate else None}
                for each in self.ratings
            ],
            "reason": self.reason,
            "left_out": [{"what": what, "why": why} for what, why in self.left_out],
            "tie": self.tie,
        }


@dataclass(slots=True)
class _Rows:
    """Comparisons in a metric, one an entry, of models by their identity, and each model's newest name."""

    metric: str
    first: list[str] = field(default_factory=list)
    second: list[str] = field(default_factory=list)
    outcomes: list[float] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def label(self, identity: str) -> str:
        """The name, with the beginning of the identity where others have the same name."""
        name = self.names[identity]
        return name if list(self.names.values()).count(name) == 1 else f"{name} ({identity[:8]})"


def rated(board: Board, *, ties: str = "") -> Rated | None:
    """The ratings from every comparison of this metric on the version that was measured as the newest one; `ties` is
    "davidson", else a tie is half a win. None where the metric compares nobody."""
    from evaluation.statistics import bradley_terry

    if not board.metric.versus_half:
        return None
    found = Rated(ties="davidson" if ties == DAVIDSON else "half")
    rows = _comparisons(board, found)
    labels = {identity: rows.label(identity) for identity in rows.names}
    first, second = ([labels[each] for each in column] for column in (rows.first, rows.second))
    try:
        ratings = bradley_terry(first, second, rows.outcomes, rows.units, ties=found.ties)
    except ValueError as refusal:  # Disconnected, or nothing but ties
        found.reason = str(refusal)
        return found
    if ratings is None:
        found.reason = "No two targets have been compared."
        return found
    made = [Rating(str(model), ratings.rating(model)) for model in ratings.models]
    found.ratings = sorted(made, key=lambda each: -each.estimate.value if each.estimate else 0)
    found.tie = None if ratings.nu is None else ratings.nu / (2 + ratings.nu)
    return found


def _comparisons(board: Board, found: Rated) -> _Rows:
    """The comparisons of all runs that are alike, the newest first; what is not is added to those left out."""
    rows, newest = _Rows(board.metric.name), dict[str, Side]()
    runs = [run for run in runs_on(board.version) if board.metric.name in measured(run)]
    prefetch_related_objects(runs, "targets")
    for run in runs:
        if reason := _otherwise(runs[0], run, board.metric.name):
            found.left_out.append((run.name, reason))
            continue
        against: Side | None = None
        for side in (Side(run, target) for target in run.targets.all()):
            known = newest.setdefault(side.target.identity, side)
            if reason := prompted_otherwise(known, side):
                found.left_out.append((f"{side.name} in {run.name}", reason))
                if side.target.is_baseline:
                    break
            elif side.target.is_baseline:
                against = side
            elif against and side.target.identity != against.target.identity:
                _add(rows, against, side)
    return rows


def _otherwise(newest: EvalRun, run: EvalRun, metric: str) -> str:
    if given(run) != given(newest):
        return f"{run.name} and {newest.name} put different contexts into their prompts; evaluate both with the same."
    return measured_otherwise(newest, run, metric)


def _add(rows: _Rows, against: Side, side: Side) -> None:
    for unit, value in _outcomes(side, rows.metric):
        rows.first.append(side.target.identity)
        rows.second.append(against.target.identity)
        rows.outcomes.append(value)
        rows.units.append(unit)
    for each in (side, against):
        rows.names.setdefault(each.target.identity, each.name)


def _outcomes(side: Side, metric: str) -> Iterator[tuple[str, float]]:
    """Of each comparison with the baseline its cluster, and 1 where the side won, 0.5 where nobody did, 0 where it lost
    or gave no answer: the judge's verdict in both orders, or where none was kept the side on which its mark lies."""
    units = {line.id: line.unit for line in lines_of(side.run)}
    found = CaseScore.objects.filter(result__target=side.target, metric=metric).order_by("pk")
    columns = ("result__case_id", "state", "value", "detail__verdict", "result__output_id", "result__error")
    for case, state, value, verdict, output, error in found.values_list(*columns):
        if state == CaseScore.State.SCORED and value is not None:
            yield units[case], WORTH.get(verdict, 0.5 if value == 0.5 else float(value > 0.5))
        elif state == CaseScore.State.ERROR and output is None and error:
            yield units[case], 0.0
