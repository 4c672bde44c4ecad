"""What Emma, Leo and Ada see of comparisons, cases, gates and decisions; what Ben may not, nor Mallory know of."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from evaluation.models import CaseResult, Decision, EvalRun, Gate
from labeling.models import Item, Project, User
from tests import world
from tests.evaluation.finished import finished, suite_of
from tests.evaluation.gating import EVEN, UP, better, listed, marks, pair
from tests.evaluation.suites import filled
from training.models import Checkpoint

pytestmark = pytest.mark.django_db


def page(
    who: User, name: str, project: Project, *args: Any, status: int = 200, query: str = "", **headers: Any
) -> str:
    answer = world.sign_in(who).get(
        reverse(f"evaluation:{name}", args=[project.slug, *args]) + query, headers=headers
    )
    assert answer.status_code == status, answer.content.decode()[:2000]
    return answer.content.decode()


def send(who: User, name: str, project: Project, *args: Any, query: str = "", **values: Any) -> Any:
    return world.sign_in(who).post(reverse(f"evaluation:{name}", args=[project.slug, *args]) + query, values)


def test_leo_compares_two_targets_and_reads_one_sentence(project: Project, leo: User) -> None:
    run, _ = better(project)
    shown = page(leo, "compare", project, query=f"?s={run.pk}.0&s={run.pk}.1")
    assert "candidate is better than champion in exact" in shown
    assert "+25.0 points" in shown
    assert "both pass" in shown
    assert "by slice" in shown


def test_leo_is_offered_what_can_be_compared(project: Project, leo: User) -> None:
    assert "Nothing to compare yet" in page(leo, "compare", project)
    run, _ = better(project)
    shown = page(leo, "compare", project, query=f"?s={run.pk}.1")
    assert f'value="{run.pk}.1" selected' in shown


@pytest.mark.parametrize("query", ["?s=999.0&s=999.1", "?s=x&s=y", "?s=1.99&s=1.0"])
def test_leo_is_told_what_is_wrong_with_an_address(project: Project, leo: User, query: str) -> None:
    better(project)
    assert "notice warn" in page(leo, "compare", project, query=query)


def test_leo_is_told_why_two_runs_are_not_paired(project: Project, leo: User) -> None:
    one, _ = pair(project, EVEN, UP, version=suite_of(project, 200, name="January"))
    two, _ = pair(project, EVEN, UP, version=suite_of(project, 200, name="February"))
    shown = page(leo, "compare", project, query=f"?s={one.pk}.0&s={two.pk}.1")
    assert "only the same cases can be paired" in shown


def test_leo_compares_three_and_sees_all_letters(project: Project, leo: User) -> None:
    run = finished(project, {"a": listed(EVEN), "b": listed(UP), "c": listed(EVEN)}, cases=200)
    shown = page(leo, "compare", project, query=f"?s={run.pk}.0&s={run.pk}.1&s={run.pk}.2")
    assert "b is better than a in exact" in shown
    assert "the same value on all 200 cases" in shown


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 50),
        ("?show=fixed", 50),
        ("?show=broken", 0),
        ("?show=different&slice=billing", 17),
        ("?show=failing&page=2", 50),
        ("?q=Question+7", 11),
        ("?show=errors", 0),
        ("?page=4", 50),
        ("?page=999999999", 50),
        ("?a=1&b=1", 50),
        ("?a=9&b=-1&metric=none&sort=strange&show=strange&page=x", 50),
    ],
)
def test_leo_filters_the_cases_by_address(project: Project, leo: User, query: str, count: int) -> None:
    run, _ = better(project)
    shown = page(leo, "cases", project, run.pk, query=query)
    assert shown.count('class="clip"') == count
    assert ("No case fits" in shown) == (count == 0)


def test_htmx_gets_the_list_alone(project: Project, leo: User) -> None:
    run, _ = better(project)
    shown = page(leo, "cases", project, run.pk, **{"HX-Request": "true"})
    assert "<html" not in shown
    assert shown.count('class="clip"') == 50


def test_leo_reads_a_case_with_both_answers_and_goes_on_within_his_filter(
    project: Project, leo: User
) -> None:
    run, _ = better(project)
    fixed = [case for case in run.suite.cases.all() if case.position % 4 == 0]
    query = "?show=fixed&sort=order"
    shown = page(leo, "result_case", project, run.pk, fixed[1].pk, query=query)
    assert "<del>champion</del>" in shown
    assert "<ins>candidate</ins>" in shown
    for other in (fixed[0], fixed[2]):
        assert reverse("evaluation:result_case", args=[project.slug, run.pk, other.pk]) in shown
    assert "2 of those you filtered" in shown
    assert "Edit the case" not in shown
    assert "<del>" not in page(leo, "result_case", project, run.pk, fixed[1].pk, query=f"{query}&text=plain")


def test_leo_drills_from_the_verdict_to_the_candidate_that_it_speaks_of(project: Project, leo: User) -> None:
    run = finished(
        project, {"champion": listed(EVEN), "tuned": listed(UP), "other": listed(EVEN)},
        cases=200, metrics=("exact", "contains"), tags=lambda n: ["even" if n % 2 == 0 else "odd"],
    )  # fmt: skip
    shown = page(leo, "evaluation", project, run.pk, query="?target=1&slice=even")
    (better,) = re.findall(r'aria-label="Got better".*?</section>', shown, re.DOTALL)
    links = re.findall(r'href="([^"]*)', better)
    links += re.findall(r'href="([^"]*)"[^>]*>All cases', shown)
    assert len(links) == 7
    for link in links:
        assert {"a=0", "b=1", "metric=exact", "slice=even"} <= set(link.partition("?")[2].split("&amp;"))
    case = world.sign_in(leo).get(links[0].replace("&amp;", "&")).content.decode()
    assert re.findall(r'aria-label="Answer of (\w*)"', case)[:2] == ["champion", "tuned"]
    assert "1 of those you filtered" in case
    assert "metric=contains" in page(leo, "evaluation", project, run.pk, query="?target=1&metric=contains")


def test_leo_reads_three_answers_each_against_the_first(project: Project, leo: User) -> None:
    run = finished(project, {"a": listed(EVEN), "b": listed(UP), "c": listed(EVEN)}, cases=200)
    case = run.suite.cases.all()[0]
    query = f"?s={run.pk}.0&s={run.pk}.1&s={run.pk}.2"
    shown = page(leo, "result_case", project, run.pk, case.pk, query=query)
    assert re.findall(r"<del>(\w)</del><ins>(\w)</ins> says", shown) == [("a", "b"), ("a", "c")]
    assert "<ins>" not in page(leo, "result_case", project, run.pk, case.pk, query=f"{query}&text=plain")


def test_leo_reads_the_first_of_several_samples_against_the_first(project: Project, leo: User) -> None:
    run, _ = better(project)
    case = run.suite.cases.all()[0]
    for result in CaseResult.objects.filter(run=run, case=case).select_related("target"):
        CaseResult.objects.create(
            run=run, case=case, target=result.target, sample=1, output_id=result.output_id
        )
    shown = page(leo, "result_case", project, run.pk, case.pk)
    assert shown.count("<del>champion</del>") == shown.count("<ins>candidate</ins>") == 1
    assert "sample 2 of 2" in shown


def test_texts_of_a_case_are_never_run(project: Project, emma: User) -> None:
    run, target = better(project)
    case = run.suite.cases.all()[0]
    output = CaseResult.objects.get(run=run, case=case, target=target).output
    assert output is not None
    type(output).objects.filter(pk=output.pk).update(text="<script>alert(1)</script> <b>x</b>")
    for query in ("", "?text=plain"):
        shown = page(emma, "result_case", project, run.pk, case.pk, query=query)
        assert "<script>alert(1)" not in shown


def test_a_case_of_another_run_is_not_found(project: Project, leo: User) -> None:
    run, _ = better(project)
    other, _ = pair(project, EVEN, UP, version=suite_of(project, 200, name="Other"))
    case = other.suite.cases.all()[0]
    page(leo, "result_case", project, run.pk, case.pk, status=404)


def test_the_words_of_sealed_cases_are_for_owners(project: Project, emma: User, ada: User) -> None:
    version = suite_of(project, 200, sealed=200)
    run, _ = pair(project, EVEN, UP, version=version, split="sealed")
    case = version.suite.cases.all()[0]
    assert "Question 3?" not in page(emma, "cases", project, run.pk)
    page(emma, "result_case", project, run.pk, case.pk, status=403)
    assert "Question 3?" in page(ada, "cases", project, run.pk)
    for name, args in (("cases", [run.pk]), ("result_case", [run.pk, case.pk])):
        assert reverse("evaluation:suite_pick", args=[project.slug]) not in page(ada, name, project, *args)
    for who, found in ((emma, False), (ada, True)):
        shown = page(who, "cases", project, run.pk, query="?q=Question+3")
        assert ("No case fits" not in shown) == found
    assert send(emma, "send_cases", project, run.pk, case=case.pk).status_code == 422


def test_emma_sends_cases_to_labeling_after_she_was_told_what_follows(project: Project, emma: User) -> None:
    run, _ = better(project)
    keys = [case.pk for case in run.suite.cases.all()[:3]]
    shown = send(emma, "send_cases", project, run.pk, case=keys).content.decode()
    assert "Send 3 items" in shown
    assert not Item.objects.exists()
    answer = send(emma, "send_cases", project, run.pk, case=keys, sure="1")
    assert answer.status_code == 302
    assert Item.objects.count() == 3
    assert "Items already</dt><dd>3" in send(emma, "send_cases", project, run.pk, case=keys).content.decode()


def test_emma_sends_all_that_fit_her_filter(project: Project, emma: User) -> None:
    run, _ = better(project)
    assert (
        "Send 50 items"
        in send(emma, "send_cases", project, run.pk, query="?show=fixed", every="1").content.decode()
    )


def test_emma_picks_cases_of_a_run_and_of_a_comparison_for_a_suite(
    project: Project, emma: User, leo: User
) -> None:
    run, _ = better(project)
    cases = list(run.suite.cases.all()[:3])
    form = f'action="{reverse("evaluation:suite_pick", args=[project.slug])}"'
    for name, args, query in (
        ("cases", [run.pk], "?a=1&b=1"),
        ("compare", [], f"?s={run.pk}.0&s={run.pk}.1"),
        ("result_case", [run.pk, cases[2].pk], ""),
    ):
        assert form in page(emma, name, project, *args, query=query), name
        assert form not in page(leo, name, project, *args, query=query), name
    keys = [case.pk for case in cases]
    target = filled(project, 0, name="Regressions")
    assert send(emma, "suite_pick", project, case=keys, suite=target.pk).status_code == 302
    picked = target.cases.order_by("position")
    assert [case.uid for case in picked] == [case.uid for case in cases]
    assert send(leo, "suite_pick", project, case=keys, suite=target.pk).status_code == 403


def test_emma_is_told_what_stays_and_what_people_will_see(project: Project, emma: User) -> None:
    run = finished(project, {"a": listed(EVEN), "b": listed(UP), "c": listed(EVEN)}, cases=200)
    keys = [case.pk for case in run.suite.cases.all()[:3]]
    query = f"?s={run.pk}.0&s={run.pk}.1&s={run.pk}.2"
    shown = send(emma, "send_cases", project, run.pk, query=query, case=keys).content.decode()
    assert "judge the answers of a and b, without" in shown
    assert "3 answers of c stayed: a pair has two." in shown
    Project.objects.filter(pk=project.pk).update(task="rag")
    shown = send(emma, "send_cases", project, run.pk, query=query, case=keys).content.decode()
    assert "Send 9 items" in shown
    assert "Each answer is an item of its own" in shown
    assert "Send all 200" in page(emma, "cases", project, run.pk, query="?a=1&b=1")


@pytest.mark.parametrize("values", [{}, {"case": "x"}, {"case": "999999"}])
def test_nothing_marked_sends_nothing(project: Project, emma: User, values: dict[str, str]) -> None:
    run, _ = better(project)
    shown = send(emma, "send_cases", project, run.pk, sure="1", **values)
    assert shown.status_code == 422
    assert not Item.objects.exists()


def test_ada_sets_the_gate_in_points_and_emma_reads_it(project: Project, ada: User, emma: User) -> None:
    run, _ = better(project)
    values = {
        "alpha": "10", "margin": "3", "missing": "5", "contamination": "0", "agreement": "0.7",
        "forgetting_margin": "2", "rail_0": "4",
    }  # fmt: skip
    assert send(ada, "gate", project, run.suite_id, **values).status_code == 302
    gate = Gate.objects.get(suite=run.suite)
    assert (gate.alpha, gate.margin) == (0.1, 0.03)
    assert gate.guardrails == [{"metric": "exact", "margin": 0.04}]
    shown = page(emma, "gate", project, run.suite_id)
    assert "Owners of the project change the gate" in shown
    assert send(emma, "gate", project, run.suite_id, **values).status_code == 403
    refused = send(ada, "gate", project, run.suite_id, **{**values, "alpha": "0"})
    assert refused.status_code == 422
    assert "Alpha was given as 0" in refused.content.decode()


def decide(who: User, run: EvalRun, **values: Any) -> Any:
    return send(who, "gate_verdict", run.project, run.pk, 1, **values)


def test_emma_promotes_on_the_page_and_rolls_back(project: Project, emma: User) -> None:
    run, _ = better(project)
    champion = Checkpoint.objects.get(name="champion")
    shown = page(emma, "gate_verdict", project, run.pk, 1)
    assert "Every condition holds" in shown
    assert "Promote candidate" in shown
    answer = decide(emma, run, action="promote", production=champion.pk, decision="")
    made = Decision.objects.get()
    assert answer.url == reverse("evaluation:decision", args=[project.slug, made.pk])
    assert "Roll back to champion" in page(emma, "decision", project, made.pk)
    candidate = Checkpoint.objects.get(name="candidate")
    assert "champion, which was in production before it, comes back" in page(
        emma, "roll_back", project, candidate.pk
    )
    assert send(emma, "roll_back", project, candidate.pk, reason="").status_code == 422
    send(emma, "roll_back", project, candidate.pk, reason="It swears", back_to=champion.pk)
    champion.refresh_from_db()
    assert champion.stage == "production"
    assert "Rolled back" in page(emma, "decisions", project)


def test_what_fails_is_named_and_only_ada_may_go_on_despite_it(
    project: Project, emma: User, ada: User
) -> None:
    run, _ = pair(project, EVEN, EVEN)
    assert "does not hold" in page(emma, "gate_verdict", project, run.pk, 1)
    refused = decide(emma, run, action="promote")
    assert refused.status_code == 409
    assert "The gate does not pass" in refused.content.decode()
    assert decide(emma, run, action="promote", despite="1", reason="I want it").status_code == 403
    assert decide(ada, run, action="promote", despite="1").status_code == 409
    assert decide(ada, run, action="promote", despite="1", reason="The old one leaks").status_code == 302


def test_a_page_that_is_out_of_date_decides_nothing(project: Project, emma: User) -> None:
    run, _ = better(project)
    answer = decide(emma, run, action="keep", production="", decision="")
    assert answer.status_code == 409
    assert "By now champion is in production" in answer.content.decode()


@pytest.mark.parametrize(
    "values",
    [{}, {"action": "both"}, {"action": "keep", "production": "x"}, {"action": "keep", "reason": "x" * 400}],
)
def test_a_form_of_nonsense_decides_nothing(project: Project, emma: User, values: dict[str, str]) -> None:
    run, _ = better(project)
    assert decide(emma, run, **values).status_code == 409
    assert not Decision.objects.exists()


def test_the_baseline_has_no_gate(project: Project, leo: User) -> None:
    run, _ = better(project)
    assert "the baseline is what it is measured by" in page(leo, "gate_verdict", project, run.pk, 0)
    page(leo, "gate_verdict", project, run.pk, 7, status=404)


def test_leo_downloads_the_record(project: Project, emma: User, leo: User) -> None:
    run, _ = better(project)
    decide(emma, run, action="keep", production=Checkpoint.objects.get(name="champion").pk)
    made = Decision.objects.get()
    assert page(leo, "decision_file", project, made.pk, "md") == made.record
    answer = world.sign_in(leo).get(reverse("evaluation:decision_file", args=[project.slug, made.pk, "pdf"]))
    assert answer.content.startswith(b"%PDF")
    page(leo, "decision_file", project, made.pk, "doc", status=404)
    assert "Promote" not in page(leo, "gate_verdict", project, run.pk, 1)


def places(run: EvalRun) -> list[tuple[str, list[Any]]]:
    case, candidate = run.suite.cases.all()[0], Checkpoint.objects.get(name="candidate")
    made = Decision.objects.get()
    return [
        ("compare", []), ("cases", [run.pk]), ("result_case", [run.pk, case.pk]), ("gate", [run.suite_id]),
        ("gate_verdict", [run.pk, 1]), ("decisions", []), ("decision", [made.pk]),
        ("decision_file", [made.pk, "md"]), ("roll_back", [candidate.pk]),
    ]  # fmt: skip


def test_ben_is_refused_and_mallory_finds_nothing(
    project: Project, emma: User, ben: User, mallory: User
) -> None:
    run, _ = better(project)
    decide(emma, run, action="keep", production=Checkpoint.objects.get(name="champion").pk)
    for name, args in places(run):
        page(ben, name, project, *args, status=403)
        page(mallory, name, project, *args, status=404)
        assert Client().get(reverse(f"evaluation:{name}", args=[project.slug, *args])).status_code == 302


def test_another_project_leads_to_none_of_it(project: Project, emma: User) -> None:
    run, _ = better(project)
    decide(emma, run, action="keep", production=Checkpoint.objects.get(name="champion").pk)
    other = world.make_project("Other")
    for name, args in places(run):
        if args:
            page(emma, name, other, *args, status=404)


def test_leo_may_decide_and_send_nothing(project: Project, leo: User) -> None:
    run, _ = better(project)
    assert decide(leo, run, action="keep").status_code == 403
    assert send(leo, "send_cases", project, run.pk, case=run.suite.cases.all()[0].pk).status_code == 403
    assert send(leo, "roll_back", project, Checkpoint.objects.get(name="champion").pk).status_code == 403
    assert marks(1, 2) == [1.0, 0.0]
