"""Invariant 5: an evaluation case is never in a training set; and what a run owes is frozen before it runs."""

import pytest

from evaluation.models import Case, EvalRun, Suite
from evaluation.planning import plan_evaluation, plan_on_held_out, trained_on
from evaluation.suites import add_case, seal_share, suite_from_split
from evaluation.suites.content import Content
from labeling.curation import rowfile
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, ProtectedFingerprint
from labeling.protection import protected_hashes
from tests import world
from tests.evaluation.planned import a_suite, tuned
from tests.training.folders import write_adapter
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint
from training.registry import register_checkpoint


def held_out(version: DatasetVersion) -> Suite:
    return suite_from_split(version=version, split="test", person=None)


def planned(run: EvalRun) -> list[int | None]:
    return [target.checkpoint_id for target in run.targets.all()]


def trained(project: Project, version: object, start: Checkpoint | None = None) -> Checkpoint:
    run = launched(project, version, start=start)  # type: ignore[arg-type]
    write_adapter(run.path / "final", run.base.location)
    return register_checkpoint(run=run, result=RESULT)


def test_a_suite_holds_the_held_out_rows_and_protects_their_prompts(project: Project) -> None:
    version = judged_version(project)
    suite = held_out(version)
    rows = list(rowfile.read(version.path, split="test"))
    cases = list(Case.objects.filter(suite=suite).order_by("position"))
    assert [case.reference for case in cases] == [row["chosen"] for row in rows]
    assert protected_hashes(project=project) == {row["prompt_hash"] for row in rows}


def test_the_same_split_gives_the_same_suite(project: Project) -> None:
    version = judged_version(project)
    assert held_out(version).pk == held_out(version).pk
    assert Suite.objects.count() == 1


def test_a_version_without_held_out_rows_gives_no_suite(project: Project) -> None:
    with pytest.raises(Refused, match="no rows in its test split; freeze a version with a larger test share"):
        held_out(judged_version(project, test_share=0))
    assert ProtectedFingerprint.objects.count() == 0


def test_the_prompts_of_a_suite_stay_out_of_every_later_training_set(project: Project) -> None:
    suite = held_out(judged_version(project))
    cases = set(Case.objects.filter(suite=suite).values_list("prompt_hash", flat=True))
    for seed in range(1, 6):
        later = world.frozen(project, seed=seed)
        assert not cases & {row["prompt_hash"] for row in rowfile.read(later.path, split="train")}


def test_the_base_is_always_planned_first_and_nobody_twice(project: Project) -> None:
    version = judged_version(project)
    suite, tuned, root = held_out(version), trained(project, version), root_checkpoint()
    run = plan_evaluation(project=project, suite=suite, checkpoints=[tuned, root, tuned], person=None)
    assert planned(run) == [root.pk, tuned.pk]


def test_a_checkpoint_that_was_trained_on_a_case_is_refused(project: Project) -> None:
    first = judged_version(project)
    tuned = trained(project, first)
    second = world.frozen(project, seed=7)
    with pytest.raises(
        Refused, match=r"was trained on helpfulness v1, which holds \d+ of this suite's prompts"
    ):
        plan_evaluation(project=project, suite=held_out(second), checkpoints=[tuned], person=None)


def test_a_checkpoint_whose_ancestor_was_trained_on_a_case_is_refused_too(project: Project) -> None:
    first = judged_version(project)
    parent = trained(project, first)
    suite = held_out(world.frozen(project, seed=7))
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


def test_a_reward_model_is_not_scored_as_one_that_answers(project: Project) -> None:
    version = judged_version(project)
    reward = register_checkpoint(run=launched(project, version, method="reward"), result=RESULT)
    with pytest.raises(Refused, match="is a reward model, which gives numbers and no text"):
        plan_evaluation(project=project, suite=held_out(version), checkpoints=[reward], person=None)


def test_an_unknown_engine_is_refused(project: Project) -> None:
    suite = held_out(judged_version(project))
    with pytest.raises(Refused, match="'abacus'; choose one of transformers"):
        plan_evaluation(
            project=project, suite=suite, checkpoints=[root_checkpoint()], person=None, engine="abacus"
        )


def test_a_suite_without_scorers_is_refused(project: Project) -> None:
    suite = a_suite(project, scoring=[])
    with pytest.raises(Refused, match="Questions has no scorer yet; choose at least one on its page"):
        plan_evaluation(project=project, suite=suite, checkpoints=[root_checkpoint()], person=None)


@pytest.mark.parametrize(
    ("scoring", "words"),
    [
        ({"name": "x", "scorer": "taste"}, "taste"),
        ({"name": "x", "scorer": "exact", "params": {"mood": 1}}, "mood"),
        ({"name": "primary", "scorer": "exact"}, "give the metric another name"),
        ({"name": "x", "scorer": "rubric"}, "x is read by a judge, and none was chosen"),
        ({"name": "x", "scorer": "reward"}, "x needs a reward model, and none was chosen"),
        ({"name": "x", "scorer": "exact", "floor": 1.0}, "give two different numbers, or none"),
    ],
)
def test_scorers_that_cannot_work_are_refused_before_anything_runs(
    project: Project, scoring: dict[str, object], words: str
) -> None:
    suite = a_suite(project)
    with pytest.raises(Refused, match=words):
        plan_evaluation(
            project=project, suite=suite, checkpoints=[root_checkpoint()], person=None, scoring=[scoring]
        )
    assert not EvalRun.objects.exists()


def test_more_samples_than_one_need_a_temperature(project: Project) -> None:
    suite = a_suite(project)
    with pytest.raises(Refused, match="3 samples at temperature 0 would all be alike"):
        plan_evaluation(
            project=project,
            suite=suite,
            checkpoints=[root_checkpoint()],
            person=None,
            sampling={"samples": 3},
        )


def test_planning_freezes_the_suite_and_an_edit_afterwards_is_the_next_version(project: Project) -> None:
    suite = a_suite(project)
    run = plan_evaluation(project=project, suite=suite, checkpoints=[root_checkpoint()], person=None)
    add_case(suite=suite, content=Content(prompt=[{"role": "user", "content": "One more?"}]), person=None)
    again = plan_evaluation(project=project, suite=suite, checkpoints=[root_checkpoint()], person=None)
    assert (run.version.number, run.version.cases) == (1, 12)
    assert (again.version.number, again.version.cases) == (2, 13)
    assert run.version.content_hash != again.version.content_hash


def test_sealed_cases_judge_one_candidate_at_a_time(project: Project) -> None:
    suite = a_suite(project, cases=40)
    seal_share(suite=suite, share=0.5, person=None)
    both = [tuned(project, "one"), tuned(project, "two")]
    with pytest.raises(Refused, match="one"):
        plan_evaluation(project=project, suite=suite, checkpoints=both, person=None, split="sealed")
    run = plan_evaluation(project=project, suite=suite, checkpoints=both[:1], person=None, split="sealed")
    assert run.split == "sealed"
