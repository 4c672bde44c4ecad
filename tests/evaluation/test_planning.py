"""Invariant 5: an evaluation case is never in a training set; and what a run owes is frozen before it runs."""

from typing import Any

import pytest
from django.urls import reverse

from evaluation.endpoints import EndpointDraft, add_endpoint, archive_endpoint
from evaluation.models import Case, Endpoint, EvalRun, Suite
from evaluation.planning import plan_again, plan_evaluation, plan_on_held_out, trained_on
from evaluation.policies.rules import set_policy
from evaluation.suites import add_case, change_suite, seal_share, suite_from_split
from evaluation.suites.content import Content
from labeling.curation import rowfile
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, ProtectedFingerprint, User
from labeling.protection import protected_hashes
from tests import world
from tests.evaluation.judged import a_judge, by_place, judge_by
from tests.evaluation.planned import EXACT, a_suite, tuned
from tests.training.folders import write_adapter
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint, TrainingRun
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


def test_a_policy_whose_reward_model_learned_from_a_case_is_refused_too(project: Project) -> None:
    first = judged_version(project)
    reward = trained(project, first)
    suite = held_out(world.frozen(project, seed=7))
    policy = trained(project, world.frozen(project, seed=3, min_judgments=1))
    TrainingRun.objects.filter(checkpoint=policy).update(reward=reward, method="ppo")
    policy = Checkpoint.objects.get(pk=policy.pk)
    assert [version.number for version in trained_on(policy)] == [3, 1]
    with pytest.raises(Refused, match="was trained on helpfulness v1"):
        plan_evaluation(project=project, suite=suite, checkpoints=[policy], person=None)


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
        ({"name": "x", "scorer": "length", "weight": 1.0}, "x has a weight beside other metrics"),
        ({"name": "x", "scorer": "nll_byte", "weight": 0.1}, "x has a weight beside other metrics"),
        (
            {"name": "x", "scorer": "perplexity", "weight": 9.0},
            "which as 1 \\(ceiling\\), or give it the weight 0",
        ),
    ],
)
def test_scorers_that_cannot_work_are_refused_before_anything_runs(
    project: Project, scoring: dict[str, object], words: str
) -> None:
    suite, tiny = a_suite(project), root_checkpoint()
    with pytest.raises(Refused, match=words):
        plan_evaluation(
            project=project, suite=suite, checkpoints=[tiny], person=None, scoring=[EXACT[0], scoring]
        )
    assert not EvalRun.objects.exists()


@pytest.mark.parametrize(("kind", "other"), [("rubric", "pairwise"), ("pairwise", "rubric")])
def test_a_judge_reads_only_by_the_kind_of_rubric_that_it_has(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, other: str
) -> None:
    judge_by(monkeypatch, by_place)
    suite, tiny, judge = a_suite(project), root_checkpoint(), a_judge(project, other)
    judged = {"name": "said", "scorer": kind, "judge": judge.pk}
    words = f"said is read by a {kind} judge, and {judge} is a {other} judge; choose another"
    with pytest.raises(Refused, match=words):
        plan_evaluation(project=project, suite=suite, checkpoints=[tiny], person=None, scoring=[judged])


def test_a_budget_needs_the_prices_of_every_endpoint_that_is_asked(project: Project) -> None:
    suite, tiny = a_suite(project), root_checkpoint()

    def endpoint(name: str, **prices: float) -> Endpoint:
        draft = EndpointDraft(name, "https://x.example/v1", "m", **prices)
        return add_endpoint(project=project, draft=draft, person=None)

    def plan(**more: Any) -> EvalRun:
        told = {"suite": suite, "checkpoints": [tiny], "limits": {"budget": 5.0}, **more}
        return plan_evaluation(project=project, person=None, engine="transformers", **told)

    half, free = endpoint("Half", price_in=1.0), endpoint("Free", price_in=0.0, price_out=0.0)
    with pytest.raises(Refused, match="A budget was given, and nobody knows what Half costs; give both"):
        plan(endpoints=[free, half])
    judge = a_judge(project, "rubric", checkpoint=None, endpoint=half, engine="openai")
    judged = {"name": "right", "scorer": "rubric", "judge": judge.pk}
    with pytest.raises(Refused, match=f"nobody knows what {judge} costs"):
        plan(scoring=[judged])
    assert plan(endpoints=[free]).spec["limits"]["budget"] == 5.0
    assert plan(endpoints=[half], limits={}, scoring=[judged]).spec["limits"]["budget"] is None
    change_suite(suite=suite, scoring=[judged])
    rules = {"suite": suite, "cost_a_week": 5.0}
    with pytest.raises(Refused, match=f"nobody knows what {judge} costs"):
        set_policy(project=project, changes=rules, person=None)
    assert set_policy(project=project, changes={**rules, "cost_a_week": None}, person=None).pk


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


