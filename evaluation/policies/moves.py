"""What is to be done next with a run of a policy: one pure function of its rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.models import PolicyRun, PolicyStep
from labeling.lifecycle import Lifecycle, Status

Kind, State, Outcome = PolicyStep.Kind, PolicyStep.State, PolicyRun.Outcome
OVER_BUDGET = "and the budget is"  # as evaluation.asking says it
JOB_WORDS = {Kind.FREEZE: "The freeze", Kind.TRAIN: "The training run", Kind.EVALUATE: "The evaluation"}


@dataclass(frozen=True, slots=True)
class Move:
    """`begin` a step, `settle` one whose job has succeeded, or `end` the run with an outcome and a sentence."""

    what: Literal["begin", "settle", "end"]
    step: PolicyStep | None = None
    outcome: str = ""
    sentence: str = ""


def next_move(run: PolicyRun, steps: Sequence[PolicyStep]) -> Move | None:
    """The next move of a run with these steps, in their order; None where it is over, or its job is at work."""
    if run.is_over:
        return None
    step = next((each for each in steps if each.state != State.DONE), None)
    job = step.job if step is not None else None
    is_at_work = job is not None and not job.is_over
    if run.cancel_requested_at is not None and not is_at_work:
        return Move("end", outcome=Outcome.CANCELLED, sentence="It was cancelled.")
    if step is None:
        return Move("end", outcome=Outcome.CANDIDATE, sentence=steps[-1].sentence)
    if is_at_work:
        return None
    if job is None:
        return Move("begin", step)
    return Move("settle", step) if job.status == Status.SUCCEEDED else _ended_badly(step, job)


def _ended_badly(step: PolicyStep, job: Lifecycle) -> Move:
    words = JOB_WORDS[Kind(step.kind)]
    if job.status == Status.CANCELLED:
        return Move("end", outcome=Outcome.CANCELLED, sentence=f"{words} was cancelled.")
    outcome = Outcome.FAILED
    if step.freeze is not None and step.freeze.lint:
        outcome = Outcome.BLOCKED
    elif step.evaluation is not None and OVER_BUDGET in job.error:
        outcome = Outcome.BUDGET
    return Move("end", outcome=outcome, sentence=f"{words} failed. {job.error}".strip())
