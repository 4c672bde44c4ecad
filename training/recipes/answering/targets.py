"""What cannot be asked of a checkpoint, said before any weights are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.recipes import contract
from training.recipes.answering.ledger import Ledger
from training.specs import AnswerJob, Asked


def check(job: AnswerJob, ledger: Ledger) -> None:
    """Raise `RecipeFailed` about the first thing that cannot be asked."""
    check_paths(job.targets)
    check_kinds(job, ledger)


def check_paths(targets: Sequence[Asked]) -> None:
    """Refuse missing directories, and a checkpoint that is both an adapter and a model."""
    for one in targets:
        if one.adapter and one.model:
            raise contract.RecipeFailed(
                f"checkpoint {one.id} has both adapter and model; give one, or neither for the base"
            )
        for path in (one.adapter, one.model):
            if path and not Path(path).is_dir():
                raise contract.RecipeFailed(
                    f"checkpoint {one.id} is at {path}, which is not a directory; correct the path"
                )


def check_kinds(job: AnswerJob, ledger: Ledger) -> None:
    """Refuse to ask a reward model for anything else, and anything else for rewards."""
    for target in job.targets:
        for one in ledger.left[target.id]:
            if (one.kind == "reward") != target.rewards:
                what = "a reward model, which only rewards" if target.rewards else "no reward model"
                raise contract.RecipeFailed(
                    f"request {one.id} wants {one.kind} of {target.id}, which is {what}; ask another checkpoint"
                )
