"""Whoever works from a shell can give every setting of every method, and is refused by the same sentences."""

from argparse import ArgumentParser

import pytest
from django.core.management import CommandError, call_command

from labeling.models import Project
from tests.training.runs import judged_version, root_checkpoint
from training.fields import settings_of
from training.management.commands.train import Command, settings
from training.models import TrainingRun
from training.specs import METHODS


def train(project: Project, *flags: str) -> TrainingRun:
    judged_version(project)
    root_checkpoint()
    call_command("train", "--method", "dpo", "--dataset", f"{project.slug}:1", "--base", "tiny", *flags)
    return TrainingRun.objects.get()


def test_each_setting_of_each_method_has_a_flag_with_its_sentence() -> None:
    flags = settings()
    for method in METHODS:
        assert set(settings_of(method)) <= set(flags)
    assert set(flags["overlong"]["choices"]) == {"drop", "cut", "split"}
    assert flags["lora_r"]["type"] is int
    assert all(flag["help"] for flag in flags.values())


def test_the_help_of_the_command_can_be_printed() -> None:
    parser = ArgumentParser()
    Command().arguments(parser)
    assert "--gradient-checkpointing {auto,on,off}" in parser.format_help()


def test_numbers_choices_and_yes_or_no_reach_the_spec(project: Project) -> None:
    flags = ["--lora-r", "8", "--dora", "--warmup", "0.2", "--loss-type", "ipo", "--no-precompute-reference"]
    spec = train(project, *flags).spec
    assert (spec["lora_r"], spec["lora_alpha"], spec["dora"], spec["warmup"]) == (8, 16, True, 0.2)
    assert (spec["loss_type"], spec["precompute_reference"]) == ("ipo", False)


def test_what_is_left_out_keeps_the_default_of_the_method(project: Project) -> None:
    spec = train(project, "--adaptation", "full").spec
    assert (spec["learning_rate"], spec["dora"], spec["precompute_reference"]) == (5e-7, False, True)


def test_a_value_out_of_bounds_is_refused_by_the_spec(project: Project) -> None:
    with pytest.raises(CommandError, match="lora_r was given as 1000; allowed is a whole number at least 1"):
        train(project, "--lora-r", "1000")
    with pytest.raises(CommandError, match="packing is not a setting of DpoSpec"):
        train(project, "--packing", "on")
