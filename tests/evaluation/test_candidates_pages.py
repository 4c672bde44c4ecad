"""The pages and the API of generated answers."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from evaluation.candidates import carry_generation, start_generation
from evaluation.models import Endpoint, Generation
from evaluation.outlook import Wanted
from evaluation.prompts import from_items
from labeling.lifecycle import Status
from labeling.models import Project, Task
from tests import world
from tests.evaluation.planned import Bill, a_suite, tuned
from tests.training.runs import root_checkpoint
from training.models import Checkpoint

HTMX = {"HX-Request": "true"}


pytestmark = pytest.mark.usefixtures("bill")


@pytest.fixture
def root(db: None) -> Checkpoint:
    return root_checkpoint("tiny")


def client(name: str) -> Client:
    return world.sign_in(world.person(name))


def there(name: str, project: Project, *args: int) -> str:
    return reverse(f"evaluation:{name}", args=[project.slug, *args])


def queued(project: Project, count: int = 4) -> Generation:
    world.fill(project, count)
    wanted = Wanted(checkpoints=[root_checkpoint("tiny"), tuned(project)], engine="transformers")
    prompts = from_items(project=project)
    return start_generation(project=project, prompts=prompts, wanted=wanted, person=world.person("emma"))


def form(root: Checkpoint, **changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "checkpoints": [root.pk],
        "source": "all",
        "count": 50,
        "samples": 3,
        "temperatures": "0.7",
        "grouping": "once",
        "engine": "transformers",
        "max_tokens": 64,
        "top_p": 1.0,
        "seed": 0,
    }
    return values | changes


def test_strangers_get_404_annotators_403_and_leads_may_look(project: Project) -> None:
    generation = queued(project)
    for name, args in (("generations", ()), ("generation", (generation.pk,))):
        assert client("mallory").get(there(name, project, *args)).status_code == 404
        assert client("ben").get(there(name, project, *args)).status_code == 403
        assert client("leo").get(there(name, project, *args)).status_code == 200
    for name, args in (
        ("generation_new", ()),
        ("generation_cancel", (generation.pk,)),
        ("generation_resume", (generation.pk,)),
    ):
        for who, code in (("mallory", 404), ("ben", 403), ("cleo", 403), ("leo", 403)):
            assert client(who).post(there(name, project, *args)).status_code == code


def test_emma_is_told_what_it_would_take_before_anything_is_asked(
    project: Project, root: Checkpoint, bill: Bill
) -> None:
    world.fill(project, 10)
    endpoint = Endpoint.objects.create(
        project=project, name="Dear", url="https://x/v1", model="m", price_in=1000.0, price_out=1000.0
    )
    values = form(root, action="estimate", endpoints=[endpoint.pk])
    answer = client("emma").post(there("generation_new", project), values, headers=HTMX)
    words = answer.content.decode()
    assert "<html" not in words
    assert 'id="outlook"' in words
    assert "<dt>Answers</dt><dd>60</dd>" in words
    assert "<dt>Items, at most</dt><dd>30</dd>" in words
    assert "Cost, at most about" in words
    assert not Generation.objects.exists()
    assert bill.asked == []


def test_emma_generates_and_follows_it_to_the_items(project: Project, root: Checkpoint) -> None:
    world.fill(project, 5)
    emma = client("emma")
    address = emma.post(there("generation_new", project), form(root)).headers["Location"]
    generation = Generation.objects.get()
    assert address == there("generation", project, generation.pk)
    assert "every 3s" in emma.get(address).content.decode()
    carry_generation(generation)
    over = emma.get(address, headers=HTMX).content.decode()
    generation.refresh_from_db()
    assert generation.status == Status.SUCCEEDED
    assert generation.made
    assert "every 3s" not in over
    assert "The new items" in over
    assert "Question 1?" in over
    assert generation.name in emma.get(there("generations", project)).content.decode()


def test_a_file_of_prompts_is_sent_and_its_bad_rows_are_listed(project: Project, root: Checkpoint) -> None:
    file = SimpleUploadedFile("mine.jsonl", world.json_lines({"prompt": "Why?"}, {"nothing": 1}))
    emma = client("emma")
    address = emma.post(there("generation_new", project), form(root, source="file", file=file)).headers[
        "Location"
    ]
    generation = Generation.objects.get()
    assert (generation.prompts, generation.name) == (1, "tiny on mine.jsonl")
    page = emma.get(address).content.decode()
    assert "Rows without a prompt: 1" in page
    assert "nothing" in page


def test_prompts_of_a_suite_come_with_a_warning(project: Project, root: Checkpoint) -> None:
    suite = a_suite(project, cases=4)
    values = form(root, source="suite", suite=suite.pk, action="estimate")
    words = client("emma").post(there("generation_new", project), values, headers=HTMX).content.decode()
    assert "All of these prompts are used for evaluation" in words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkpoints": []}, "Choose at least one that answers."),
        ({"source": "file"}, "Choose the file with the prompts."),
        ({"temperatures": "warm"}, "are no numbers"),
        ({"samples": 1}, "Each prompt would get 1 answer"),
        ({"count": 0}, "0 is too little"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
@pytest.mark.parametrize("action", ["estimate", ""])
def test_what_is_wrong_is_said_in_the_form_and_beside_the_estimate(
    project: Project, root: Checkpoint, changes: dict[str, object], words: str, action: str
) -> None:
    world.fill(project, 3)
    headers = HTMX if action else {}
    values = form(root, action=action, **changes)
    answer = client("emma").post(there("generation_new", project), values, headers=headers)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Generation.objects.exists()


def test_without_items_or_models_the_page_says_what_to_do(project: Project) -> None:
    page = client("emma").get(there("generation_new", project)).content.decode()
    assert "No model is known yet" in page
    assert "No answers generated yet" in client("emma").get(there("generations", project)).content.decode()
    answer = client("emma").post(there("generation_new", project), form(root_checkpoint("tiny")))
    assert "There is no prompt among all items" in answer.content.decode()


def test_a_project_that_ranks_offers_all_answers_together(project: Project, root: Checkpoint) -> None:
    Project.objects.update(task=Task.RANKING)
    page = client("emma").get(there("generation_new", project)).content.decode()
    assert "All answers to a prompt together" in page
    Project.objects.update(task=Task.PAIRWISE)
    page = client("emma").get(there("generation_new", project)).content.decode()
    assert "All answers to a prompt together" not in page


def test_a_generation_is_stopped_gone_on_with_and_begun_again(project: Project) -> None:
    generation = queued(project)
    emma = client("emma")
    emma.post(there("generation_cancel", project, generation.pk))
    assert "It was stopped" in emma.get(there("generation", project, generation.pk)).content.decode()
    emma.post(there("generation_resume", project, generation.pk))
    generation.refresh_from_db()
    assert generation.status == Status.QUEUED
    again = emma.get(there("generation_new", project) + f"?from={generation.pk}").content.decode()
    assert 'name="temperatures" value="0.7"' in again


def test_the_api_generates_too(project: Project, root: Checkpoint) -> None:
    world.fill(project, 4)
    place, emma = f"/api/v1/projects/{project.slug}/generations/", client("emma")
    body = {"checkpoints": ["tiny"], "samples": 2, "temperatures": [0.9], "sampling": {"max_tokens": 32}}
    body["engine"] = "transformers"
    made = emma.post(place, body, content_type="application/json")
    assert made.status_code == 202, made.content
    one = f"{place}{made.json()['id']}/"
    assert emma.post(f"{one}cancel/").json()["status"] == "cancelled"
    assert emma.post(f"{one}resume/").json()["status"] == "queued"
    carry_generation(Generation.objects.get())
    found = emma.get(one).json()
    assert found["status"] == "succeeded", found["error"]
    assert found["made"] > 0
    assert found["spec"]["sampling"]["max_tokens"] == 32
    refused = emma.post(place, {**body, "samples": 1}, content_type="application/json")
    assert refused.status_code == 422
    assert "an item needs 2" in refused.json()["detail"]
    rows = {**body, "prompts": "rows", "rows": [{"prompt": "Why?"}, {"nothing": 1}, {"prompt": "How?"}]}
    sent = emma.post(place, rows, content_type="application/json").json()
    assert (sent["prompts"], sent["facts"]["refused"], sent["facts"]["row_errors"][0][0]) == (2, 1, 2)
    none = emma.post(place, {**rows, "rows": []}, content_type="application/json")
    assert none.json()["detail"] == "There is no prompt among rows of the API of Helpfulness; choose others."
    for who, code in (("mallory", 404), ("ben", 403)):
        assert client(who).get(place).status_code == code
        assert client(who).post(place, body, content_type="application/json").status_code == code
