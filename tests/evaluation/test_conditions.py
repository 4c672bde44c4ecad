"""Each condition of a gate, alone."""

import pytest

from evaluation import trusting
from evaluation.comparison import Side
from evaluation.conditions import (
    contamination,
    deciding,
    guardrails,
    judges,
    missing,
    production,
    sealed,
    values_of,
)
from evaluation.models import CaseScore, EvalRun, Gate, RunTarget
from evaluation.sheets import KEPT, metrics_of
from labeling.models import Project
from tests.evaluation.finished import checkpoint
from tests.evaluation.gating import EVEN, marks, pair, promoted
from tests.evaluation.judged import a_judge, by_place, judge_by

pytestmark = pytest.mark.django_db


def both(run: EvalRun, target: RunTarget) -> tuple[Side, Side]:
    return Side(run, run.targets.get(index=0)), Side(run, target)


def rails(run: EvalRun, target: RunTarget, *margins: tuple[str, float]):
    gate = Gate(suite=run.suite, guardrails=[{"metric": name, "margin": margin} for name, margin in margins])
    return guardrails(gate, both(run, target), metrics_of(run))


def test_a_guardrail_that_stays_holds_and_one_that_falls_does_not(project: Project) -> None:
    worse = {"candidate": {"contains": marks(150, 200)}}
    run, target = pair(project, EVEN, EVEN, metrics=("exact", "contains", "length"), others=worse)
    fallen, kept = rails(run, target, ("contains", 0.05), ("length", 2.0))
    assert not fallen.passed
    assert "-25.0 points" in fallen.words
    assert kept.passed


def test_less_is_better_is_turned(project: Project) -> None:
    values = {
        "champion": {"perplexity": [20.0 + n % 3 for n in range(40)]},
        "candidate": {"perplexity": [10.0 + n % 3 for n in range(40)]},
    }
    run, target = pair(project, EVEN[:40], EVEN[:40], metrics=("exact", "perplexity"), others=values)
    a, b = (
        values_of(both(run, target), metrics_of(run)[1]).a,
        values_of(both(run, target), metrics_of(run)[1]).b,
    )
    assert sum(b) > sum(a)
    assert rails(run, target, ("perplexity", 0.05))[0].passed


def test_a_metric_that_was_not_measured_does_not_hold(project: Project) -> None:
    run, target = pair(project, EVEN, EVEN)
    assert "no metric tone" in rails(run, target, ("tone", 0.1))[0].words


def test_five_guardrails_are_corrected_together(project: Project) -> None:
    """What would just hold alone does not among five."""
    slight = [*marks(12, 200)]
    names = ("contains", "regex", "normalised", "numeric", "truncated")
    others = {
        "champion": {name: [0.0] * 200 for name in names},
        "candidate": dict.fromkeys(names, slight[::-1]),
    }
    run, target = pair(project, EVEN, EVEN, metrics=("exact", "truncated"), others=others)
    (alone,) = rails(run, target, ("truncated", 0.095))
    assert alone.numbers["p"] < 0.05


def test_without_a_champion_a_candidate_is_measured_by_what_it_grew_from(project: Project) -> None:
    """Anything looks good beside something bad."""
    run, target = pair(project, [0.0] * 20, [1.0] * 20, names=("junk", "candidate"))
    junk, base = run.targets.get(index=0), checkpoint(project, "base")
    assert production(junk, target).passed
    target.checkpoint.parent = base
    beside_junk = production(junk, target)
    assert beside_junk.passed is None
    assert "candidate did not grow from it; evaluate it against its base model" in beside_junk.words
    junk.checkpoint = base
    assert production(junk, target).passed
    target.checkpoint.parent = None
    assert production(junk, target).passed
    junk.checkpoint = checkpoint(project, "base", on="another")
    assert production(junk, target).passed is None


def test_what_is_in_production_must_be_what_it_was_measured_by(project: Project) -> None:
    run, target = pair(project, EVEN, EVEN)
    base = run.targets.get(index=0)
    assert production(base, target).passed
    type(base.checkpoint).objects.filter(pk=base.checkpoint_id).update(stage="production")
    assert production(base, target).passed
    type(base.checkpoint).objects.filter(pk=base.checkpoint_id).update(stage="archived")
    promoted(project, "newer")
    stale = production(base, target)
    assert not stale.passed
    assert "newer is in production, and this run measured against champion" in stale.words


def test_contamination_counts_the_cases_with_their_reasons(project: Project) -> None:
    run, target = pair(project, EVEN, EVEN)
    case = run.suite.cases.first()
    assert case is not None
    gate = Gate(suite=run.suite)
    assert contamination(gate, run, target).passed
    run.facts["targets"]["1"]["dirty"] = {str(case.pk): "near"}
    dirty = contamination(gate, run, target)
    assert not dirty.passed
    assert "1 of 200 cases" in dirty.words
    assert contamination(Gate(suite=run.suite, contamination=0.01), run, target).passed
    del run.facts["targets"]["1"]["dirty"]
    assert "Not looked at yet" in contamination(gate, run, target).words
    target.checkpoint_id = None
    assert contamination(gate, run, target).passed is None
    assert contamination(Gate(suite=run.suite, contamination=1.0), run, target).passed


