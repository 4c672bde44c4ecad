"""Scores with their doubt: 95 % intervals, paired tests, gates and ratings over evaluation cases.

Every function takes plain sequences in case order. `clusters` holds one key a case (source document,
conversation, prompt repeated in two orders); cases that share a key are not independent, None stands alone.

None means the data cannot say: too few cases, fewer than two clusters, or no variation to learn from. Bad
input (unequal lengths, NaN, shares outside 0 to 1) raises ValueError with a sentence.
"""

from evaluation.statistics.bootstrap import bootstrap_estimate, bootstrap_mean
from evaluation.statistics.ceilings import Drawn, ceiling_estimate
from evaluation.statistics.checking import MIN_CASES, Floats
from evaluation.statistics.closing import closing_excess
from evaluation.statistics.clustered import Clusters
from evaluation.statistics.fewlabels import PredictionPowered, prediction_powered_mean
from evaluation.statistics.gates import Gate, cases_needed, non_inferiority, superiority
from evaluation.statistics.intervals import (
    mean_estimate,
    proportion_estimate,
    score_estimate,
    weighted_mean_estimate,
    wilson,
)
from evaluation.statistics.length import LengthControlled, length_controlled_win_rate
from evaluation.statistics.multiplicity import benjamini_hochberg, holm
from evaluation.statistics.paired import (
    McNemar,
    PairedComparison,
    flip_difference,
    mcnemar,
    mcnemar_chi2,
    paired_difference,
)
from evaluation.statistics.perplexity import paired_perplexity_ratio, perplexity_estimate
from evaluation.statistics.power import (
    best_by_chance,
    mcnemar_cases,
    mcnemar_detectable_effect,
    mean_cases,
    minimal_detectable_effect,
)
from evaluation.statistics.ranks import RankInterval, rank_intervals
from evaluation.statistics.rating import Disconnected, Ratings, Rows, bradley_terry, rows_of_counts
from evaluation.statistics.repeated import RepeatedRate, repeated_share, repeated_win_rate
from evaluation.statistics.sequential import (
    Course,
    Spending,
    boundaries,
    conditional_power,
    course,
    drift_needed,
    spent,
)
from evaluation.statistics.studysize import StudySize, detectable_win_rate, prompt_variance, study_size
from evaluation.statistics.winrate import WinRate, win_rate

__all__ = [
    "MIN_CASES",
    "Clusters",
    "Course",
    "Disconnected",
    "Drawn",
    "Floats",
    "Gate",
    "LengthControlled",
    "McNemar",
    "PairedComparison",
    "PredictionPowered",
    "RankInterval",
    "Ratings",
    "RepeatedRate",
    "Rows",
    "Spending",
    "StudySize",
    "WinRate",
    "benjamini_hochberg",
    "best_by_chance",
    "bootstrap_estimate",
    "bootstrap_mean",
    "boundaries",
    "bradley_terry",
    "cases_needed",
    "ceiling_estimate",
    "closing_excess",
    "conditional_power",
    "course",
    "detectable_win_rate",
    "drift_needed",
    "flip_difference",
    "holm",
    "length_controlled_win_rate",
    "mcnemar",
    "mcnemar_cases",
    "mcnemar_chi2",
    "mcnemar_detectable_effect",
    "mean_cases",
    "mean_estimate",
    "minimal_detectable_effect",
    "non_inferiority",
    "paired_difference",
    "paired_perplexity_ratio",
    "perplexity_estimate",
    "prediction_powered_mean",
    "prompt_variance",
    "proportion_estimate",
    "rank_intervals",
    "repeated_share",
    "repeated_win_rate",
    "rows_of_counts",
    "score_estimate",
    "spent",
    "study_size",
    "superiority",
    "weighted_mean_estimate",
    "wilson",
    "win_rate",
]
