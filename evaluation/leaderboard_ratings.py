"""Bradley-Terry ratings where a judge compared answers in several runs. Imports SciPy, for whoever asks for them."""

from dataclasses import dataclass

from evaluation.leaderboard import Board, runs_on
from evaluation.sheets import metrics_of, read_sheet
from labeling.estimates import Estimate


@dataclass(frozen=True, slots=True)
class Rating:
    """One model's strength as in chess: 400 points more are odds of 10 to 1."""

    name: str
    estimate: Estimate | None


def rated(board: Board) -> list[Rating] | str | None:
    """The ratings, the strongest first, from every comparison of this metric on the version; why there are none where
    wins do not run both ways; None where the metric compares nobody."""
    from evaluation.statistics import Disconnected, bradley_terry

    if not board.metric.versus_half:
        return None
    first, second, outcomes, units = [], [], [], []
    for run in runs_on(board.version):
        if board.metric not in metrics_of(run):
            continue
        sheet = read_sheet(run, metrics=[board.metric])
        unit = {line.id: line.unit for line in sheet.lines}
        names = {target.index: target.name for target in run.targets.all()}
        for index, name in list(names.items())[1:]:
            for case, cell in sheet.scored(index, board.metric.name).items():
                if name != names[0]:
                    first.append(name)
                    second.append(names[0])
                    outcomes.append(0.5 if cell.mean == 0.5 else float(cell.mean > 0.5))
                    units.append(unit[case])
    try:
        found = bradley_terry(first, second, outcomes, units)
    except Disconnected as refusal:
        return str(refusal)
    if found is None:
        return None
    ratings = [Rating(str(model), found.rating(model)) for model in found.models]
    return sorted(ratings, key=lambda rating: -rating.estimate.value if rating.estimate else 0)