def sealed_suite(project: Project) -> Suite:
    suite = a_suite(project, cases=40)
    seal_share(suite=suite, share=0.5, person=None)
    return suite


def planned_on(suite: Suite, *checkpoints: Checkpoint, **options: Any) -> EvalRun:
    return plan_evaluation(
        project=suite.project,
        suite=suite,
        checkpoints=checkpoints,
        person=None,
        **{"split": "sealed", **options},
    )


def test_sealed_cases_judge_one_candidate_at_a_time(project: Project) -> None:
    suite = sealed_suite(project)
    both = [tuned(project, "one"), tuned(project, "two")]
    with pytest.raises(
        Refused, match=r"2 candidates were chosen \(one, two\); the sealed cases are opened for exa"
    ):
        planned_on(suite, *both)
    with pytest.raises(Refused, match=r"2 candidates were chosen \(two, one\)"):
        planned_on(suite, both[0], baseline=both[1])
    with pytest.raises(
        Refused, match="The baseline would be one; on the sealed cases it is a base model or what is"
    ):
        planned_on(suite, both[0], baseline=both[0])
    assert planned_on(suite, both[0], root_checkpoint("tiny")).split == "sealed"
    with pytest.raises(Refused, match="opened for one and nothing was decided about it yet"):
        planned_on(suite, both[1])


def test_a_cancelled_run_on_sealed_cases_waits_while_another_candidate_is_judged(
    project: Project, emma: User
) -> None:
    suite = sealed_suite(project)
    run = planned_on(suite, tuned(project, "one"))
    run.request_cancel()
    other = planned_on(suite, tuned(project, "two"))
    client = world.sign_in(emma)
    address = reverse("evaluation:resume", args=[project.slug, run.pk])
    answer = client.post(address)
    assert answer.status_code == 422
    assert "The sealed cases were opened for two" in answer.content.decode()
    other.request_cancel()
    assert client.post(address).status_code == 302
    run.refresh_from_db()
    assert run.status == "queued"


def test_no_endpoint_is_scored_on_sealed_cases(project: Project) -> None:
    suite, end = sealed_suite(project), an_endpoint(project)
    for options in ({"endpoints": [end]}, {"baseline": end}):
        with pytest.raises(Refused, match="E is an endpoint, and the sealed cases are for checkpoints"):
            planned_on(suite, tuned(project, str(options.keys())), **options)
    assert not EvalRun.objects.exists()


def test_a_sealed_run_is_scored_again_beside_the_champion(project: Project) -> None:
    suite, champion = sealed_suite(project), tuned(project, "champion")
    Checkpoint.objects.filter(pk=champion.pk).update(stage=Checkpoint.Stage.PRODUCTION)
    run = planned_on(suite, tuned(project))
    again = plan_again(run=run, person=None)
    assert planned(again) == planned(run)
    assert [target.name for target in again.targets.all()] == ["champion", "tiny", "tuned"]


def test_an_endpoint_that_was_put_away_is_not_asked_again(project: Project) -> None:
    end = an_endpoint(project)
    run = planned_on(a_suite(project), endpoints=[end], split="dev")
    archive_endpoint(endpoint=end)
    with pytest.raises(
        Refused, match="The endpoint E was put away; bring it back on its page, or leave it out"
    ):
        plan_again(run=EvalRun.objects.get(pk=run.pk), person=None)


def an_endpoint(project: Project) -> Endpoint:
    return Endpoint.objects.create(project=project, name="E", url="https://example.com/v1", model="m")
