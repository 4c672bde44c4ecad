"""Emma asks failing cases again with other contexts, and learns which stage is to blame."""

from functools import partial
from typing import Any

import pytest
from django.urls import reverse

from evaluation.errors.attribution import Arms, holds, stage_of, use_of
from evaluation.errors.blame import Blame, agreement, arms_of, blames, is_over, measured_stages
from evaluation.errors.failures import start_analysis
from evaluation.errors.interventions import ARMS, plan_intervention
from evaluation.errors.table import Read
from evaluation.execution import drive
from evaluation.models import Analysis, Case, CaseResult, CaseScore, EvalRun, Intervention, Output
from evaluation.planning import plan_evaluation
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import finished, passing
from tests.evaluation.planned import tuned
from tests.evaluation.planted import EACH, FAULTS, corpus, fault_of, tanks

pytestmark = pytest.mark.django_db


def analysed(project: Project, cases: int = sum(EACH.values())) -> Analysis:
    """The planted corpus, answered with the retrieved contexts, and its failures drawn."""
    run = plan_evaluation(
        project=project,
        suite=corpus(project, cases),
        checkpoints=[tuned(project)],
        person=None,
        engine="fake",
        contexts="retrieved",
    )
    drive(run)
    run.refresh_from_db()
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    return start_analysis(run=run, target=run.targets.get(index=1), person=None)


def carried(found: Intervention) -> dict[str, EvalRun]:
    for run in arms_of(found).values():
        drive(run)
    arms = arms_of(found)
    assert [run.status for run in arms.values()] == [Status.SUCCEEDED] * 4
    return arms


def planted(found: list[Blame]) -> list[tuple[str, str]]:
    """(planted, blamed) of each case."""
    positions = dict(Case.objects.filter(pk__in=[each.case for each in found]).values_list("pk", "position"))
    return [(fault_of(positions[each.case]), each.stage) for each in found]


