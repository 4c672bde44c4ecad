"""Judges and reward models score a run's answers after every answer is there; what they cannot say is counted."""

from dataclasses import replace
from typing import Any

import pytest

from evaluation.engines import ENGINES
from evaluation.engines.protocol import Answer, Request
from evaluation.execution import drive
from evaluation.models import CaseScore, EvalRun, Output, Suite
from evaluation.planning import plan_evaluation
from evaluation.reading import target_lines
from evaluation.specs import JUDGE_LENGTH
from evaluation.verdicts_trust import footer
from evaluation.winrates import rates_of
from labeling.lifecycle import Status
from labeling.models import Project
from tests.evaluation.judged import a_judge, by_place, judge_by
from tests.evaluation.planned import a_suite, tuned
from tests.training.runs import root_checkpoint
from training.models import Checkpoint

pytestmark = pytest.mark.data_layer


def scored(suite: Suite, *scoring: dict[str, Any]) -> EvalRun:
    run = plan_evaluation(
        project=suite.project,
        suite=suite,
        checkpoints=[tuned(suite.project)],
        person=None,
        engine="fake",
        scoring=scoring,
    )
    drive(run)
    run.refresh_from_db()
    return run


def a_reward_model(project: Project) -> Checkpoint:
    root = root_checkpoint()
    return Checkpoint.objects.create(
        project=project, base=root.base, parent=root, name="taste", kind="full", path="/nowhere/taste",
        line=Checkpoint.Line.REWARD, content_hash="cd" * 32,
    )  # fmt: skip


def values(run: EvalRun, metric: str, target: int) -> list[float | None]:
    rows = CaseScore.objects.filter(result__run=run, result__target__index=target, metric=metric)
    return list(rows.order_by("result__case__position").values_list("value", flat=True))


def test_a_rubric_is_read_as_probabilities_after_all_answers_are_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = judge_by(monkeypatch, lambda shown, request: {"yes": 3.0, "no": 1.0})
    judge = a_judge(project, "rubric")
    run = scored(a_suite(project), {"name": "right", "scorer": "rubric", "judge": judge.pk, "weight": 1.0})
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert values(run, "right", 1) == pytest.approx([0.75] * 12)
    kinds = dict(Output.objects.values_list("key", "kind"))
    order = [kinds[key] for key in called.asked]
    assert order == sorted(order, key=["complete", "choose"].index)  # every answer, then every judgment
    assert len(called.asked) == len(set(called.asked))
    assert called.lengths == {"0": 2048, "1": 2048, f"judge:{judge.pk}": JUDGE_LENGTH}  # as its card was made


def test_a_pairwise_judge_that_likes_a_place_finds_no_winner_and_its_flips_are_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_place)
    run = scored(
        a_suite(project), {"name": "wins", "scorer": "pairwise", "judge": a_judge(project).pk, "weight": 1.0}
    )
    assert run.status == Status.SUCCEEDED, run.error
    assert values(run, "wins", 1) == pytest.approx([0.5] * 12)
    base, other = target_lines(run)
    assert base.primary.own is not None
    assert base.primary.own.unscorable == 12  # it is not compared with itself
    assert other.primary.difference is None or other.primary.difference.value == pytest.approx(0)
    (rate,) = rates_of(other)
    assert rate.flipped == rate.n == 12
    assert (rate.decided, rate.longer) == (0, 0)


def test_a_judge_outside_its_labels_is_an_error_in_every_case_and_in_no_mean(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, lambda shown, request: {"yes": 1.0, "no": 1.0}, mass=0.1)
    judge = a_judge(project, "rubric")
    run = scored(a_suite(project), {"name": "right", "scorer": "rubric", "judge": judge.pk, "weight": 1.0})
    assert run.status == Status.SUCCEEDED
    line = target_lines(run)[1]
    assert line.primary.estimate is None
    assert line.primary.own is not None
    assert (line.primary.own.n, line.primary.own.errors) == (0, 12)
    reason = CaseScore.objects.filter(result__run=run).values_list("reason", flat=True)[0]
    assert "does not answer with its labels" in reason


def test_a_reward_model_scores_the_answers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_by(monkeypatch, by_place)
    reward = a_reward_model(project)
    monkeypatch.setattr("evaluation.planning_specs.REWARDED_BY", "fake")
    run = scored(
        a_suite(project),
        {"name": "reward", "scorer": "reward", "reward": reward.pk, "weight": 1.0},
        {"name": "wins", "scorer": "reward_win", "reward": reward.pk},
    )
    assert run.status == Status.SUCCEEDED, run.error
    assert all(value is not None and -2 <= value <= 2 for value in values(run, "reward", 1))
    assert set(values(run, "wins", 1)) <= {0.0, 0.5, 1.0}


def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine of the test say of every question that it lost its start."""

    class Cutting(ENGINES["fake"]):  # type: ignore[name-defined,misc]
        def answer(self, request: Request) -> Answer:
            return replace(super().answer(request), truncated=request.kind != "complete")

    monkeypatch.setitem(ENGINES, "fake", Cutting)


@pytest.mark.parametrize("scorer", ["rubric", "pairwise", "reward"])
def test_a_judge_that_lost_its_rubric_gives_no_judgment(
    project: Project, monkeypatch: pytest.MonkeyPatch, scorer: str
) -> None:
    judge_by(monkeypatch, by_place)
    cut(monkeypatch)
    if scorer == "reward":
        monkeypatch.setattr("evaluation.planning_specs.REWARDED_BY", "fake")
        who = {"reward": a_reward_model(project).pk}
    else:
        who = {"judge": a_judge(project, scorer).pk}
    run = scored(a_suite(project), {"name": "taste", "scorer": scorer, "weight": 1.0, **who})
    assert run.status == Status.SUCCEEDED, run.error
    line = target_lines(run)[1]
    assert line.primary.counts == (12, 0, 12)
    marks = CaseScore.objects.filter(result__run=run, result__target__index=1)
    assert all("the question is longer than it reads" in mark.reason for mark in marks)


def test_likelihoods_of_texts_that_were_cut_are_counted_and_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_place)
    cut(monkeypatch)
    run = scored(a_suite(project), {"name": "perplexity", "scorer": "perplexity", "weight": 1.0})
    lines = target_lines(run)
    assert lines[1].facts["cut"] == {"perplexity": 12}
    (told,) = (fact for fact in footer(run, lines) if fact.label == "Read in part")
    assert told.words == "perplexity: 24 of 24 texts with their prompts are longer than the model reads"
    assert told.doubt


def test_groundedness_is_over_the_claims_of_an_answer(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, lambda shown, request: dict.fromkeys(request.labels, 1.0))
    judge = a_judge(project, "rubric")
    scoring = [
        {"name": name, "scorer": name, "judge": judge.pk, "weight": float(name == "groundedness")}
        for name in ("context_relevance", "groundedness", "answer_relevance")
    ]
    run = scored(a_suite(project, contexts=["Red is a colour.", "So is blue."]), *scoring)
    assert run.status == Status.SUCCEEDED, run.error
    states = set(CaseScore.objects.filter(result__run=run).values_list("metric", "state"))
    assert ("context_relevance", "scored") in states
    assert not {state for _, state in states if state == "error"}
