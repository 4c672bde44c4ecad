"""Emma's scripts compare, read cases, decide and send over the API; the views are called as the router would."""

from typing import Any

import pytest
from rest_framework.test import APIRequestFactory, force_authenticate

from evaluation import api_compare
from evaluation.models import Decision, Gate
from labeling.models import Item, Project, User
from tests import world
from tests.evaluation.finished import suite_of
from tests.evaluation.gating import EVEN, UP, pair, promoted

pytestmark = pytest.mark.django_db


def call(view: Any, who: User, project: Project, data: Any = None, *, query: str = "", **names: Any) -> Any:
    made = APIRequestFactory()
    request = made.get(f"/{query}") if data is None else made.post("/", data, format="json")
    force_authenticate(request, user=who)
    return view.as_view()(request, slug=project.slug, **names)


def test_emma_compares_by_script(project: Project, emma: User) -> None:
    run, _ = pair(project, EVEN, UP)
    found = call(api_compare.Compare, emma, project, query=f"?s={run.pk}.0&s={run.pk}.1&metric=exact").data
    assert found["exact"][0]["fixed"] == 50
    assert found["exact"][0]["standing"] == "better"
    refused = call(api_compare.Compare, emma, project, query=f"?s={run.pk}.0&s={run.pk}.1&metric=tone")
    assert refused.status_code == 422
    assert call(api_compare.Compare, emma, project, query="?s=1").status_code == 422


def test_what_cannot_be_compared_is_told_beside_what_can(project: Project, emma: User) -> None:
    metrics = {"metrics": ("exact", "pairwise"), "version": suite_of(project, 200)}
    one, _ = pair(project, EVEN, UP, **metrics)
    two, _ = pair(project, EVEN, UP, names=("champion", "other"), **metrics)
    far, _ = pair(project, EVEN, UP, names=("champion", "far"))
    query = f"?s={one.pk}.0&s={one.pk}.1&s={two.pk}.1&s={far.pk}.1"
    found = call(api_compare.Compare, emma, project, query=query).data
    assert [each.get("standing") for each in found["exact"]] == ["better", "better", None]
    assert "only the same cases can be paired" in found["exact"][2]["why"]
    assert [each.get("why", "")[:9] for each in found["pairwise"]] == ["", "pairwise ", "Support, "]
    refused = call(api_compare.Compare, emma, project, query=f"?s={one.pk}.0&s={far.pk}.1")
    assert refused.status_code == 422
    assert "only the same cases can be paired" in refused.data["detail"]


def test_emma_reads_cases_by_script(project: Project, emma: User) -> None:
    run, _ = pair(project, EVEN, UP)
    found = call(api_compare.RunCases, emma, project, query="?show=fixed", evaluation_id=run.pk).data
    assert found["count"] == 50
    assert found["cases"][0]["values"] == [0.0, 1.0]
    assert found["cases"][0]["preview"].startswith("Question")


def test_sealed_cases_are_found_by_their_words_for_owners_alone(
    project: Project, emma: User, ada: User
) -> None:
    run, _ = pair(project, EVEN, UP, version=suite_of(project, 200, sealed=200), split="sealed")
    for who, count in ((emma, 0), (ada, 11)):
        found = call(api_compare.RunCases, who, project, query="?q=Question+7", evaluation_id=run.pk).data
        assert found["count"] == count


def test_emma_decides_by_script_and_takes_it_back(project: Project, emma: User, ada: User) -> None:
    promoted(project, "champion")
    run, _ = pair(project, EVEN, UP)
    names = {"evaluation_id": run.pk, "index": 1}
    assert call(api_compare.GateVerdict, emma, project, **names).data["passed"]
    assert call(api_compare.GateVerdict, emma, project, evaluation_id=run.pk, index=0).status_code == 422
    despite = {"action": "promote", "despite": True, "reason": "x"}
    assert call(api_compare.GateVerdict, emma, project, despite, **names).status_code == 403
    made = call(api_compare.GateVerdict, emma, project, {"action": "promote"}, **names)
    assert made.status_code == 201
    assert made.data["champion"] == "champion"
    assert call(api_compare.GateVerdict, ada, project, {"action": "promote"}, **names).status_code == 422
    back = call(api_compare.RollBack, emma, project, {"reason": "Too long"}, checkpoint="candidate")
    assert back.data["action"] == "rolled_back"
    assert call(api_compare.Decisions, emma, project).data["count"] == Decision.objects.count() == 2


def test_emma_sends_cases_by_script(project: Project, emma: User) -> None:
    run, _ = pair(project, EVEN, UP)
    data = {
        "s": [f"{run.pk}.0", f"{run.pk}.1"],
        "cases": list(run.suite.cases.values_list("pk", flat=True)[:3]),
    }
    assert call(api_compare.Send, emma, project, data).data == {
        "new": 3,
        "duplicate": 0,
        "skipped": 0,
        "unfit": [],
        "left": {},
        "protected": 0,
    }
    assert Item.objects.count() == 3


def test_others_get_what_the_pages_give_them(project: Project, ben: User, leo: User, mallory: User) -> None:
    run, _ = pair(project, EVEN, UP)
    query = f"?s={run.pk}.0&s={run.pk}.1"
    assert call(api_compare.Compare, ben, project, query=query).status_code == 403
    assert call(api_compare.Compare, mallory, project, query=query).status_code == 404
    names = {"evaluation_id": run.pk, "index": 1}
    assert call(api_compare.GateVerdict, leo, project, {"action": "keep"}, **names).status_code == 403
    assert call(api_compare.Send, leo, project, {"s": [], "cases": []}).status_code == 403


def test_ada_sets_a_gate_by_script(project: Project, ada: User, emma: User) -> None:
    run, _ = pair(project, EVEN, UP)
    client, at = world.sign_in(ada), f"/api/v1/projects/{project.slug}/suites/{run.suite_id}/gate/"
    usual = client.get(at).json()
    assert (usual["alpha"], usual["changed_by"], Gate.objects.count()) == (0.05, None, 0)
    given = {"alpha": 0.01, "guardrails": [{"metric": "exact", "margin": 0.1}]}
    kept = client.patch(at, given, "application/json").json()
    assert (kept["alpha"], kept["guardrails"], kept["margin"]) == (0.01, given["guardrails"], usual["margin"])
    assert client.get(at).json() == kept
    for wrong, code in (
        ({"alpha": 0.9}, 422),
        ({"margin": "nan"}, 400),
        ({"guardrails": [{"metric": "charm", "margin": 0.1}]}, 422),
        ({"forgetting": run.suite_id}, 422),
    ):
        assert client.patch(at, wrong, "application/json").status_code == code, wrong
    assert world.sign_in(emma).patch(at, given, "application/json").status_code == 403
