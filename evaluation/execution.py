"""Carry an evaluation run to its end: score what is missing, store it, compute the numbers. Safe to repeat."""

from django.db import transaction

from evaluation.engines import ENGINES, Interrupted, ScoreAnswer, ScoreRequest
from evaluation.models import Case, CaseResult, EvalRun, Score
from evaluation.planning import planned
from evaluation.scoring import compute_scores
from labeling.errors import Refused
from labeling.lifecycle import Status
from training.processes import beat

SIDES = ("chosen", "rejected")


def drive(run: EvalRun) -> None:
    """Claim the run, score every planned checkpoint on every case, and end it."""
    if run.claim():
        run.carry(lambda: _evaluate(run))


def _evaluate(run: EvalRun) -> None:
    try:
        _score(run)
    except Interrupted as interrupted:
        if run.cancel_requested():
            run.finish(Status.CANCELLED)
        else:
            run.requeue(fault=str(interrupted), at_once=False)
    else:
        _conclude(run)


def _score(run: EvalRun) -> None:
    checkpoints = planned(run)
    cases = list(Case.objects.filter(suite=run.suite_id).order_by("index"))
    requests = [
        ScoreRequest(id=f"{case.pk}:{side}", messages=case.prompt, completion=getattr(case, side))
        for case in cases
        for side in SIDES
    ]

    def watch(done: int, total: int) -> None:
        if done:
            run.begin()
        beat(run, done / total)

    answers = ENGINES[run.engine]().score(
        requests=requests, checkpoints=checkpoints, folder=run.path, watch=watch
    )
    found: dict[tuple[int, int], dict[str, ScoreAnswer]] = {}
    for answer in answers:
        case_id, side = answer.id.split(":")
        found.setdefault((int(case_id), answer.checkpoint), {})[side] = answer
    CaseResult.objects.bulk_create(
        (
            CaseResult(
                run=run,
                case_id=case_id,
                checkpoint_id=checkpoint_id,
                chosen_logprob=sides["chosen"].logprob,
                chosen_tokens=sides["chosen"].tokens,
                rejected_logprob=sides["rejected"].logprob,
                rejected_tokens=sides["rejected"].tokens,
            )
            for (case_id, checkpoint_id), sides in found.items()
        ),
        batch_size=500,
        ignore_conflicts=True,
    )


def _conclude(run: EvalRun) -> None:
    owed = len(run.plan) * Case.objects.filter(suite=run.suite_id).count()
    have = CaseResult.objects.filter(run=run).count()
    if have != owed:
        raise Refused(f"{owed - have} of {owed} results are missing; start the evaluation again.")
    scores = compute_scores(run)
    with transaction.atomic():
        if run.finish(Status.SUCCEEDED, progress=1.0):
            Score.objects.filter(run=run).delete()
            Score.objects.bulk_create(scores)
