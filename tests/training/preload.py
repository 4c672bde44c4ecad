"""Imported once by the fork server of test_recipes: every run forked from it starts warm."""

import os

from training.recipes import contract

os.environ.update(contract.QUIET | contract.OFFLINE | {"OMP_NUM_THREADS": "1"})

import trl.trainer.dpo_trainer  # noqa: E402
import trl.trainer.sft_trainer  # noqa: E402, F401

import training.recipes.dpo  # noqa: E402
import training.recipes.score  # noqa: E402
import training.recipes.sft  # noqa: E402
import training.recipes.tuning  # noqa: E402, F401
