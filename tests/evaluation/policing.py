"""Arranging retrain policies: a run to follow, a suite to measure on, and jobs that end as a test wants."""

from datetime import UTC, datetime
from typing import Any

import pytest

from evaluation import execution
from evaluation.models import (
    Channel,
    Delivery,
    EvalRun,
    Notice,
    PolicyRun,
    PolicyStep,
    RetrainPolicy,
)
from evaluation.policies import advancing
from evaluation.policies.rules import set_policy
from evaluation.policies.starting import start
from labeling.curation.freezes import run_freeze
from labeling.lifecycle import Lifecycle, Status
from labeling.models import Freeze, Project
from tests import world
from tests.evaluation.planned import Bill, a_suite
from tests.training.runs import RESULT, launched
from training.models import TrainingRun
from training.registry import register_checkpoint

READ, USE, OWN = "view_results", "train", "manage"
PAGES: dict[str, dict[str, str]] = {
    "policy": {"get": READ},
    "policy_run": {"get": READ},
    "policy_settings": {"get": USE, "post": USE},
    "notices": {"get": USE, "post": OWN},
    **{
        name: {"post": USE}
        for name in (
            "policy_start",
            "policy_go_on",
            "policy_run_cancel",
            "policy_run_go_on",
            "delivery_again",
        )
    },
    **{name: {"post": OWN} for name in ("channel_test", "channel_secret", "channel_away")},
}
API: dict[str, dict[str, str]] = {
    "policy": {"get": READ, "put": USE},
    "policy-runs": {"get": READ, "post": USE},
    "policy-run": {"get": READ, "delete": USE},
    "policy-run-go-on": {"post": USE},
    "policy-go-on": {"post": USE},
    "channels": {"get": USE, "post": OWN},
    **{name: {"post": OWN} for name in ("channel-test", "channel-secret")},
    "channel": {"delete": OWN},
    "deliveries": {"get": USE},
    "delivery-again": {"post": USE},
}
WEDNESDAY = datetime(2026, 12, 2, 12, 0, tzinfo=UTC)


def trained(project: Project, **options: Any) -> TrainingRun:
    """A run that has succeeded, with its checkpoint."""
    run = launched(project, **options)
    ended(run)
    return run


def ended(run: TrainingRun, status: Status = Status.SUCCEEDED) -> None:
    """Let a training run end as if its process had."""
    run.claim()
    run.finish(status, "" if status == Status.SUCCEEDED else "It ran out of memory.", result=RESULT)
    if status == Status.SUCCEEDED:
        register_checkpoint(run=run, result=RESULT | {"content_hash": f"{run.pk:064x}"})


def judged(project: Project, count: int = 6, labels: tuple[str, ...] = ()) -> None:
    """So many judgments more."""
    world.fill(project, count, start=project.items.count())
    world.judge_all(project, world.person("ben"), labels)


def a_policy(project: Project, **changes: Any) -> RetrainPolicy:
    """A policy with a run to follow and a suite of twelve questions; what the check finds is overridden."""
    rules = {
        "origin": trained(project),
        "suite": a_suite(project),
        "engine": "transformers",  # not vLLM, where this machine has it
        "override": "a test",
    }
    return set_policy(project=project, changes={**rules, **changes}, person=world.person("emma"))


def begun(project: Project) -> PolicyRun:
    return start(project=project, person=world.person("emma"))


def steps(run: PolicyRun) -> dict[str, PolicyStep]:
    return {step.kind: step for step in advancing.read(run.pk)[1]}


def states(run: PolicyRun) -> str:
    """The states of the five steps, in order."""
    return " ".join(step.state for step in steps(run).values())


def one_job(run: PolicyRun, training: Status = Status.SUCCEEDED) -> Lifecycle | None:
    """Let the job that is at work end, without telling the run; None where there is none."""
    job = next((step.job for step in steps(run).values() if step.job and not step.job.is_over), None)
    if isinstance(job, Freeze):
        run_freeze(job)
    elif isinstance(job, TrainingRun):
        ended(job, training)
    elif isinstance(job, EvalRun):
        execution.drive(job)
    return job


def carried(run: PolicyRun, training: Status = Status.SUCCEEDED) -> PolicyRun:
    """See a run to its end."""
    advancing.follow(run)
    while one_job(run, training) is not None:
        advancing.follow(run)
    run.refresh_from_db()
    return run


def evaluating(project: Project) -> tuple[PolicyRun, EvalRun]:
    """A run that has trained, and its evaluation, which waits for a worker."""
    run = begun(project)
    for _ in range(2):
        advancing.follow(run)
        one_job(run)
    advancing.follow(run)
    evaluation = steps(run)["evaluate"].evaluation
    assert evaluation is not None
    return run, evaluation


def spoiled(project: Project) -> PolicyRun:
    """A run whose evaluation died after the checkpoint was trained."""
    run, evaluation = evaluating(project)
    evaluation.claim()
    evaluation.finish(Status.FAILED, "The server of the model died.")
    return carried(run)


def candidate_knows(bill: Bill, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the last of two targets answers everything right, and the first nothing."""
    from dataclasses import replace

    from evaluation.engines import ENGINES

    counting = ENGINES["transformers"]

    class Knows(counting):  # type: ignore[misc,valid-type]
        def answer(self, request: Any) -> Any:
            found = super().answer(request)
            said = "red" if request.target != "0" else "no idea"
            return replace(found, text=said) if request.kind == "complete" else found

    for name in ("fake", "transformers"):
        monkeypatch.setitem(ENGINES, name, Knows)


def numbers(project: Project, origin: TrainingRun, suite: Any) -> dict[str, list[Any]]:
    """What the addresses of a policy are made of, of one of everything."""
    TrainingRun.objects.filter(pk=origin.pk).update(status=Status.SUCCEEDED)
    origin.refresh_from_db()
    policy = set_policy(project=project, changes={"suite": suite, "origin": origin}, person=None)
    run = PolicyRun.objects.create(
        project=project, policy=policy, trigger="button", newer=1, newest_judgment=1, origin=origin,
        known=origin.dataset_version, suite=suite, plan={}, outcome="failed", sentence="It failed.",
    )  # fmt: skip
    PolicyStep.objects.bulk_create(PolicyStep(run=run, kind=kind) for kind in PolicyStep.Kind.values)
    hook, away, gone = (
        Channel.objects.create(
            project=project, kind="webhook", url=f"https://hooks.example.com/{n}", events=[]
        )
        for n in range(3)
    )
    notice = Notice.objects.create(
        project=project, run=run, event="stopped", key="k", subject="s", text="t", payload={}
    )
    delivery = Delivery.objects.create(notice=notice, channel=hook, due_at=WEDNESDAY, state="sent")
    return {
        **{name: [run.pk] for name in ("policy_run", "policy_run_cancel", "policy_run_go_on")},
        **{name: [run.pk] for name in ("api-policy-run", "api-policy-run-go-on")},
        **{name: [hook.pk] for name in ("channel_test", "channel_secret")},
        **{name: [hook.pk] for name in ("api-channel-test", "api-channel-secret")},
        "channel_away": [away.pk],
        "api-channel": [gone.pk],
        **{name: [delivery.pk] for name in ("delivery_again", "api-delivery-again")},
    }
