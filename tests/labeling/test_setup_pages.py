"""The pages on which a project is set up: what they show, what they save, and what they say when they refuse."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from labeling.importing.batches import run_import, start_import
from labeling.models import Assignment, ImportBatch, Judgment, Project, Seat, Task, User
from labeling.projects import TEMPLATES, create_from_template
from labeling.queue import claim_next
from labeling.values import RatingAnswer
from tests import world

RULES = {
    "action": "rules", "name": "Helpfulness", "description": "", "task": "pairwise", "rationale": "off", "overlap": 1,
    "lease_minutes": 30, "daily_cap": "", "gold_share": 0, "gold_pass": 80, "repeat_share": 0, "repeat_after": 50,
}  # fmt: skip
TONE = {"key": "tone", "words": "Tone", "low": 1, "high": 5}


def url(name: str, project: Project, *more: Any) -> str:
    return reverse(f"labeling:{name}", args=[project.slug, *more])


@pytest.fixture
def client(project: Project, ada: User) -> Client:
    return world.sign_in(ada)


def rows(*attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes as the page's form sends them, with an empty row at the end."""
    sent = {
        "action": "attributes",
        "attribute-TOTAL_FORMS": len(attributes) + 1,
        "attribute-INITIAL_FORMS": 0,
    }
    for number, attribute in enumerate([*attributes, {}]):
        for name in ("key", "words", "low", "high"):
            sent[f"attribute-{number}-{name}"] = attribute.get(name, "")
    return sent


def test_a_new_project_comes_from_a_template_and_lands_on_its_set_up(ada: User) -> None:
    client = world.sign_in(ada)
    page = client.get(reverse("labeling:project_new"))
    assert all(template.label in page.text for template in TEMPLATES)
    made = client.post(
        reverse("labeling:project_new"), {"template": "ranking", "name": "Ranked answers", "overlap": 2}
    )
    project = Project.objects.get()
    assert (made.status_code, made.url) == (302, url("setup", project))  # type: ignore[attr-defined]
    assert (project.task, project.overlap) == (Task.RANKING, 2)
    assert "Rank any number of responses" in client.get(made["Location"]).text


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"template": "mystery"}, "not one of the available choices"),
        ({"overlap": 21}, "21 is too much; give 20 or less"),
        ({"overlap": 0}, "0 is too little; give 1 or more"),
        ({"name": "Helpfulness"}, "already a project at /p/helpfulness/"),
    ],
)
def test_a_project_that_cannot_be_comes_back_with_what_was_given(
    client: Client, sent: dict[str, Any], words: str
) -> None:
    reply = client.post(
        reverse("labeling:project_new"), {"template": "ranking", "name": "Mine", "overlap": 1, **sent}
    )
    assert reply.status_code == 422
    assert words in reply.text
    assert Project.objects.count() == 1


def test_ada_changes_rules_and_reads_what_became_of_the_items(client: Client, project: Project) -> None:
    world.fill(project, 4)
    changed = {
        **RULES,
        "overlap": 3,
        "lease_minutes": 2.5,
        "gold_share": 12.5,
        "daily_cap": 40,
        "ask_strength": "on",
    }
    saved = client.post(url("setup", project), changed, follow=True)
    assert "8 more judgments are wanted now" in saved.text
    project.refresh_from_db()
    assert (project.overlap, project.lease_seconds, project.gold_share) == (3, 150, 0.125)
    assert (project.daily_cap, project.ask_strength) == (40, True)
    page = client.get(url("setup", project)).text
    assert 'name="gold_share" value="12.5"' in page
    fewer = client.post(url("setup", project), {**changed, "overlap": 1}, follow=True)
    assert "8 judgments that nobody had begun are not wanted any more" in fewer.text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("overlap", 30, "30 is too much; give 20 or less"),
        ("lease_minutes", 0.1, "0.1 is too little; give 0.5 or more"),
        ("gold_share", 80, "80.0 is too much; give 50 or less"),
        ("repeat_share", 21, "give 20 or less"),
        ("daily_cap", 0, "0 is too little"),
        ("name", "", "This field is required"),
        ("overlap", "many", "Enter a whole number"),
    ],
)
def test_a_rule_out_of_bounds_says_so_at_its_field_and_nothing_is_saved(
    client: Client, project: Project, field: str, value: Any, words: str
) -> None:
    reply = client.post(url("setup", project), {**RULES, "description": "New", field: value})
    assert reply.status_code == 422
    assert words in reply.text
    assert "Nothing was saved. 1 field needs another value" in reply.text
    project.refresh_from_db()
    assert project.description == ""


