"""Pages of suites and cases, as Emma (engineer), Ada (owner), Cleo (reviewer) and Mallory (stranger) see them."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evaluation.models import CaseImport, Suite
from evaluation.suites import freeze_version, history, living, remove_cases, run_import, seal
from labeling.models import Project, User
from tests import world
from tests.evaluation.browsed import Form
from tests.evaluation.suites import candidate, filled, finished_run, first, put
from tests.training.runs import judged_version, root_checkpoint

PAYLOAD = re.compile(r'"evaluation_case"\."(prompt|reference|rejected|contexts|checks)"')
HTMX = {"HTTP_HX_REQUEST": "true"}


def at(name: str, project: Project, *args: Any) -> str:
    return reverse(f"evaluation:{name}", args=[project.slug, *args])


def read(client: Client, address: str, **more: Any) -> str:
    answer = client.get(address, **more)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def suite(project: Project) -> Suite:
    return filled(project, 3)


@pytest.fixture
def as_emma(emma: User, project: Project) -> Client:
    return world.sign_in(emma)


def test_mallory_finds_no_suite_and_ben_may_not_see_them(suite: Suite, mallory: User, ben: User) -> None:
    for name, args in (("suites", ()), ("suite", (suite.pk,)), ("case", (suite.pk, "q0"))):
        assert world.sign_in(mallory).get(at(name, suite.project, *args)).status_code == 404
        assert world.sign_in(ben).get(at(name, suite.project, *args)).status_code == 403


def test_a_suite_of_another_project_is_not_found_by_its_number(
    suite: Suite, ada: User, project: Project
) -> None:
    other = filled(world.make_project("Elsewhere"), 1)
    assert world.sign_in(ada).get(at("suite", project, other.pk)).status_code == 404


def test_an_empty_list_says_what_suites_are_for(as_emma: Client, project: Project) -> None:
    assert "No suite yet" in read(as_emma, at("suites", project))
    filled(project, 2)
    assert "Support questions" in read(as_emma, at("suites", project), **HTMX)
    assert "No suite here" in read(as_emma, at("suites", project) + "?q=nothing")


def test_cleo_reads_and_changes_nothing(suite: Suite, cleo: User) -> None:
    client = world.sign_in(cleo)
    page = read(client, at("suite", suite.project, suite.pk))
    assert "Question 0?" in page
    assert "data-bulk" not in page
    assert (
        client.post(at("suite", suite.project, suite.pk), {"do": "remove", "case": "q0"}).status_code == 403
    )
    assert client.post(at("suite_freeze", suite.project, suite.pk)).status_code == 403
    assert client.get(at("suite_new", suite.project)).status_code == 403


def test_emma_makes_a_suite_of_a_file_and_reads_what_was_refused(as_emma: Client, project: Project) -> None:
    file = SimpleUploadedFile("cases.csv", b"prompt,reference\nWhy?,So.\n,nothing\n")
    sent = as_emma.post(at("suite_new", project), {"way": "file", "name": "Mine", "file": file})
    batch = CaseImport.objects.get()
    assert sent["Location"] == at("suite_import", project, batch.suite_id, batch.pk)
    assert "Waiting for a worker" in read(as_emma, sent["Location"])
    run_import(batch)
    page = read(as_emma, sent["Location"])
    assert "there is no prompt among the fields (reference)" in page
    assert "hx-trigger" not in page.split('id="report"')[1].split(">")[0]
    assert "cases.csv" in read(as_emma, at("suite_imports", project, batch.suite_id))


def test_emma_makes_suites_of_held_out_rows_and_of_nothing(as_emma: Client, project: Project) -> None:
    assert "Freeze a dataset version first" in read(as_emma, at("suite_new", project) + "?way=split")
    version = judged_version(project)
    values = {"way": "split", "version": version.pk, "split": "test"}
    sent = as_emma.post(at("suite_new", project) + "?way=split", values)
    made = Suite.objects.get()
    assert sent["Location"] == at("suite", project, made.pk)
    assert as_emma.post(at("suite_new", project), {"way": "empty", "name": "Mine"}).status_code == 302
    again = as_emma.post(at("suite_new", project), {"way": "empty", "name": "Mine"})
    assert again.status_code == 422
    assert "There is a suite named Mine" in again.content.decode()


def test_a_suite_of_one_case_says_what_it_cannot_tell(as_emma: Client, project: Project) -> None:
    page = read(as_emma, at("suite", project, filled(project, 1).pk))
    assert "nothing about which checkpoint is better" in page
    assert "<p>1 case</p>" in page


def test_the_page_tells_power_wear_and_versions(as_emma: Client, project: Project) -> None:
    suite = filled(project, 100)
    version, base = freeze_version(suite=suite, person=None), root_checkpoint()
    for n in range(3):
        finished_run(version, base, candidate(project, base, f"c{n}"))
    page = read(as_emma, at("suite", project, suite.pk))
    assert "±12.5 points" in page
    assert "By the spread of 3 comparisons on this suite" in page
    assert "3 candidates were scored on it" in page
    assert "Version 1 is frozen; the next change opens version 2." in page


def test_the_planner_answers_in_its_place(as_emma: Client, suite: Suite) -> None:
    address = at("suite", suite.project, suite.pk) + "?difference=5&power=80&flips=20"
    page = read(as_emma, address, **HTMX, HTTP_HX_TARGET="planner")
    assert page.lstrip().startswith('<form id="planner"')
    assert "626 cases." in page
    assert "623 more than there are." in page
    assert "626 cases." in read(as_emma, address)
    wrong = read(as_emma, address.replace("=5&", "=500&"), **HTMX, HTTP_HX_TARGET="planner")
    assert "500" in wrong
    assert "is too much; give" in wrong


def test_emma_tags_many_cases_and_takes_it_back(as_emma: Client, suite: Suite) -> None:
    address = at("suite", suite.project, suite.pk)
    page = as_emma.post(address, {"do": "tag", "tags": "refund", "case": ["q0", "q1"]}, **HTMX)
    words = page.content.decode()
    assert "Tagged 2 cases with refund." in words
    undone = re.search(r'name="undone" value="([^"]+)"', words)
    assert undone is not None
    as_emma.post(address, {"do": "undo:untag", "undone": undone[1], "undo_tags": "refund"}, **HTMX)
    assert [case.tags for case in living(suite)] == [[], [], []]


def test_emma_removes_all_that_fit_and_brings_them_back(as_emma: Client, suite: Suite) -> None:
    address = at("suite", suite.project, suite.pk)
    as_emma.post(address + "?q=Question+1", {"do": "remove", "all": "1"})
    assert living(suite).count() == 2
    assert "Question 1?" in read(as_emma, address + "?split=removed")
    assert "This case was removed" in read(as_emma, at("case", suite.project, suite.pk, "q1"))
    as_emma.post(address + "?split=removed", {"do": "restore", "case": "q1"})
    assert living(suite).count() == 3
    nothing = as_emma.post(address, {"do": "remove"})
    assert nothing.status_code == 422
    assert "No case was marked" in nothing.content.decode()


def test_sealed_texts_are_shown_to_owners_only(as_emma: Client, ada: User, suite: Suite) -> None:
    project = suite.project
    as_emma.post(at("suite", project, suite.pk), {"do": "seal", "case": "q0"})
    places = [
        at("suite", project, suite.pk),
        at("case", project, suite.pk, "q0"),
        at("suite_diff", project, suite.pk),
    ]
    freeze_version(suite=suite, person=None)
    for address in places[:2]:
        assert "Question 0?" not in read(as_emma, address)
        assert "Question 0?" in read(world.sign_in(ada), address)
    remove_cases(suite=suite, uids=["q0"], person=None)
    assert "Question 0?" not in read(as_emma, places[2])
    assert "Question 0?" not in read(as_emma, places[0] + "?split=removed")
    assert "Question 0?" in read(world.sign_in(ada), places[2])


def test_emma_is_told_that_a_copy_of_a_sealed_prompt_came_under_seal(as_emma: Client, suite: Suite) -> None:
    seal(suite=suite, uids=["q0"], person=None)
    words = "Put under seal: it was sealed before, or shares its prompt or cluster with a sealed case."
    copy = {"role": "user", "content": "question 0?", "weight": "1"}
    added = as_emma.post(at("case_new", suite.project, suite.pk), copy, follow=True)
    assert f"Added as case 4. {words}" in added.content.decode()
    edited = as_emma.post(at("case", suite.project, suite.pk, "q1"), copy, follow=True)
    assert f"Saved. {words}" in edited.content.decode()
    assert living(suite).filter(sealed=True).count() == 3


def test_the_download_leaves_sealed_cases_out(as_emma: Client, ada: User, suite: Suite) -> None:
    seal(suite=suite, uids=["q0"], person=ada)
    address = at("suite_file", suite.project, suite.pk)
    emmas, adas = (
        b"".join(client.get(address).streaming_content) for client in (as_emma, world.sign_in(ada))
    )
    assert (emmas.count(b"\n"), adas.count(b"\n")) == (2, 3)
    assert b'"id": "q1"' in emmas


def test_only_an_owner_opens_a_seal(as_emma: Client, ada: User, suite: Suite) -> None:
    seal(suite=suite, uids=["q0"], person=ada)
    address = at("suite", suite.project, suite.pk)
    values = {"do": "unseal", "case": "q0", "reason": "the answer was wrong"}
    assert as_emma.post(address, values).status_code == 403
    world.sign_in(ada).post(address, values)
    assert not first(suite).sealed
    assert "Unsealed: the answer was wrong" in read(as_emma, at("case", suite.project, suite.pk, "q0"))


def fields(suite: Suite, **changes: Any) -> dict[str, Any]:
    return {"base": first(suite).pk, "role": "user", "content": "Question 0?", "weight": "1", **changes}


def test_emma_edits_a_case_and_its_history_grows(as_emma: Client, suite: Suite) -> None:
    address = at("case", suite.project, suite.pk, "q0")
    sent = as_emma.post(address, fields(suite, reference="So.", tags="a, b", context="A text", note="better"))
    assert sent["Location"] == address
    case = first(suite)
    assert (case.reference, case.tags, case.contexts, case.note) == ("So.", ["a", "b"], ["A text"], "better")
    page = read(as_emma, address)
    assert "Reference, Contexts, Tags changed" in page
    wrong = as_emma.post(address, fields(suite, checks="no JSON"))
    assert wrong.status_code == 422
    assert "Checks must be JSON" in wrong.content.decode()


def test_saving_a_large_case_as_it_is_shown_changes_nothing(as_emma: Client, suite: Suite) -> None:
    texts = [f"Text {n}\nsecond line " for n in range(150)]
    turns = [{"role": "user" if n % 2 else "assistant", "content": f" Turn {n}\n\n"} for n in range(70)]
    tabs = {"reference": "one\r\ntwo", "rejected": "one\n", "tags": ["a, b", "c"], "weight": 0.123456789}
    put(suite, {"id": "large", "messages": turns, "contexts": [*texts, " ", "tail"], "gold": texts, **tabs})
    version, case = freeze_version(suite=suite, person=None), living(suite).get(uid="large")
    address = at("case", suite.project, suite.pk, "large")
    form = Form(read(as_emma, address))
    assert len(form.values["context"]) == 153
    as_emma.post(address, form.sent())
    assert freeze_version(suite=suite, person=None) == version
    as_emma.post(address, form.sent(cluster="manual"))
    changed = living(suite).get(uid="large")
    assert changed.content() == {**case.content(), "cluster": "manual"}
    form.values["context"] += texts
    told = as_emma.post(address, form.sent())
    assert "There are 301 contexts; a case has up to 200." in told.content.decode()


def test_texts_are_stored_with_the_ends_of_lines_that_models_write(as_emma: Client, suite: Suite) -> None:
    sent = fields(
        suite, content="a\r\nb", reference="c\r\nd", rejected="e\r\nf", context="g\r\nh", gold="i\r\nj"
    )
    as_emma.post(at("case", suite.project, suite.pk, "q0"), sent)
    case = first(suite)
    assert case.prompt == [{"role": "user", "content": "a\nb"}]
    assert (case.reference, case.rejected, case.contexts, case.gold) == ("c\nd", "e\nf", ["g\nh"], ["i\nj"])
    values = {"do": "save", "rows": "", "name": "S", "description": "k\r\nl", "system": "m\r\nn"}
    as_emma.post(at("suite_settings", suite.project, suite.pk), values)
    suite.refresh_from_db()
    assert (suite.description, suite.system) == ("k\nl", "m\nn")


def test_emma_is_told_what_ada_saved_meanwhile_and_loses_nothing(
    as_emma: Client, ada: User, suite: Suite
) -> None:
    address = at("case", suite.project, suite.pk, "q0")
    mine = fields(suite, reference="by Emma")
    world.sign_in(ada).post(address, fields(suite, reference="by Ada"))
    late = as_emma.post(address, mine)
    page = late.content.decode()
    assert late.status_code == 409
    assert "ada changed this case while you were writing" in page
    assert "<del>by Ada</del>" in page
    assert "<ins>by Emma</ins>" in page
    as_emma.post(address, {**mine, "base": first(suite).pk})
    assert first(suite).reference == "by Emma"
    assert len(history(suite, "q0")) == 3


def test_emma_writes_a_new_case(as_emma: Client, suite: Suite) -> None:
    address = at("case_new", suite.project, suite.pk)
    assert "Only a prompt is needed" in read(as_emma, address)
    empty = as_emma.post(address, {"role": "user", "content": " ", "weight": "1"})
    assert "There is no prompt" in empty.content.decode()
    as_emma.post(address, {"role": ["system", "user"], "content": ["Be brief.", "Why?"], "weight": "2"})
    assert living(suite).get(position=3).prompt == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
    ]


def test_metrics_are_chosen_in_plain_fields(as_emma: Client, suite: Suite) -> None:
    address = at("suite_settings", suite.project, suite.pk)
    assert "None yet. A run needs at least one." in read(as_emma, address)
    added = as_emma.post(address, {"do": "add", "scorer": "contains", "rows": ""}, **HTMX).content.decode()
    assert 'name="m0-p_ignore_case"' in added
    assert "<h1>" not in added
    values = {
        "do": "save", "name": suite.name, "rows": "0,1", "m0-scorer": "contains", "m0-name": "says sorry",
        "m0-weight": "1", "m0-p_texts": "sorry\r\nexcuse", "m0-p_ignore_case": "on", "m0-p_every": "on",
        "m1-scorer": "length", "m1-name": "words", "m1-weight": "0", "m1-p_unit": "words",
    }  # fmt: skip
    assert as_emma.post(address, values).status_code == 302
    suite.refresh_from_db()
    assert suite.scoring == [
        {"name": "says sorry", "scorer": "contains", "weight": 1.0,
         "params": {"texts": ["sorry", "excuse"], "every": True}},
        {"name": "words", "scorer": "length"},
    ]  # fmt: skip
    endless = as_emma.post(address, {**values, "m1-weight": "1"}).content.decode()
    assert "Words has a weight beside other metrics" in endless
    assert "Both are needed where several metrics have a weight." in endless
    dropped = as_emma.post(address, {**values, "do": "drop:0"}, **HTMX).content.decode()
    assert "says sorry" not in dropped
    twice = as_emma.post(address, {**values, "m1-name": "says sorry"})
    assert twice.status_code == 422
    assert "Two metrics are named says sorry" in twice.content.decode()


def test_versions_are_compared(as_emma: Client, suite: Suite) -> None:
    freeze_version(suite=suite, person=None)
    as_emma.post(at("case", suite.project, suite.pk, "q0"), fields(suite, reference="So."))
    page = read(as_emma, at("suite_diff", suite.project, suite.pk))
    assert "Version 1 to version 2" in page
    assert "2 cases are the same" in page
    assert "<ins>So.</ins>" in page


def test_what_is_no_number_in_an_address_is_no_fault(as_emma: Client, suite: Suite) -> None:
    read(as_emma, at("suite", suite.project, suite.pk) + "?after=²&before=x")
    read(as_emma, at("suite_diff", suite.project, suite.pk) + "?from=²&to=x")
    picked = as_emma.post(at("suite_pick", suite.project), {"item": ["²"], "suite": "²"}, follow=True)
    assert picked.status_code == 200


def test_emma_freezes_seals_and_puts_away(as_emma: Client, suite: Suite) -> None:
    project = suite.project
    as_emma.post(at("suite_freeze", project, suite.pk))
    assert suite.versions.get().cases == 3
    as_emma.post(at("suite_seal", project, suite.pk), {"share": "40", "seed": "0"})
    assert living(suite).filter(sealed=True).count() == 2
    told = as_emma.post(at("suite_seal", project, suite.pk), {"share": "99", "seed": "0"}, follow=True)
    assert "is too much; give" in told.content.decode()
    as_emma.post(at("suite_archive", project, suite.pk))
    assert "No suite yet" in read(as_emma, at("suites", project))
    assert "Support questions" in read(as_emma, at("suites", project) + "?state=archived")


def test_picked_items_become_cases(as_emma: Client, suite: Suite) -> None:
    items = world.fill(suite.project, 2)
    address = at("suite_pick", suite.project)
    as_emma.post(address, {"item": [item.pk for item in items], "name": "Picked", "tags": "hard"})
    assert living(Suite.objects.get(name="Picked")).count() == 2
    told = as_emma.post(address, {"suite": suite.pk}, follow=True)
    assert "Nothing was picked" in told.content.decode()


def test_emma_copies_marked_cases_into_another_suite(as_emma: Client, suite: Suite) -> None:
    address = at("suite", suite.project, suite.pk)
    values = {"do": "pick", "case": ["q0", "q2"], "name": " Regressions "}
    assert "2 cases were added to Regressions." in as_emma.post(address, values, **HTMX).content.decode()
    target = Suite.objects.get(name="Regressions")
    assert [case.uid for case in living(target).order_by("position")] == ["q0", "q2"]
    every = as_emma.post(address, {"do": "pick", "all": "1", "name": "Regressions"}).content.decode()
    assert "1 case was added to Regressions, 2 were there already." in every
    nameless = as_emma.post(address, {**values, "name": " "})
    assert (nameless.status_code, Suite.objects.count()) == (422, 2)
    assert "No suite was named; write the name of one" in nameless.content.decode()
    seal(suite=suite, uids=["q0"], person=None)
    told = as_emma.post(address, {**values, "name": "New"}).content.decode()
    assert "Case 1 of Support questions is under seal; a copy of it would be open." in told
    assert not Suite.objects.filter(name="New").exists()


@pytest.mark.parametrize("name", ["suites", "suite"])
def test_pages_cost_the_same_however_many_there_are_and_read_no_text(
    as_emma: Client, project: Project, name: str
) -> None:
    suite = filled(project, 3)
    base = root_checkpoint()
    finished_run(freeze_version(suite=suite, person=None), base, candidate(project, base, "x"))
    address = at(name, project, *([suite.pk] if name == "suite" else []))
    costs = []
    for more in (0, 40):
        for n in range(more):
            other = filled(project, 1, name=f"Suite {n}")
            finished_run(freeze_version(suite=other, person=None), base, candidate(project, base, f"c{n}"))
        world_rows = filled(project, more, name=f"Rows {more}")
        assert living(world_rows).count() == more
        put(suite, *({"id": f"more{n}", "prompt": f"More {n}?"} for n in range(more)))
        with CaptureQueriesContext(
            connection,
        ) as caught:
            read(as_emma, address)
        costs.append(len(caught))
        assert [query["sql"] for query in caught if PAYLOAD.search(query["sql"])] == []
    assert costs[0] == costs[1]
