"""Imported once by the fork server of test_recipes: every run forked from it starts warm."""

import os

from training.recipes import contract

os.environ.update(contract.QUIET | contract.OFFLINE | {"OMP_NUM_THREADS": "1"})

import pytest  # noqa: F401 - half a second of each run whose test asks for it
import trl.trainer.dpo_trainer
import trl.trainer.kto_trainer
import trl.trainer.reward_trainer
import trl.trainer.sft_trainer  # noqa: F401

import training.recipes.answer
import training.recipes.answering.local
import training.recipes.answering.services
import training.recipes.chat
import training.recipes.deltas
import training.recipes.dpo
import training.recipes.kto
import training.recipes.merge
import training.recipes.preflight
import training.recipes.reward
import training.recipes.rl.driver
import training.recipes.sft
import training.recipes.subset
import training.recipes.tuning  # noqa: F401