def test_the_task_is_locked_with_its_reason_once_there_are_items(client: Client, project: Project) -> None:
    assert "Fixed, because" not in client.get(url("setup", project)).text
    world.fill(project, 2)
    assert "Fixed, because there are 2 items" in client.get(url("setup", project)).text
    client.post(url("setup", project), {**RULES, "task": "ranking"})
    project.refresh_from_db()
    assert project.task == Task.PAIRWISE


def test_items_with_a_number_of_their_own_change_only_when_they_are_meant(
    client: Client, project: Project
) -> None:
    first, _ = world.fill(project, 2)
    assert "every_item" not in client.get(url("setup", project)).text
    first.overlap = 2
    first.save()
    assert "1 items want another number" in client.get(url("setup", project)).text
    client.post(url("setup", project), {**RULES, "overlap": 3})
    assert sorted(project.items.values_list("overlap", flat=True)) == [2, 3]
    client.post(url("setup", project), {**RULES, "overlap": 3, "every_item": "on"})
    assert sorted(project.items.values_list("overlap", flat=True)) == [3, 3]


def test_attributes_are_edited_as_rows_and_taken_from_presets(client: Client, project: Project) -> None:
    assert "Attributes to rate" not in client.get(url("setup", project)).text
    Project.objects.update(task=Task.RATING, attributes=[TONE])
    client.post(url("setup", project), rows(TONE, {"words": "Great care", "low": 0, "high": 3}))
    project.refresh_from_db()
    assert [attribute["key"] for attribute in project.attributes] == ["tone", "great_care"]
    client.post(url("setup", project), {"action": "preset", "preset": "summary"})
    project.refresh_from_db()
    assert [attribute["words"] for attribute in project.attributes][:2] == ["Overall", "Accuracy"]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (rows({**TONE, "low": 5, "high": 1}), "Tone goes from 5 to 1"),
        (rows({**TONE, "low": "x"}), "Lowest: Enter a whole number"),
        (rows(), "no attribute; add at least one"),
        ({"action": "preset", "preset": "x"}, "The preset given is &#x27;x&#x27;"),
        ({"action": "attributes"}, "ManagementForm data is missing"),
    ],
)
def test_attributes_that_cannot_be_come_back_with_their_sentence(
    client: Client, project: Project, sent: dict[str, Any], words: str
) -> None:
    Project.objects.update(task=Task.RATING, attributes=[TONE])
    reply = client.post(url("setup", project), sent)
    assert reply.status_code == 422
    assert words in reply.text
    project.refresh_from_db()
    assert project.attributes == [TONE]


def test_an_attribute_that_was_rated_is_kept_by_the_page(client: Client, project: Project, ben: User) -> None:
    Project.objects.update(task=Task.RATING, attributes=[TONE])
    project.refresh_from_db()
    world.fill(project, 1)
    slot = claim_next(project=project, person=ben)
    assert slot is not None
    world.send(slot, ben, RatingAnswer(ratings={"tone": [1, 5]}))
    reply = client.post(url("setup", project), rows({**TONE, "high": 7}))
    assert (reply.status_code, "has been rated already" in reply.text) == (422, True)


def test_ada_pauses_and_resumes(client: Client, project: Project) -> None:
    paused = client.post(url("pause", project), {"action": "pause"}, follow=True)
    assert "Paused: no more items are given out" in paused.text
    assert "Resume" in paused.text
    resumed = client.post(url("pause", project), {"action": "resume", "back": "work"}, follow=True)
    assert resumed.redirect_chain[-1][0] == url("work", project)
    project.refresh_from_db()
    assert project.paused_at is None


@pytest.mark.parametrize("template", [template.key for template in TEMPLATES])
@pytest.mark.parametrize("filled", [False, True])
def test_the_preview_shows_what_an_annotator_sees_and_holds_and_stores_nothing(
    ada: User, template: str, filled: bool
) -> None:
    project = create_from_template(name="New", owner=ada, template=template)
    if filled:
        world.fill(project, 2)
    before = list(Assignment.objects.values()), Seat.objects.count(), Judgment.objects.count()
    page = world.sign_in(ada).get(url("project_preview", project))
    assert page.status_code == 200
    assert ("Answer one to 0" if filled else "basil") in page.text
    assert "<fieldset" in page.text
    assert "secret-model" not in page.text
    assert (list(Assignment.objects.values()), Seat.objects.count(), Judgment.objects.count()) == before