def test_only_judges_that_decide_are_asked_for_their_agreement(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = pair(project, EVEN, EVEN, metrics=("exact", "contains", "normalised"))
    for spec, judge in zip(run.spec["metrics"], (4, 5, 6), strict=True):
        spec["judge"] = judge
    asked = []

    def trusted_in(
        judged: EvalRun, number: int, threshold: float, *, about: str, scorer: int
    ) -> tuple[bool, str]:
        asked.append((number, threshold, about))
        return number != 5, f"agrees {number}"

    monkeypatch.setattr(trusting, "trusted_in", trusted_in)
    gate = Gate(suite=run.suite, guardrails=[{"metric": "contains", "margin": 0.1}], agreement=0.7)
    assert [each.passed for each in judges(gate, run, deciding(gate, metrics_of(run)))] == [True, False]
    assert asked == [(4, 0.7, "pairs"), (5, 0.7, "pairs")]


def test_how_a_judge_agrees_by_its_rubric_says_nothing_of_other_questions(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_place)
    run, _ = pair(project, EVEN, EVEN, metrics=("exact", "contains"))
    number = a_judge(project, "pairwise").pk
    gate = Gate(suite=run.suite, guardrails=[{"metric": "contains", "margin": 0.1}])
    for scorer, passed, words in (
        ("rubric", None, "contains: the judge is asked other questions than its rubric"),
        ("pairwise", False, "was not held against people yet"),
        ("groundedness", False, "was not held against people on groundedness: there are no reviews"),
    ):
        run.spec["metrics"][1] |= {"judge": number, "scorer": scorer}
        (found,) = judges(gate, run, deciding(gate, metrics_of(run)))
        assert found.passed is passed
        assert words in found.words


def test_a_champion_that_failed_to_answer_makes_no_candidate_good(project: Project) -> None:
    holes = [None if n < 20 else value for n, value in enumerate(EVEN)]
    run, target = pair(project, holes, EVEN)
    found = missing(Gate(suite=run.suite), both(run, target), metrics_of(run))
    assert not found.passed
    assert (
        "champion has no value of its own in exact on 20 of 200 cases (20 errors, 0 unscorable)"
        in found.words
    )


def lacking(run: EvalRun, target: RunTarget):
    """What is missing where contains is a guardrail."""
    gate = Gate(suite=run.suite, guardrails=[{"metric": "contains", "margin": 0.2}])
    return missing(gate, both(run, target), deciding(gate, metrics_of(run)))


def test_a_guardrail_is_not_held_by_the_few_cases_that_were_scored(project: Project) -> None:
    few = {"candidate": {"contains": [1.0] * 20 + [None] * 180}}
    run, target = pair(project, EVEN, EVEN, metrics=("exact", "contains"), others=few)
    assert missing(Gate(suite=run.suite), both(run, target), metrics_of(run)[:1]).passed
    found = lacking(run, target)
    assert not found.passed
    assert found.numbers == {"share": 0.9}
    assert "candidate has no value of its own in contains on 180 of 200 cases" in found.words


def test_a_guardrail_need_not_be_about_every_case(project: Project) -> None:
    """Where contains has nothing to read, neither can have a value."""
    values = {name: {"contains": [1.0] * 20 + [None] * 180} for name in ("champion", "candidate")}
    run, target = pair(project, EVEN, EVEN, metrics=("exact", "contains"), others=values)
    CaseScore.objects.filter(metric="contains", state="error").update(state="unscorable")
    found = lacking(run, target)
    assert found.passed
    assert found.words.endswith("on all cases: 200 of exact, 20 of contains.")
    KEPT.clear()
    CaseScore.objects.filter(metric="contains", result__target=target).update(state="unscorable")
    assert "candidate has no value of its own in contains on 20 of 20" in lacking(run, target).words


def test_the_baseline_lacks_no_value_of_a_metric_against_itself(project: Project) -> None:
    values = {name: {"pairwise": [0.75] * 20} for name in ("champion", "candidate")}
    run, target = pair(project, EVEN[:20], EVEN[:20], metrics=("pairwise", "exact"), others=values)
    CaseScore.objects.filter(metric="pairwise", result__target__index=0).update(state="unscorable")
    assert missing(Gate(suite=run.suite), both(run, target), metrics_of(run)).passed


def test_a_gate_may_ask_for_sealed_cases(project: Project) -> None:
    run, _ = pair(project, EVEN[:10], EVEN[:10])
    assert sealed(Gate(suite=run.suite), run) is None
    asks = Gate(suite=run.suite, needs_sealed=True)
    found = sealed(asks, run)
    assert found is not None
    assert not found.passed
    run.split = "sealed"
    held = sealed(asks, run)
    assert held is not None
    assert held.passed
    assert checkpoint(project, "x").name == "x"
