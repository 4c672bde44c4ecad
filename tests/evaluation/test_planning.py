"""Invariant 5: an evaluation case is never in a training set; and what a run owes is frozen before it runs."""

import pytest

from evaluation.models import Case, EvalRun, Suite
from evaluation.planning import create_suite, plan_evaluation, plan_on_held_out, planned, trained_on
from labeling.curation import rowfile
from labeling.errors import Refused
from labeling.models import Project, ProtectedFingerprint, User
from labeling.protection import protected_hashes
from tests import world
from tests.training.folders import write_adapter
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint
from training.registry import register_checkpoint


def trained(project: Project, version: object, start: Checkpoint | None = None) -> Checkpoint:
    run = launched(project, version, start=start)  # type: ignore[arg-type]
    write_adapter(run.path / "final", run.base.location)
    return register_checkpoint(run=run, result=RESULT)


def test_a_suite_holds_the_held_out_rows_and_protects_their_prompts(project: Project) -> None:
    version = judged_version(project)
    suite = create_suite(version=version)
    rows = list(rowfile.read(version.path, split="test"))
    cases = list(Case.objects.filter(suite=suite).order_by("index"))
    assert [case.chosen for case in cases] == [row["chosen"] for row in rows]
    assert protected_hashes(project=project) == {row["prompt_hash"] for row in rows}


def test_the_same_split_gives_the_same_suite(project: Project) -> None:
    version = judged_version(project)
    assert create_suite(version=version).pk == create_suite(version=version).pk
    assert Suite.objects.count() == 1


def test_a_version_without_held_out_rows_gives_no_suite(project: Project) -> None:
    with pytest.raises(Refused, match="no rows in its test split; freeze a version with a larger test share"):
        create_suite(version=judged_version(project, test_share=0))
    assert ProtectedFingerprint.objects.count() == 0


def test_the_prompts_of_a_suite_stay_out_of_every_later_training_set(project: Project) -> None:
    suite = create_suite(version=judged_version(project))
    cases = set(Case.objects.filter(suite=suite).values_list("prompt_hash", flat=True))
    for seed in range(1, 6):
        later = world.frozen(project, seed=seed)
        assert not cases & {row["prompt_hash"] for row in rowfile.read(later.path, split="train")}


def test_the_base_is_always_planned_first_and_nobody_twice(project: Project) -> None:
    version = judged_version(project)
    suite, tuned, root = create_suite(version=version), trained(project, version), root_checkpoint()
    run = plan_evaluation(project=project, suite=suite, checkpoints=[tuned, root, tuned], person=None)
    assert [checkpoint.pk for checkpoint in planned(run)] == [root.pk, tuned.pk]


def test_a_checkpoint_that_was_trained_on_a_case_is_refused(project: Project) -> None:
    first = judged_version(project)
    tuned = trained(project, first)
    second = world.frozen(project, seed=7)
    with pytest.raises(
        Refused, match=r"was trained on helpfulness v1, which holds \d+ of this suite's prompts"
    ):
        plan_evaluation(project=project, suite=create_suite(version=second), checkpoints=[tuned], person=None)


def test_a_checkpoint_whose_ancestor_was_trained_on_a_case_is_refused_too(project: Project) -> None:
    first = judged_version(project)
    parent = trained(project, first)
    suite = create_suite(version=world.frozen(project, seed=7))
    child = trained(project, world.frozen(project, seed=3, min_judgments=1), start=parent)
    assert [version.number for version in trained_on(child)] == [3, 1]
    with pytest.raises(Refused, match="trained on helpfulness v1"):
        plan_evaluation(project=project, suite=suite, checkpoints=[child], person=None)


def test_a_plan_that_is_refused_leaves_no_suite_and_protects_nothing(project: Project) -> None:
    first = judged_version(project)
    tuned, second = trained(project, first), world.frozen(project, seed=7)
    for checkpoints in ([tuned], []):
        with pytest.raises(Refused):
            plan_on_held_out(version=second, checkpoints=checkpoints, person=None)
    assert Suite.objects.count() == ProtectedFingerprint.objects.count() == EvalRun.objects.count() == 0


def test_checkpoints_of_two_bases_are_not_scored_in_one_run(project: Project) -> None:
    suite = create_suite(version=judged_version(project))
    both = [root_checkpoint("tiny"), root_checkpoint("other")]
    with pytest.raises(Refused, match="different base models"):
        plan_evaluation(project=project, suite=suite, checkpoints=both, person=None)


def test_a_reward_model_is_not_scored_as_one_that_answers(project: Project) -> None:
    version = judged_version(project)
    reward = register_checkpoint(run=launched(project, version, method="reward"), result=RESULT)
    with pytest.raises(Refused, match="is a reward model, which gives numbers and no text"):
        plan_evaluation(
            project=project, suite=create_suite(version=version), checkpoints=[reward], person=None
        )


def test_an_unknown_engine_is_refused(project: Project) -> None:
    suite = create_suite(version=judged_version(project))
    with pytest.raises(Refused, match="'abacus'; choose one of transformers"):
        plan_evaluation(
            project=project, suite=suite, checkpoints=[root_checkpoint()], person=None, engine="abacus"
        )


def test_a_suite_needs_pairs(project: Project, ben: User) -> None:
    world.fill(project, 12)
    world.judge_all(project, ben)
    with pytest.raises(Refused, match="holds rows of the kind sft; a suite needs pairs"):
        create_suite(version=world.frozen(project, kind="sft", test_share=0.5))
