"""The pages and the API of judges: who may see and do what, and what the pages say."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from evaluation.engines import ENGINES
from evaluation.engines.fake import FakeEngine
from evaluation.judging import carry_card, start_check
from evaluation.models import AgreementCard, Endpoint, Judge, JudgeVersion
from labeling.lifecycle import Status
from labeling.models import Project
from tests import world
from tests.evaluation.judged import a_judge, by_place, by_quality, decided, judge_by
from tests.training.runs import root_checkpoint

READ = ["judges", "judge", "agreement_card"]
WRITE = ["judge_new", "judge_version", "judge_check", "judge_archive", "card_cancel", "card_resume"]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "fake", FakeEngine)


@pytest.fixture
def version(project: Project) -> JudgeVersion:
    return a_judge(project)


def client(name: str) -> Client:
    return world.sign_in(world.person(name))


def checked(version: JudgeVersion, count: int = 60) -> AgreementCard:
    data = decided(version.judge.project, count)
    card = start_check(version=version, dataset_version=data, limit=20, person=world.person("emma"))
    carry_card(card)
    card.refresh_from_db()
    assert card.status == Status.SUCCEEDED, card.error
    return card


def address(name: str, version: JudgeVersion, card: int = 0) -> str:
    slug, own = version.judge.project.slug, version.judge_id
    if name in ("judges", "judge_new"):
        return reverse(f"evaluation:{name}", args=[slug])
    return reverse(f"evaluation:{name}", args=[slug, card if "card" in name else own])


def posted(**changes: Any) -> dict[str, Any]:
    form = {"name": "Tone", "rubric": "Is it kind?", "answers": f"checkpoint:{root_checkpoint('tiny').pk}"}
    return {**form, "engine": "transformers", **changes}


def test_strangers_get_404_and_annotators_403(version: JudgeVersion) -> None:
    card = start_check(
        version=version, dataset_version=decided(version.judge.project, 26), limit=20, person=None
    )
    for name in (*READ, *WRITE):
        there = address(name, version, card.pk)
        send = "get" if name in READ or name in ("judge_new", "judge_version") else "post"
        assert getattr(client("mallory"), send)(there).status_code == 404, name
        assert getattr(client("ben"), send)(there).status_code == 403, name
        read = 200 if name in READ else 403
        assert getattr(client("leo"), send)(there).status_code == read, name


def test_emma_makes_a_judge_from_the_default_rubric(project: Project) -> None:
    root_checkpoint("tiny")
    emma = client("emma")
    there = reverse("evaluation:judge_new", args=[project.slug])
    assert "in both orders" in emma.get(there).content.decode()
    page = emma.get(f"{there}?kind=rubric").content.decode()
    assert "good = 1" in page
    assert "Judge whether the answer serves" in page
    answer = emma.post(f"{there}?kind=rubric", posted(labels="kind = 1\n\nrude = 0"))
    made = Judge.objects.get()
    assert answer.headers["Location"] == reverse("evaluation:judge", args=[project.slug, made.pk])
    assert made.kind == Judge.Kind.RUBRIC
    assert made.versions.get().labels == {"kind": 1.0, "rude": 0.0}
    assert "Is it kind?" in emma.get(answer.headers["Location"]).content.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": "kind"}, "is no word with a value"),
        ({"labels": "kind = 1"}, "there are 1 labels"),
        ({"rubric": " "}, "rubric is empty"),
        ({"answers": "checkpoint:99999"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_stands_in_the_form(project: Project, changes: dict[str, str], words: str) -> None:
    there = reverse("evaluation:judge_new", args=[project.slug])
    answer = client("emma").post(
        f"{there}?kind=rubric", posted(**{"labels": "kind = 1\nrude = 0", **changes})
    )
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Judge.objects.exists()


def test_where_no_model_is_known_the_page_says_what_to_do(project: Project) -> None:
    page = client("emma").get(reverse("evaluation:judge_new", args=[project.slug])).content.decode()
    assert "No model is known yet" in page
    assert "<textarea" not in page


def test_a_new_version_shows_what_changed_and_is_not_checked_yet(version: JudgeVersion) -> None:
    emma, project = client("emma"), version.judge.project
    checked(version)
    there = address("judge_version", version)
    form = emma.get(there)
    assert re.search(r'name="base"[^>]*value="1"', form.content.decode())
    values = posted(base="1", rubric="Is it right?\nAnd short?")
    emma.post(there, values)
    page = emma.get(address("judge", version)).content.decode()
    assert "What changed from version 1" in page
    assert "<ins>And short?</ins>" in page
    assert "not checked" in page
    assert "Cards of other versions do not count" in page
    late = client("ada").post(there, {**values, "rubric": "Ada's own"})
    assert late.status_code == 409
    assert "saved version 2 while you were writing" in late.content.decode()
    assert "Ada&#x27;s own" in late.content.decode()
    client("ada").post(there, {**values, "rubric": "Ada's own", "base": "2"})
    assert Judge.objects.get(project=project).versions.count() == 3


def test_emma_checks_a_judge_and_the_page_follows_until_it_is_over(version: JudgeVersion) -> None:
    data, emma = decided(version.judge.project, 26), client("emma")
    values = {"against": f"pairs:{data.pk}", "limit": 20}
    there = emma.post(address("judge_check", version), values).headers["Location"]
    card = AgreementCard.objects.get()
    assert there == address("agreement_card", version, card.pk)
    live = emma.get(there).content.decode()
    assert 'hx-trigger="every 3s"' in live
    assert "Waiting for a worker" in live
    carry_card(card)
    over = emma.get(there, headers={"HX-Request": "true"}).content.decode()
    assert "every 3s" not in over
    assert "<html" not in over
    assert "All numbers" in over


def test_the_card_says_how_far_the_judge_agrees_and_where_not(
    version: JudgeVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_place)
    card = checked(version)
    page = client("emma").get(address("agreement_card", version, card.pk)).content.decode()
    assert "not trusted" in page
    assert "50 are needed" in page
    assert "Where judge and people differ: 20 pairs" in page
    assert page.count("it flipped with the order") == 10  # a page of them
    assert "People chose this" in page


def test_cleo_does_not_read_what_others_said_of_items_she_may_still_get(
    project: Project, version: JudgeVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_place)
    Project.objects.update(overlap=2)
    project.refresh_from_db()
    card = checked(version)
    page = client("cleo").get(address("agreement_card", version, card.pk)).content.decode()
    assert page.count("Hidden from you") == 10
    assert "People chose this" not in page
    assert (
        "People chose this" in client("leo").get(address("agreement_card", version, card.pk)).content.decode()
    )


def test_the_list_says_who_is_trusted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_by(monkeypatch, by_quality)
    good, unchecked = a_judge(project), a_judge(project, Judge.Kind.RUBRIC)
    card = start_check(version=good, dataset_version=decided(project), limit=60, person=None)
    carry_card(card)
    page = client("leo").get(address("judges", good)).content.decode()
    assert re.search(
        r"Correctness pairwise.*?1\.00 \[0\.\d+, 1\.00\], n 60.*?trusted.*?</tr>", page, re.DOTALL
    )
    assert "not checked" in page
    assert "not measured" in page
    client("emma").post(address("judge_archive", unchecked))
    page = client("emma").get(address("judges", good)).content.decode()
    assert "Put away" in page
    assert "Bring back" in page
    assert "not measured" not in page


def test_a_check_is_stopped_and_gone_on_with(version: JudgeVersion) -> None:
    card = start_check(
        version=version, dataset_version=decided(version.judge.project, 26), limit=20, person=None
    )
    emma = client("emma")
    emma.post(address("card_cancel", version, card.pk))
    assert "It was stopped" in emma.get(address("agreement_card", version, card.pk)).content.decode()
    emma.post(address("card_resume", version, card.pk))
    card.refresh_from_db()
    assert card.status == Status.QUEUED


def test_a_check_of_nonsense_is_refused_on_the_page(version: JudgeVersion) -> None:
    data = decided(version.judge.project, 26)
    emma = client("emma")
    answer = emma.post(
        address("judge_check", version), {"against": f"pairs:{data.pk}", "limit": 3}, follow=True
    )
    assert "3 is too little; give 20 or more" in answer.content.decode()
    assert not AgreementCard.objects.exists()


def test_the_api_makes_judges_and_checks_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_by(monkeypatch, by_quality)
    root_checkpoint("tiny")
    emma, place = client("emma"), f"/api/v1/projects/{project.slug}"
    body: dict[str, Any] = {
        "name": "Tone",
        "kind": "pairwise",
        "rubric": "Kind?",
        "checkpoint": "tiny",
        "engine": "fake",
    }
    made = emma.post(f"{place}/judges/", body, content_type="application/json")
    assert made.status_code == 201, made.content
    assert made.json()["trusted"] is False
    again = emma.post(
        f"{place}/judges/{made.json()['id']}/versions/",
        {**body, "rubric": "Kinder?", "base": 1},
        content_type="application/json",
    )
    assert again.json()["number"] == 2
    data = decided(project)
    body = {"version": again.json()["id"], "dataset_version": data.number, "limit": 60}
    card = emma.post(f"{place}/agreement-cards/", body, content_type="application/json")
    assert card.status_code == 202
    one = f"{place}/agreement-cards/{card.json()['id']}/"
    assert [emma.post(f"{one}{step}/").json()["status"] for step in ("cancel", "resume")] == [
        "cancelled",
        "queued",
    ]
    carry_card(AgreementCard.objects.get())
    found = emma.get(f"{place}/agreement-cards/{card.json()['id']}/").json()
    assert found["status"] == "succeeded"
    assert found["result"]["alpha"]["value"] == 1.0
    listed = emma.get(f"{place}/judges/").json()["results"][0]
    assert listed["trusted"] is True
    assert listed["versions"][0]["number"] == 2
    judge = f"{place}/judges/{listed['id']}/"
    for archived in (True, False):
        told = emma.patch(judge, {"archived": archived}, "application/json").json()
        assert (told["archived_at"] is not None) is archived
    refused = emma.post(f"{place}/agreement-cards/", {**body, "limit": 1}, content_type="application/json")
    assert refused.status_code == 422
    assert "choose 20 to 5,000" in refused.json()["detail"]


def test_the_api_keeps_strangers_and_annotators_out(version: JudgeVersion) -> None:
    Endpoint.objects.create(project=version.judge.project, name="E", url="https://x/v1", model="m")
    place = f"/api/v1/projects/{version.judge.project.slug}"
    for path in ("judges/", "agreement-cards/"):
        assert client("mallory").get(f"{place}/{path}").status_code == 404
        assert client("ben").get(f"{place}/{path}").status_code == 403
        assert client("leo").get(f"{place}/{path}").status_code == 200
        assert client("leo").post(f"{place}/{path}", {}).status_code == 403
