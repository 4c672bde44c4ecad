"""What runs may be asked to do, read by the web app and by the recipe processes alike."""

from training.specs.jobs import NanoJob, PreflightJob, Scored, ScoreJob, SubsetJob, TrainData, TrainJob
from training.specs.methods import METHODS, DpoSpec, KtoSpec, RewardSpec, SftSpec, TrainSpec, parse_spec
from training.specs.parsing import SpecRefused, Strict, parse
from training.specs.rates import PEAK_RATES

__all__ = [
    "METHODS",
    "PEAK_RATES",
    "DpoSpec",
    "KtoSpec",
    "NanoJob",
    "PreflightJob",
    "RewardSpec",
    "ScoreJob",
    "Scored",
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
