"""The scorers that a suite may use, and the only ways to use one: read its settings, ask, mark.

scorer = find_scorer("rubric")
params = read_params(scorer, {"labels": {"good": 1, "bad": 0}})
asked(scorer, case, given, params)      # questions, to be answered by engines and put into given.told
with marking(scorer, params) as mark:   # holds a process where the scorer needs one
    mark(case, given)                   # never raises
"""

from typing import Any

from evaluation.scorers.base import Ask, Facts, Given, Mark, Marker, Need, Params, Registry, Scale, Scorer
from evaluation.scorers.checks import Checks, read_checks
from evaluation.scorers.formats import Json
from evaluation.scorers.likelihood import LossPerByte, LossPerToken, Perplexity, Preference, PreferenceMargin
from evaluation.scorers.marking import asked, lacking, marked, marking, read_params
from evaluation.scorers.numeric import Numeric
from evaluation.scorers.overlap import Bleu, Chrf, RougeL
from evaluation.scorers.own import Own, OwnShare, own_files
from evaluation.scorers.pairwise import Pairwise
from evaluation.scorers.rag import AnswerRelevance, ContextRelevance, Groundedness
from evaluation.scorers.reward import Reward, RewardWin
from evaluation.scorers.rubric import Rubric
from evaluation.scorers.text import Contains, Exact, Length, LengthLimit, Normalised, Regex, Truncated
from labeling.errors import Refused

KINDS: tuple[type[Scorer], ...] = (
    Exact, Normalised, Contains, Regex, Numeric, Json, Checks,
    Length, LengthLimit, Truncated,
    RougeL, Bleu, Chrf,
    Perplexity, LossPerToken, LossPerByte, Preference, PreferenceMargin,
    Reward, RewardWin,
    Rubric, Pairwise,
    ContextRelevance, Groundedness, AnswerRelevance,
    Own, OwnShare,
)  # fmt: skip
SCORERS: Registry = {kind.key: kind() for kind in KINDS}

__all__ = [
    "SCORERS",
    "Ask",
    "Facts",
    "Given",
    "Mark",
    "Marker",
    "Need",
    "Params",
    "Scale",
    "Scorer",
    "asked",
    "describe",
    "find_scorer",
    "lacking",
    "marked",
    "marking",
    "own_files",
    "read_checks",
    "read_params",
]


def find_scorer(key: str) -> Scorer:
    """The scorer of this name. Raises Refused with the names that there are."""
    if key not in SCORERS:
        raise Refused(f"There is no scorer {key[:80]!r}; choose one of {', '.join(SCORERS)}.")
    return SCORERS[key]


def describe() -> list[dict[str, Any]]:
    """All scorers as forms and the API show them; `params` is the JSON schema of the settings."""
    return [
        {
            "key": scorer.key,
            "version": scorer.version,
            "label": scorer.label,
            "about": scorer.about,
            "needs": sorted(scorer.needs),
            "judge_kind": scorer.judge_kind,
            "scale": str(scorer.scale),
            "higher_is_better": scorer.higher_is_better,
            "unit": scorer.unit,
            "params": scorer.Params.model_json_schema(),
        }
        for scorer in SCORERS.values()
    ]
