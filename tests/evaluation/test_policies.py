"""A run of Emma's policy, from the newest judgments to a candidate: each step once, and a sentence where it stops."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from evaluation.asking import Desk
from evaluation.deciding import set_gate
from evaluation.engines.protocol import Limits
from evaluation.models import Decision, EvalRun, Output, PolicyRun, PolicyStep, RetrainPolicy
from evaluation.policies import advancing, starting
from evaluation.policies import steps as doing
from evaluation.policies.moves import next_move
from evaluation.policies.rules import let_go_on, set_policy
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Freeze, Project, User
from labeling.protection import protect
from labeling.reviewing import resolve
from tests import world
from tests.evaluation.altering import (
    answered_anew,
    edited_guidelines,
    first_slot,
    returned,
    settled,
    withdrawn_item,
    withdrawn_person,
)
from tests.evaluation.planned import Bill
from tests.evaluation.policing import (
    a_policy,
    begun,
    candidate_knows,
    carried,
    evaluating,
    judged,
    one_job,
    states,
    steps,
)
from training.models import Checkpoint, TrainingRun

pytestmark = [pytest.mark.data_layer, pytest.mark.usefixtures("bill")]

Outcome = PolicyRun.Outcome


def test_a_run_goes_from_judgments_to_a_candidate_and_promotes_nothing(
    project: Project, policy: RetrainPolicy, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate_knows(bill, monkeypatch)
    run = carried(begun(project))
    found = steps(run)
    assert (run.outcome, states(run)) == (Outcome.CANDIDATE, "done done done done done"), run.sentence
    assert run.sentence.endswith("passed the gate and is a candidate; somebody decides about it.")
    training, evaluation = found["train"].training, found["evaluate"].evaluation
    assert training is not None
    assert evaluation is not None
    assert found["freeze"].version is not None
    assert (training.dataset_version, training.again_of) == (found["freeze"].version, policy.origin)
    assert training.spec == policy.origin.spec  # type: ignore[union-attr]
    assert [target.name for target in evaluation.targets.all()] == ["tiny", training.name]
    assert found["gate"].findings["passed"] is True
    assert found["freeze"].sentence.startswith("Version 2 has ")
    assert set(Checkpoint.objects.filter(run__isnull=False).values_list("stage", flat=True)) == {"candidate"}
    assert not Decision.objects.exists()


def test_a_candidate_that_is_no_better_stops_at_the_gate(project: Project, policy: RetrainPolicy) -> None:
    run = carried(begun(project))
    assert (run.outcome, states(run)) == (Outcome.GATE, "done done done stopped skipped")
    assert "The gate does not pass. Open: better in exact" in run.sentence
    assert steps(run)["gate"].findings["passed"] is False
    assert begun(project).outcome == "", "the gate is no failure: the next one may start"


def test_where_only_the_sealed_cases_are_missing_a_person_breaks_the_seal(
    project: Project, policy: RetrainPolicy, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate_knows(bill, monkeypatch)
    set_gate(suite=policy.suite, values={"needs_sealed": True}, person=None)
    run = carried(begun(project))
    assert run.outcome == Outcome.CANDIDATE
    assert steps(run)["gate"].sentence.endswith("The sealed cases are left to whoever decides.")
    assert steps(run)["gate"].findings["passed"] is False


def test_an_evaluation_that_spent_its_budget_is_no_failure(tmp_path: Path) -> None:
    desk = Desk(1, tmp_path, Limits(1, 1, 1), lambda done, total: None, budget=1.0, spent=2.0)
    with pytest.raises(Refused) as refusal:
        desk._stay_within_budget()
    spent = EvalRun(status=Status.FAILED, error=refusal.value.sentence)
    move = next_move(PolicyRun(), [PolicyStep(kind="evaluate", state="running", evaluation=spent)])
    assert move is not None
    assert (move.outcome, move.what) == (Outcome.BUDGET, "end")


def test_what_finds_nothing_new_ends_with_a_sentence_and_no_training(project: Project) -> None:
    a_policy(project)
    run = carried(begun(project))
    assert (run.outcome, states(run)) == (Outcome.NOTHING_NEW, "stopped skipped skipped skipped skipped")
    words = "Nothing was judged or altered since version 1 was frozen; there is nothing new to train on."
    assert run.sentence == words
    assert (Freeze.objects.count(), TrainingRun.objects.count()) == (0, 1)


def test_judgments_that_change_no_row_train_nothing_either(project: Project) -> None:
    a_policy(project)
    judged(project, 2, ("tie", "tie"))
    run = carried(begun(project))
    assert (run.outcome, TrainingRun.objects.count()) == (Outcome.NOTHING_NEW, 1)
    assert "The judgments as they are now give the same training rows as version 1" in run.sentence


@pytest.mark.parametrize("alter", [answered_anew, returned, settled, withdrawn_item])
def test_what_was_altered_is_trained_on_once(project: Project, alter: Callable[[Project], None]) -> None:
    a_policy(project)
    alter(project)
    run = carried(begun(project))
    assert run.outcome == Outcome.GATE, run.sentence
    assert steps(run)["freeze"].sentence.startswith("Version 2 has ")
    again = carried(begun(project))
    assert (again.outcome, TrainingRun.objects.count()) == (Outcome.NOTHING_NEW, 2)


def test_where_everything_was_withdrawn_or_only_the_guidelines_were_edited_nothing_is_trained(
    project: Project,
) -> None:
    a_policy(project)
    edited_guidelines(project)
    assert carried(begun(project)).outcome == Outcome.NOTHING_NEW
    withdrawn_person(project)
    run = carried(begun(project))
    assert (run.outcome, TrainingRun.objects.count()) == (Outcome.FAILED, 1)
    assert (
        "The recipe leaves no row (nothing has been judged yet, or all of it was withdrawn)" in run.sentence
    )


def test_what_was_altered_and_changed_back_is_trained_on_once_more_and_not_every_night(
    project: Project, ben: User, cleo: User
) -> None:
    a_policy(project)
    item = first_slot(project).item_id
    for label, trainings in (("1", 2), ("0", 3), ("0", 3)):
        resolve(project=project, item_id=item, person=cleo, label=label)
        carried(begun(project))
        assert TrainingRun.objects.count() == trainings


def test_judgments_of_prompts_that_are_held_out_train_nothing_either(project: Project) -> None:
    a_policy(project)
    known = set(project.items.values_list("prompt_hash", flat=True))
    judged(project, 30)
    new = project.items.exclude(prompt_hash__in=known).values_list("prompt_hash", flat=True)
    protect(project=project, prompts=dict.fromkeys(new, "asked"), reason="a study")
    run = carried(begun(project))
    assert (run.outcome, TrainingRun.objects.count()) == (Outcome.NOTHING_NEW, 1)
    assert project.dataset_versions.count() == 2, "a version with more rows to measure by"
    assert "the same training rows as version 1" in run.sentence


def test_what_the_check_blocks_is_not_trained_on(project: Project, policy: RetrainPolicy) -> None:
    set_policy(project=project, changes={"override": ""}, person=None)
    run = carried(begun(project))
    assert (run.outcome, states(run)) == (Outcome.BLOCKED, "stopped skipped skipped skipped skipped")
    assert "The check found what should not be trained on" in run.sentence


def test_a_training_that_fails_stops_it_with_the_runs_own_sentence(
    project: Project, policy: RetrainPolicy
) -> None:
    run = carried(begun(project), Status.FAILED)
    assert (run.outcome, states(run)) == (Outcome.FAILED, "done stopped skipped skipped skipped")
    assert run.sentence == "The training run failed. It ran out of memory."


def test_what_the_spec_or_the_suite_refuses_stops_it(project: Project, policy: RetrainPolicy) -> None:
    run = begun(project)
    PolicyRun.objects.filter(pk=run.pk).update(plan={**run.plan, "values": {"lora_r": -1}})
    run = carried(run)
    assert (run.outcome, states(run)) == (Outcome.REFUSED, "done stopped skipped skipped skipped")
    assert "lora_r was given as -1" in run.sentence
    policy.suite.archived_at = timezone.now()
    policy.suite.save()
    second = carried(begun(project))
    assert (second.outcome, states(second)) == (Outcome.REFUSED, "done done stopped skipped skipped")
    assert "was put away" in second.sentence


def test_emma_cancels_and_the_job_at_work_is_asked_to_stop(project: Project, policy: RetrainPolicy) -> None:
    run = begun(project)
    advancing.follow(run)
    one_job(run)
    advancing.follow(run)
    training = steps(run)["train"].training
    assert training is not None
    training.claim()
    assert advancing.cancel(run)
    assert states(run) == "done running waiting waiting waiting", "it stops when its job has"
    training.refresh_from_db()
    assert training.cancel_requested()
    training.finish(Status.CANCELLED)
    advancing.sweep()
    run.refresh_from_db()
    assert (run.outcome, states(run)) == (Outcome.CANCELLED, "done stopped skipped skipped skipped")
    assert not advancing.cancel(run)


def test_a_run_that_has_not_begun_is_cancelled_at_once(project: Project, policy: RetrainPolicy) -> None:
    run = begun(project)
    advancing.cancel(run)
    run.refresh_from_db()
    assert (run.outcome, Freeze.objects.count()) == (Outcome.CANCELLED, 0)


@pytest.mark.parametrize("step", ["freeze", "train", "evaluate"])
def test_a_worker_that_is_killed_as_it_begins_a_step_loses_nothing_and_repeats_nothing(
    project: Project, policy: RetrainPolicy, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    run, begins = begun(project), doing.BEGIN[step]

    def die(*args: Any) -> Any:
        begins(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(doing.BEGIN, step, die)
        with pytest.raises(KeyboardInterrupt):
            carried(run)
    advancing.sweep()
    run = carried(run)
    assert run.outcome == Outcome.GATE
    assert (Freeze.objects.count(), TrainingRun.objects.count(), EvalRun.objects.count()) == (1, 2, 1)


def test_a_fault_that_stays_ends_the_run_instead_of_blocking_the_project(
    project: Project, policy: RetrainPolicy, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PREFLOOP_MAX_ATTEMPTS = 2

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(doing.LOOK, "train", broken)
    run = begun(project)
    advancing.follow(run)
    one_job(run)
    advancing.sweep()
    run.refresh_from_db()
    assert run.outcome == ""
    advancing.sweep()
    run.refresh_from_db()
    assert (run.outcome, run.sentence) == (
        Outcome.FAILED,
        "Unexpected ZeroDivisionError: by zero. It is not tried again.",
    )


def test_judgments_that_come_during_a_run_start_the_next_one_once(
    project: Project, policy: RetrainPolicy
) -> None:
    set_policy(project=project, changes={"every": 5}, person=None)
    (run,) = starting.look()
    assert (run.trigger, run.newer, run.policy) == ("judgments", 6, policy)
    advancing.follow(run)
    one_job(run)
    judged(project, 5)
    assert starting.look() == [], "one at a time"
    carried(run)
    (second,) = starting.look()
    assert (second.newer, second.known) == (5, steps(run)["freeze"].version)
    carried(second)
    assert starting.look() == []


def test_a_missed_time_is_made_up_once_and_not_while_it_is_quiet(
    project: Project, policy: RetrainPolicy
) -> None:
    now = timezone.now().replace(hour=12, minute=0)
    quiet = {"quiet_from": (now - timedelta(hours=1)).time(), "quiet_to": (now + timedelta(hours=1)).time()}
    set_policy(project=project, changes={"times": ["11:30"], **quiet}, person=None)
    RetrainPolicy.objects.update(served_at=now - timedelta(days=10))
    assert starting.look(now) == []
    (run,) = starting.look(now + timedelta(hours=2))
    assert (run.trigger, run.due_at) == ("schedule", now.replace(hour=11, minute=30, second=0, microsecond=0))
    carried(run)
    assert starting.look(now + timedelta(hours=3)) == []


def test_after_three_failures_it_waits_for_a_person(project: Project, policy: RetrainPolicy) -> None:
    set_policy(project=project, changes={"times": ["00:00"], "pause_after": 2}, person=None)
    for _ in range(2):
        carried(begun(project), Status.FAILED)
    later = timezone.now() + timedelta(days=1)
    assert starting.look(later) == []
    let_go_on(policy)
    assert len(starting.look(later)) == 1


def test_the_hours_of_finished_jobs_fill_the_budget(project: Project, policy: RetrainPolicy) -> None:
    run = carried(begun(project))
    day = timezone.now() - timedelta(days=1)
    PolicyStep.objects.filter(run=run, kind="train").update(seconds=7200, started_at=day, ended_at=day)
    set_policy(project=project, changes={"hours_a_week": 2.0, "every": 1}, person=None)
    judged(project, 2)
    with pytest.raises(Refused, match=r"2\.0 of 2\.0 hours of training and evaluation in the last 7 days"):
        begun(project)
    assert starting.look() == []
    assert starting.look() == []
    assert project.notices.filter(event="budget").count() == 1, "said once for the run that it keeps waiting"
    set_policy(project=project, changes={"hours_a_week": 3.0}, person=None)
    assert len(starting.look()) == 1


def test_a_training_of_nine_days_counts_by_its_end(project: Project, policy: RetrainPolicy) -> None:
    run, now = carried(begun(project)), timezone.now()
    began, ended = now - timedelta(days=10), now - timedelta(days=1)
    PolicyStep.objects.filter(run=run, kind="train").update(seconds=777_600, started_at=began, ended_at=ended)
    set_policy(project=project, changes={"hours_a_week": 200.0}, person=None)
    judged(project, 2)
    with pytest.raises(Refused, match=r"216\.0 of 200\.0 hours"):
        begun(project)


def test_an_evaluation_may_cost_what_the_week_has_left(project: Project, policy: RetrainPolicy) -> None:
    set_policy(project=project, changes={"cost_a_week": 5.0}, person=None)
    run, evaluation = evaluating(project)
    assert evaluation.spec["limits"]["budget"] == 5.0
    one_job(run)
    Output.objects.filter(project=project).update(cost=0.5)
    run = carried(run)
    assert steps(run)["evaluate"].cost == pytest.approx(0.5 * Output.objects.count())
    with pytest.raises(Refused, match="for what endpoints cost"):
        begun(project)


def test_four_who_start_at_once_start_one(transactional_db: None) -> None:
    project = world.make_project()
    a_policy(project, every=1)
    judged(project)
    found = world.together([starting.look] * 3 + [lambda: _tried(project)])
    assert PolicyRun.objects.count() == 1
    assert sum(len(each) for each in found) == 1


def _tried(project: Project) -> list[PolicyRun]:
    try:
        return [begun(project)]
    except Refused:
        return []


def test_four_workers_that_look_at_once_begin_each_step_once(transactional_db: None) -> None:
    project = world.make_project()
    a_policy(project)
    judged(project)
    run = begun(project)
    for _ in range(4):
        world.together([lambda: advancing.follow(run)] * 4)
        one_job(run)
    run.refresh_from_db()
    assert (run.outcome, run.faults) == (Outcome.GATE, 0)
    assert (Freeze.objects.count(), TrainingRun.objects.count(), EvalRun.objects.count()) == (1, 2, 1)
    assert project.notices.count() == 1
