"""A run that stopped after its training goes on without a second one, and no project is retrained twice at once."""

import pytest
from django.utils import timezone

from evaluation.models import Decision, EvalRun, PolicyRun, RetrainPolicy
from evaluation.policies import advancing, starting
from evaluation.policies import steps as doing
from evaluation.policies.facts import facts_of
from evaluation.policies.rules import set_policy
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project
from tests import world
from tests.evaluation.policing import a_policy, begun, carried, ended, judged, one_job, spoiled, states, steps
from training.models import Retraining, TrainingRun
from training.retraining import origin_of, outlook, start_retraining

pytestmark = [pytest.mark.data_layer, pytest.mark.usefixtures("bill")]

Outcome = PolicyRun.Outcome


def test_what_was_trained_and_not_measured_is_measured_when_nothing_newer_is_due(
    project: Project, policy: RetrainPolicy
) -> None:
    first = spoiled(project)
    assert (first.outcome, first.sentence) == (
        Outcome.FAILED,
        "The evaluation failed. The server of the model died.",
    )
    checkpoint = steps(first)["train"].checkpoint
    run = carried(begun(project))
    assert (run.outcome, states(run)) == (Outcome.GATE, "done done done stopped skipped")
    found = steps(run)
    assert (found["train"].checkpoint, found["train"].training, found["freeze"].freeze) == (
        checkpoint,
        None,
        None,
    )
    assert found["train"].sentence == f"{checkpoint} was trained on it by run {first.pk}."
    assert (TrainingRun.objects.count(), EvalRun.objects.count()) == (2, 2)
    assert carried(begun(project)).outcome == Outcome.NOTHING_NEW, "the gate was asked once"
    assert TrainingRun.objects.count() == 2


def test_a_budget_that_was_too_small_for_the_evaluation_is_raised_and_the_run_goes_on(
    project: Project, policy: RetrainPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_policy(project=project, changes={"cost_a_week": 5.0, "runs_a_week": 1}, person=None)
    run = begun(project)
    advancing.follow(run)
    one_job(run)
    advancing.follow(run)
    with monkeypatch.context() as spent:
        spent.setattr(doing, "charges", lambda policy, now: {"costs": [(now, 5.0)]})
        first = carried(run)
    assert first.outcome == Outcome.BUDGET
    assert first.sentence.endswith("raise the budget or wait until it has room, then let this run go on.")
    judged(project, 4)
    set_policy(project=project, changes={"cost_a_week": 500.0, "every": 4}, person=None)
    second = carried(starting.go_on(run=first, person=None))
    assert (second.outcome, second.newer, TrainingRun.objects.count()) == (Outcome.GATE, 6, 2)
    assert steps(second)["freeze"].version == steps(first)["freeze"].version, (
        "what came since waits for its turn"
    )
    for again in (first, second):
        with pytest.raises(Refused, match="left no checkpoint that waits for its gate"):
            starting.go_on(run=again, person=None)
    set_policy(project=project, changes={"runs_a_week": None}, person=None)
    (third,) = starting.look()
    assert third.newer == 4, "going on took nothing from the count of new judgments"


def test_rows_that_are_the_same_go_on_with_what_was_trained_on_them(
    project: Project, policy: RetrainPolicy
) -> None:
    first = spoiled(project)
    judged(project, 2, ("tie", "tie"))
    run = carried(begun(project))
    assert (run.outcome, TrainingRun.objects.count()) == (Outcome.GATE, 2)
    assert steps(run)["train"].checkpoint == steps(first)["train"].checkpoint
    assert (
        "The judgments as they are now give the same training rows as version 2;"
        in steps(run)["freeze"].sentence
    )


def test_a_training_that_emma_resumes_on_its_own_page_waits_for_its_gate_too(
    project: Project, policy: RetrainPolicy
) -> None:
    first = carried(begun(project), Status.FAILED)
    training = steps(first)["train"].training
    assert training is not None
    with pytest.raises(Refused, match="left no checkpoint"):
        starting.go_on(run=first, person=None)
    training.resume()
    ended(training)
    run = carried(begun(project))
    assert (run.outcome, TrainingRun.objects.count()) == (Outcome.GATE, 2)
    assert steps(run)["train"].checkpoint == training.checkpoint


def test_what_a_person_has_decided_about_waits_no_more(project: Project, policy: RetrainPolicy) -> None:
    first = spoiled(project)
    checkpoint = steps(first)["train"].checkpoint
    assert checkpoint is not None
    Decision.objects.create(project=project, candidate=checkpoint, action="kept", record="", content_hash="")
    assert carried(begun(project)).outcome == Outcome.NOTHING_NEW


@pytest.mark.parametrize("by_hand_first", [True, False])
def test_a_project_is_retrained_by_hand_or_by_its_policy_and_never_by_both(
    project: Project, policy: RetrainPolicy, by_hand_first: bool
) -> None:
    origin = origin_of(project)
    assert origin is not None
    if by_hand_first:
        start_retraining(origin, person=None)
        with pytest.raises(Refused, match="is being retrained by hand"):
            begun(project)
    else:
        begun(project)
        assert outlook(origin).refusal.startswith("A run of the retrain policy is under way")
        with pytest.raises(Refused, match="A run of the retrain policy is under way"):
            start_retraining(origin, person=None)
    assert Retraining.objects.count() + PolicyRun.objects.count() == 1


def test_whoever_begins_at_the_same_moment_finds_that_the_other_was_faster(
    project: Project, policy: RetrainPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked, and nothing was under way."""
    origin = origin_of(project)
    assert origin is not None
    seen = facts_of(policy, timezone.now())
    monkeypatch.setattr(starting, "facts_of", lambda policy, now: seen)
    start_retraining(origin, person=None)
    with pytest.raises(Refused, match="began to be retrained at the same moment"):
        begun(project)
    assert not PolicyRun.objects.exists()


def test_four_who_retrain_at_once_by_hand_and_by_policy_start_one(transactional_db: None) -> None:
    project = world.make_project()
    policy = a_policy(project)
    judged(project)

    def by_hand() -> list[Retraining]:
        try:
            return [start_retraining(policy.origin, person=None)]  # type: ignore[arg-type]
        except Refused:
            return []

    def by_policy() -> list[PolicyRun]:
        try:
            return [begun(project)]
        except Refused:
            return []

    found = world.together([by_hand, by_policy] * 2)
    assert sum(len(each) for each in found) == 1
    assert Retraining.objects.count() + PolicyRun.objects.count() == 1
