"""What runs may be asked to do, read by the web app and by the recipe processes alike."""

from training.specs.choosing import METHODS, ROLLOUTS, parse_spec
from training.specs.jobs import (
    AnswerJob,
    Asked,
    ChatJob,
    ChatTarget,
    Endpoint,
    NanoJob,
    PreflightJob,
    SubsetJob,
    TrainData,
    TrainJob,
)
from training.specs.methods import DpoSpec, KtoSpec, RewardSpec, SftSpec, TrainSpec
from training.specs.parsing import SpecRefused, Strict, parse
from training.specs.rates import PEAK_RATES
from training.specs.rollouts import BestOfNSpec, PpoSpec, RlooSpec, RolloutSpec

__all__ = [
    "METHODS",
    "PEAK_RATES",
    "ROLLOUTS",
    "AnswerJob",
    "Asked",
    "BestOfNSpec",
    "ChatJob",
    "ChatTarget",
    "DpoSpec",
    "Endpoint",
    "KtoSpec",
    "NanoJob",
    "PpoSpec",
    "PreflightJob",
    "RewardSpec",
    "RlooSpec",
    "RolloutSpec",
    "SftSpec",
    "SpecRefused",
    "Strict",
    "SubsetJob",
    "TrainData",
    "TrainJob",
    "TrainSpec",
    "parse",
    "parse_spec",
]
