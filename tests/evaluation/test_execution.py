"""A run is carried to its end: nothing is asked twice, whatever is killed on the way; nothing is dropped silently."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.engines import processes
from evaluation.engines.fake import Died
from evaluation.execution import drive
from evaluation.management.commands.evaluate import as_dict
from evaluation.marking import brought
from evaluation.measured import measured
from evaluation.models import CaseResult, CaseScore, EvalRun, Output, RunTarget, Score, Suite
from evaluation.planning import plan_again, plan_evaluation
from evaluation.reading import target_lines, verdict
from evaluation.scorers import Given, Mark
from evaluation.scorers.base import failed, unscorable
from evaluation.scorers.text import Length
from evaluation.specs import MetricSpec
from evaluation.verdicts import screen
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.evaluation.planned import EXACT, Bill, a_suite, tuned
from tests.training.runs import root_checkpoint
from training.models import Checkpoint

pytestmark = pytest.mark.data_layer


@pytest.fixture
def candidate(project: Project) -> Checkpoint:
    return tuned(project)


def plan(suite: Suite, *checkpoints: Checkpoint, **options: Any) -> EvalRun:
    return plan_evaluation(
        project=suite.project, suite=suite, checkpoints=checkpoints, person=None, engine="fake", **options
    )


def carried(run: EvalRun) -> EvalRun:
    drive(run)
    run.refresh_from_db()
    return run


def test_every_target_answers_every_case_once_and_each_answer_is_marked(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    run = carried(plan(suite, candidate))
    assert (run.status, run.error, run.progress) == (Status.SUCCEEDED, "", 1.0)
    assert [target.name for target in run.targets.all()] == ["tiny", "tuned"]
    assert CaseResult.objects.filter(run=run).count() == 24
    assert CaseScore.objects.filter(result__run=run).count() == 24 * 3
    assert len(bill.asked) == len(set(bill.asked)) == 48  # an answer and a likelihood each


def test_numbers_are_stored_with_their_intervals_and_paired_with_the_baseline(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    run = carried(plan(suite, candidate))
    base, other = target_lines(run)
    assert [reading.metric.name for reading in base.readings] == ["exact", "chrf", "perplexity"]
    assert base.primary.estimate is not None
    assert base.primary.estimate.n == 12
    assert other.primary.difference is not None
    assert other.readings[2].difference is not None
    assert other.readings[2].difference.low > 0  # a ratio
    assert str(verdict([base, other]))
    slices = set(Score.objects.filter(run=run, slice__gt="").values_list("slice", flat=True))
    assert slices == {"third", "rest"}


@pytest.mark.parametrize("after", [0, 1, 7, 20, 47])
def test_a_run_that_is_killed_goes_on_and_asks_nothing_twice(
    suite: Suite, candidate: Checkpoint, bill: Bill, after: int
) -> None:
    run = plan(suite, candidate)
    bill.options = {"dies_after": after}
    with pytest.raises(Died):
        raise_through(run)
    bill.options = {}
    EvalRun.objects.filter(pk=run.pk).update(status=Status.QUEUED, claim_token=None)
    run = carried(EvalRun.objects.get(pk=run.pk))
    assert run.status == Status.SUCCEEDED
    kept = {key: bill.asked.count(key) for key in set(bill.asked)}
    lost = sum(count - 1 for count in kept.values())
    assert lost <= 6  # what the fake had in its hands when it died, less than one batch
    assert Output.objects.count() == 48


def raise_through(run: EvalRun) -> None:
    """What a kill is like: no handler of the job runs."""
    from evaluation.execution import _Work
    from evaluation.plans import Plan

    assert run.claim()
    _Work(run, Plan(run)).carry()


def test_what_one_run_generated_the_next_one_takes_from_where_it_is_kept(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    carried(plan(suite, candidate))
    before = len(bill.asked)
    second = carried(plan(suite, candidate, tuned(suite.project, "second")))
    assert len(bill.asked) - before == 24  # the new checkpoint's only
    reused = CaseResult.objects.filter(run=second, reused=True).count()
    assert reused == 24
    assert target_lines(second)[0].facts["reused"] == 12


def test_a_run_is_scored_again_with_other_scorers_and_nothing_is_generated(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    first = carried(plan(suite, candidate))
    before = len(bill.asked)
    scoring = [{"name": "has red", "scorer": "contains", "weight": 1.0}]
    again = carried(plan_again(run=first, person=None, scoring=scoring))
    assert again.status == Status.SUCCEEDED
    assert len(bill.asked) == before
    assert [metric["name"] for metric in again.metrics] == ["has red"]


def test_other_settings_are_other_questions(suite: Suite, candidate: Checkpoint, bill: Bill) -> None:
    carried(plan(suite, candidate))
    before = len(bill.asked)
    carried(plan(suite, candidate, sampling={"max_tokens": 3}))
    assert len(bill.asked) - before == 24  # the answers; the likelihoods are the same questions


def test_several_samples_are_several_answers_and_one_case(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    run = carried(plan(suite, candidate, sampling={"temperature": 1.0, "samples": 3}))
    assert CaseResult.objects.filter(run=run).count() == 72
    assert Output.objects.filter(kind="complete").count() == 72
    line = target_lines(run)[0]
    assert line.primary.estimate is not None
    assert line.primary.estimate.n == 12


def test_an_answer_that_never_came_counts_as_wrong_and_is_counted(
    suite: Suite, candidate: Checkpoint, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(suite, candidate)
    from evaluation.execution import _Work
    from evaluation.plans import Plan

    one = Plan(run)
    case = next(iter(_Work(run, one)._cases()))
    bill.options = {"garbled": {next(iter(_Work(run, one)._completions(case, one.asked["1"]))).id}}
    run = carried(run)
    line = target_lines(run)[1]
    assert run.status == Status.SUCCEEDED
    failed = CaseResult.objects.get(run=run, output=None)
    assert failed.error == "The fake engine was told to say nothing."
    assert line.primary.own is not None
    assert (line.primary.own.n, line.primary.own.errors) == (12, 1)
    assert line.readings[1].own is not None
    assert line.readings[1].own.errors == 1


def test_cases_without_a_reference_are_unscorable_and_counted(
    project: Project, candidate: Checkpoint, bill: Bill
) -> None:
    suite = a_suite(project, reference=None, scoring=EXACT[:1])
    run = carried(plan(suite, candidate))
    line = target_lines(run)[0]
    assert line.primary.estimate is None
    assert line.primary.own is not None
    assert (line.primary.own.n, line.primary.own.unscorable) == (0, 12)
    assert "too few cases" in str(verdict(target_lines(run))) or not verdict(target_lines(run))


def test_of_several_samples_those_without_a_value_are_counted_beside_the_case_that_has_one(
    project: Project, leo: User, candidate: Checkpoint, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Length.mark

    def choosy(self: Length, case: Any, given: Given, params: Any) -> Mark:
        words = len((given.text or "").split())
        found: Mark = mark(self, case, given, params)
        return unscorable("too short") if words <= 3 else failed("odd") if words == 4 else found

    monkeypatch.setattr(Length, "mark", choosy)
    suite = a_suite(project, scoring=[{"name": "length", "scorer": "length"}])
    run = carried(plan(suite, candidate, sampling={"samples": 8, "temperature": 1.0}))
    line = target_lines(run)[1]
    states = line.primary.states
    assert line.primary.own is not None
    assert (line.primary.own.n, line.primary.own.unscorable) == (12, 0)
    assert states["unscorable"] > 0 < states["error"]
    assert sum(states.values()) == 12 * 8
    both = [sum(each.primary.states[name] for each in target_lines(run)) for name in ("error", "unscorable")]
    trusted = {fact.label: fact for fact in screen(run, {}).trust}["Without a value"]
    assert trusted.words == f"length: {both[0]} errors, {both[1]} unscorable of 192 answers"
    assert trusted.doubt
    assert as_dict(line)["metrics"]["length"]["answers"] == states
    told = world.sign_in(leo).get(reverse("api-evaluation", args=[project.slug, run.pk])).json()
    assert told["answers"]["tuned"]["length"] == states


@pytest.mark.parametrize("cases", [1, 2])
def test_a_suite_of_a_case_or_two_gives_no_difference(
    project: Project, candidate: Checkpoint, bill: Bill, cases: int
) -> None:
    run = carried(plan(a_suite(project, cases=cases), candidate))
    assert run.status == Status.SUCCEEDED
    assert target_lines(run)[1].primary.difference is None
    assert "too few cases to compare" in str(verdict(target_lines(run)))


def test_weighted_metrics_make_one_primary_metric(
    project: Project, candidate: Checkpoint, bill: Bill
) -> None:
    scoring = [
        {"name": "exact", "scorer": "exact", "weight": 3.0},
        {"name": "words", "scorer": "length", "weight": 1.0, "floor": 10.0, "ceiling": 0.0},
    ]
    run = carried(plan(a_suite(project, scoring=scoring), candidate))
    assert run.primary == "primary"
    result = CaseResult.objects.filter(run=run).first()
    assert result is not None
    marks = {score.metric: score.value for score in result.scores.all()}
    assert marks["primary"] == pytest.approx((3 * marks["exact"] + (1 - marks["words"] / 10)) / 4)


@pytest.mark.parametrize(
    ("scorer", "ends", "mark", "worth"),
    [
        ("exact", {}, Mark(1.0), 1.0),
        ("truncated", {}, Mark(1.0), 0.0),
        ("chrf", {}, Mark(0.25), 0.25),
        ("length", {"floor": 10.0, "ceiling": 0.0}, Mark(4.0), 0.6),
        ("nll_token", {"floor": 5.0, "ceiling": 0.0}, Mark(4.0, 4.0), 0.8),
        ("perplexity", {"floor": 50.0, "ceiling": 1.0}, Mark(8 * math.log(4), 8.0), 46 / 49),
        ("perplexity", {"floor": 50.0, "ceiling": 1.0}, Mark(1e6, 1.0), 0.0),
    ],
)
def test_every_scale_is_brought_to_1_where_it_is_best(
    scorer: str, ends: dict[str, float], mark: Mark, worth: float
) -> None:
    assert brought(MetricSpec(name="m", scorer=scorer, **ends), mark) == pytest.approx(worth)  # type: ignore[arg-type]


def test_ada_is_told_that_answers_which_are_cut_off_more_often_are_worse(
    project: Project, candidate: Checkpoint, bill: Bill
) -> None:
    scoring = [
        {"name": "exact", "scorer": "exact", "weight": 1.0},
        {"name": "cut off", "scorer": "truncated", "weight": 1.0},
    ]
    run = carried(plan(a_suite(project, scoring=scoring), candidate, sampling={"max_tokens": 2}))
    own = {
        row.metric: row.value for row in Score.objects.filter(run=run, target__index=1, versus=None, slice="")
    }
    assert own["cut off"] == 1.0
    assert own["primary"] == 0.0
    first = next(row for row in run.spec["metrics"] if row["name"] == "exact")
    earlier = EvalRun(spec={**run.spec, "together": 1}, facts=run.facts)
    assert measured(run)["primary"] != measured(earlier)["primary"], (
        "numbers of before are not compared with these"
    )
    alone = plan(a_suite(project, scoring=[first], name="Alone"), candidate)
    assert "together" not in alone.spec


def test_a_run_that_costs_more_than_its_budget_stops_and_keeps_what_was_answered(
    suite: Suite, candidate: Checkpoint, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from evaluation.engines.fake import FakeEngine

    answer = FakeEngine.answer
    monkeypatch.setattr(FakeEngine, "answer", lambda self, request: replace(answer(self, request), cost=0.5))
    run = carried(plan(suite, candidate, limits={"budget": 5.0}))
    assert run.status == Status.FAILED
    assert "and the budget is 5.00; what was answered is kept" in run.error
    assert 0 < Output.objects.count() < 48


def test_everything_that_came_before_the_budget_was_seen_to_be_spent_is_kept_and_not_paid_again(
    suite: Suite, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[str] = []
    cost: list[float | None] = [0.5]

    def all_at_once(recipe: str, folder: Path, look: Callable[[], None]) -> int:
        rows = map(json.loads, (folder / "requests.jsonl").read_text().splitlines())
        answers = [{name: row[name] for name in ("id", "target", "kind")} | {"cost": cost[0]} for row in rows]
        paid.extend(row["id"] for row in answers)
        (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
        look()
        (folder / "result.json").write_text("{}")
        return 0

    monkeypatch.setattr(processes, "run_recipe", all_at_once)
    monkeypatch.setattr(processes, "AT_A_TIME", 5)
    draft = EndpointDraft("Elsewhere", "https://x.example/v1", "m", price_in=1.0, price_out=1.0)
    away = add_endpoint(project=suite.project, person=None, draft=draft)
    only: dict[str, Any] = {"endpoints": [away], "scoring": EXACT[:1]}
    run = carried(plan(suite, **only, limits={"budget": 1.0}))
    assert run.error.startswith(
        "The answers cost 6.00 so far, and the budget is 1.00; what was answered is kept"
    )
    assert Output.objects.count() == len(paid) == 12
    assert carried(plan(suite, **only, limits={"budget": 9.0})).status == Status.SUCCEEDED
    assert len(paid) == 12
    only["sampling"], cost[0] = {"seed": 1}, None
    untold = carried(plan(suite, **only, limits={"budget": 9.0}))
    assert untold.error.startswith("An endpoint does not tell how many tokens its answers have")
    assert carried(plan(suite, **only)).status == Status.SUCCEEDED
    assert len(paid) == 24


def test_a_run_that_was_cancelled_ends_as_cancelled(
    suite: Suite, candidate: Checkpoint, bill: Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(suite, candidate)
    assert run.claim()
    run.request_cancel()
    from evaluation.carrying import interruptible
    from evaluation.execution import _evaluate

    run.carry(lambda: interruptible(run, lambda: _evaluate(run)))
    run.refresh_from_db()
    assert run.status == Status.CANCELLED


def test_an_engine_that_refuses_ends_the_run_with_its_sentence(
    suite: Suite, candidate: Checkpoint, bill: Bill
) -> None:
    bill.options = {"fails_after": 10}
    run = carried(plan(suite, candidate))
    assert (run.status, run.error) == (Status.FAILED, "The fake engine was told to fail.")
    assert run.resume()
    bill.options = {}
    run = carried(EvalRun.objects.get(pk=run.pk))
    assert run.status == Status.SUCCEEDED
    assert len(bill.asked) - len(set(bill.asked)) <= 6


def test_targets_of_two_bases_are_asked_in_two_groups(project: Project, suite: Suite, bill: Bill) -> None:
    run = carried(plan(suite, tuned(project), tuned(project, "other one", base="other")))
    assert run.status == Status.SUCCEEDED
    assert [target.name for target in run.targets.all()] == ["tiny", "other", "tuned", "other one"]
    assert sorted(path.name for path in run.path.iterdir()) == ["answers-0", "answers-1"]


def test_the_champion_in_production_is_the_baseline(project: Project, suite: Suite, bill: Bill) -> None:
    champion = tuned(project, "champion")
    Checkpoint.objects.filter(pk=champion.pk).update(stage=Checkpoint.Stage.PRODUCTION)
    run = plan(suite, tuned(project))
    assert [target.name for target in RunTarget.objects.filter(run=run)] == ["champion", "tiny", "tuned"]


def test_the_base_alone_can_be_scored(suite: Suite, bill: Bill) -> None:
    run = carried(plan(suite, root_checkpoint()))
    assert run.status == Status.SUCCEEDED
    assert not verdict(target_lines(run))