def test_planted_faults_are_blamed_on_their_stage(
    project: Project, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tanks(monkeypatch)
    analysis = analysed(project)
    assert analysis.failing == sum(count for fault, count in EACH.items() if fault != "fine")
    before = len(asked)
    whole = plan_intervention(analysis=analysis, person=emma, scope="whole")
    assert not is_over(arms_of(whole))
    carried(whole)
    cases = analysis.evaluated
    assert len(asked) - before == 3 * cases  # the retrieved arm has all its answers already

    found = blames(whole)
    pairs = planted(found)
    right = sum(fault == stage for fault, stage in pairs) / len(pairs)
    assert len(pairs) == analysis.failing
    assert 0.95 <= right < 1.0  # a contradiction that names what it denies is read as a fault of form
    stages = {row.key: row for row in measured_stages(whole, found)}
    for fault in FAULTS[1:]:
        ceiling = stages[fault].ceiling
        assert ceiling is not None
        assert ceiling.low <= EACH[fault] / cases <= ceiling.high
        assert stages[fault].measured is (fault in ("retrieval", "ranking"))


def test_a_sample_of_failures_measures_the_same_ceilings_less_surely(
    project: Project, emma: User, leo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tanks(monkeypatch)
    analysis = analysed(project, 60)
    sample = plan_intervention(analysis=analysis, person=emma, count=24)
    at = reverse("evaluation:intervention", args=[project.slug, analysis.pk, sample.pk])
    waiting = world.sign_in(leo).get(at).text
    assert "every 3s" in waiting
    assert "The stages stand here when all four arms have ended" in waiting
    arms = carried(sample)
    assert {name: run.spec["contexts"] for name, run in arms.items()} == {name: name for name in ARMS}
    assert all(len(run.spec["only"]) == 24 == run.results.count() for run in arms.values())
    found = blames(sample)
    assert [each.case for each in sorted(found, key=lambda each: analysis.order.index(each.case))] == (
        analysis.order[:24]
    )
    retrieval = next(row for row in measured_stages(sample, found) if row.key == "retrieval")
    assert retrieval.ceiling is not None
    assert retrieval.ceiling.low <= 12 / analysis.evaluated <= retrieval.ceiling.high
    page = world.sign_in(leo).get(at)
    assert page.status_code == 200
    assert "Retrieval: what holds the answer was not found" in page.text
    assert "every 3s" not in page.text
    assert f"/?a=0&amp;b={analysis.target.index}&amp;metric={analysis.metric}" in page.text
    told = world.sign_in(leo).get(reverse("api-intervention", args=[project.slug, analysis.pk, sample.pk]))
    listed = world.sign_in(leo).get(reverse("api-interventions", args=[project.slug, analysis.pk])).json()
    whole = world.sign_in(leo).get(reverse("api-analysis", args=[project.slug, analysis.pk])).json()
    assert [each["id"] for each in listed["results"]] == whole["interventions"]
    assert sample.pk in whole["interventions"]
    assert [arm["status"] for arm in told.json()["arms"]] == ["succeeded"] * 4
    assert told.json()["stages"][0]["ceiling"]["value"] == pytest.approx(retrieval.ceiling.value)


def test_a_second_click_plans_no_second_intervention(
    project: Project, emma: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tanks(monkeypatch)
    analysis, client = analysed(project, 15), world.sign_in(emma)
    at = reverse("evaluation:intervention_new", args=[project.slug, analysis.pk])
    asked = {"scope": "failing", "count": 5, "seed": 0}
    first, second = client.post(at, asked), client.post(at, asked)
    assert (first.url, Intervention.objects.count(), EvalRun.objects.count()) == (second.url, 1, 5)
    client.post(at, asked | {"seed": 1})
    assert Intervention.objects.count() == 2
    carried(Intervention.objects.earliest("pk"))
    assert client.post(at, asked).url != first.url  # it has ended: asked again, on purpose


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_get_one_intervention(
    project: Project, emma: User, leo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tanks(monkeypatch)
    analysis = analysed(project, 15)
    found = world.together(
        [partial(plan_intervention, analysis=analysis, person=who, count=5) for who in (emma, leo)]
    )
    assert (found[0], Intervention.objects.count(), EvalRun.objects.count()) == (found[1], 1, 5)


def test_a_case_that_got_no_answer_in_an_arm_blames_nobody(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tanks(monkeypatch)
    analysis = analysed(project, 15)
    sample = plan_intervention(analysis=analysis, person=None, count=5)
    arms = carried(sample)
    lost = CaseResult.objects.filter(run=arms["gold"], case=analysis.order[0])
    CaseScore.objects.filter(result__in=lost).update(state=CaseScore.State.ERROR, value=None)
    lost.update(output=None, error="It timed out.")
    assert [each.case for each in blames(sample) if each.stage == "unknown"] == analysis.order[:1]


def test_answers_in_arms_are_kept_apart_by_what_the_prompt_holds(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tanks(monkeypatch)
    analysis = analysed(project, 15)
    carried(plan_intervention(analysis=analysis, person=None, count=10))
    again = Output.objects.count()
    carried(plan_intervention(analysis=analysis, person=None, count=10))
    assert Output.objects.count() == again
    carried(plan_intervention(analysis=analysis, person=None, count=10, seed=5))
    assert Output.objects.count() > again  # another order is another question


@pytest.mark.parametrize(
    ("four", "found", "use", "stage"),
    [
        ((1, 1, 0, 1), True, "keeps", "passes"),
        ((0, None, 0, 0), False, "departs", "unknown"),
        ((0, 1, 0, 0), False, "keeps", "retrieval"),
        ((0, 1, 0, 0), True, "keeps", "ranking"),
        ((0, 0, 0, 1), True, "departs", "ranking"),
        ((0, 0, 0, 1), False, "departs", "grounding"),
        ((0, 0, 0, 0), True, "declines", "instruction"),
        ((0, 0, 1, 0), True, "keeps", "gold"),
        ((0, 0, 0, 0), True, "keeps", "instruction"),
        ((0, 0, 1, 0), True, "departs", "grounding"),
    ],
)
def test_the_first_row_of_the_rules_that_fits_counts(four: Any, found: bool, use: Any, stage: str) -> None:
    assert stage_of(Arms(*four, found=found, use=use)) == stage


def test_gold_is_found_in_chunks_that_are_cut_elsewhere() -> None:
    gold = ["The pump must be vented twice before it is started in winter."]
    assert holds([f"Chapter 4. {gold[0].upper()}  See also 5."], gold)
    assert holds(
        ["The pump must be vented twice before it is started", "before it is started in winter."], gold
    )
    assert not holds(["The pump must be vented once, after it was started in summer."], gold)
    assert not holds(["anything"], [])


@pytest.mark.parametrize(
    ("answer", "use"),
    [
        ("It holds 40 litres of diesel.", "keeps"),
        ("It holds 70 litres of diesel.", "departs"),
        ("Around noon, at the harbour.", "departs"),
        ("I don’t know.", "declines"),
        ("", "declines"),
    ],
)
def test_what_an_answer_did_with_the_gold_text_is_read_from_its_words(answer: str, use: str) -> None:
    assert use_of(answer, ["The tank holds 40 litres of diesel."], "How much does the tank hold?") == use


def test_people_and_measurement_agree_where_a_tag_names_the_stage() -> None:
    stages = {"missed": "retrieval", "form": "instruction"}
    reads = [Read(n, n, n, "", frozenset({"missed"} if n < 6 else {"form"}), 1.0) for n in range(10)]
    found = [Blame(n, "retrieval" if n < 8 else "passes", 1.0, (0, 1, 0, 0)) for n in range(10)]
    said = agreement(reads, found, stages)
    assert said.same is not None
    assert (said.same.value, said.same.n) == (0.75, 8)
    assert said.grid == [("Retrieval", [6]), ("Instruction", [2])]


def test_what_cannot_be_asked_again_is_refused(project: Project, emma: User) -> None:
    run = finished(project, {"base": passing(0.5), "step": passing(0.5, 1)}, cases=20)
    analysis = start_analysis(run=run, target=run.targets.get(index=1), person=emma)
    with pytest.raises(Refused, match="No case of Support v1 has contexts"):
        plan_intervention(analysis=analysis, person=emma)
    assert not Intervention.objects.exists()
    assert EvalRun.objects.count() == 1
    with pytest.raises(Refused, match="3,000 failing cases"):
        plan_intervention(analysis=analysis, person=emma, count=3000)
    page = world.sign_in(emma).post(
        reverse("evaluation:intervention_new", args=[project.slug, analysis.pk]),
        {"scope": "failing", "count": "20", "seed": "0"},
        follow=True,
    )
    assert "No case of Support v1 has contexts" in page.text
    told = world.sign_in(emma).post(reverse("api-interventions", args=[project.slug, analysis.pk]), {})
    assert (told.status_code, Intervention.objects.count()) == (422, 0)