def test_the_preview_goes_through_the_items_and_stays_within_the_project(
    client: Client, project: Project
) -> None:
    first, second = world.fill(project, 2)
    (theirs,) = world.put(world.make_project("Another"), world.draft(50))
    page = client.get(url("project_preview", project)).text
    assert f"?item={second.pk}" in page
    assert "Question 1?" in client.get(url("project_preview", project) + f"?item={second.pk}").text
    for odd in (theirs.pk, "x", "9" * 40, "%00"):
        reply = client.get(url("project_preview", project) + f"?item={odd}")
        assert f"Item {first.pk}, as it would be shown" in reply.text


def test_people_are_removed_on_their_page_and_the_last_owner_stays(client: Client, project: Project) -> None:
    world.fill(project, 1)
    claim_next(project=project, person=world.person("ben"))
    gone = client.post(url("people", project), {"action": "remove", "username": "ben"}, follow=True)
    assert "ben is no longer here; their judgments stay. 1 item went back to the queue" in gone.text
    assert not project.memberships.filter(user__username="ben").exists()
    for name, words in (
        ("ada", "ada is the only owner"),
        ("ben", "not a member"),
        ("\0", "There is no user"),
    ):
        refused = client.post(url("people", project), {"action": "remove", "username": name})
        assert (refused.status_code, words in refused.text) == (422, True)


def test_a_file_is_uploaded_with_its_licence_and_scrubbed_where_that_is_wished(
    client: Client, project: Project
) -> None:
    file = SimpleUploadedFile("rows.jsonl", world.json_lines(world.good_row(1)))
    sent = {"file": file, "format": "auto", "licence": "CC-BY-4.0", "scrub": "on"}
    reply = client.post(url("imports", project), sent)
    batch = ImportBatch.objects.get()
    assert reply["Location"] == url("import", project, batch.pk)
    assert (batch.licence, batch.scrub) == ("CC-BY-4.0", True)
    run_import(batch)
    assert "scrubbed before it was stored" in client.get(url("import", project, batch.pk)).text
    assert "scrubbed" in client.get(url("imports", project)).text


def test_an_upload_that_is_refused_says_so_where_the_script_looks(client: Client, project: Project) -> None:
    reply = client.post(url("imports", project), {"format": "auto"})
    assert reply.status_code == 422
    assert 'id="upload"' in reply.text
    assert 'class="error"' in reply.text
    assert not ImportBatch.objects.exists()


def queued(project: Project) -> ImportBatch:
    file = SimpleUploadedFile("rows.jsonl", world.json_lines(world.good_row(1)))
    return start_import(project=project, file=file, filename="rows.jsonl", person=None)


def test_an_import_is_followed_while_it_runs_and_can_be_stopped(client: Client, project: Project) -> None:
    batch = queued(project)
    page = client.get(url("import", project, batch.pk))
    assert 'hx-trigger="every 2s"' in page.text
    assert "Waiting for a worker" in page.text
    batch.claim()
    ImportBatch.objects.update(new=1500, refused=2, progress=0.25)
    part = client.get(url("import", project, batch.pk), headers={"HX-Request": "true"})
    assert "1,502 rows read, 25 % of the file" in part.text
    client.post(url("import_cancel", project, batch.pk))
    assert "Stopping after the rows" in client.get(url("import", project, batch.pk)).text
    run_import(batch)
    ImportBatch.objects.update(status="cancelled")
    over = client.get(url("import", project, batch.pk)).text
    assert "hx-trigger" not in over
    assert "It was stopped" in over


def test_an_import_that_waits_is_stopped_at_once(client: Client, project: Project) -> None:
    batch = queued(project)
    client.post(url("import_cancel", project, batch.pk))
    batch.refresh_from_db()
    assert batch.status == "cancelled"
    assert client.get(url("import_cancel", project, batch.pk)).status_code == 405
    other = world.make_project("Another")
    assert client.post(url("import_cancel", other, batch.pk)).status_code == 404


def test_set_up_tells_what_is_still_missing(client: Client, project: Project) -> None:
    project.memberships.exclude(user__username="ada").delete()
    page = client.get(url("setup", project)).text
    assert "none yet: bring in a file" in page
    assert "invite some by a link" in page
    world.fill(project, 3)
    client.post(url("guidelines", project), {"text": "Be fair.", "base": 0})
    page = client.get(url("setup", project)).text
    assert "3 in" in page
    assert "version 1" in page
