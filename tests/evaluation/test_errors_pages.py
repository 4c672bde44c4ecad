"""Leo's pages of errors: empty, reading, the table, one kind, what to fix next; the same by API and command."""

import csv
import io
import json
import re
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from evaluation.errors.failures import start_analysis
from evaluation.errors.reading import HELD, next_failure, record
from evaluation.models import Analysis, CategoryPlan, ErrorRead, EvalRun, Split
from evaluation.sheets import KEPT
from labeling.models import ErrorCategory, Item, Project, User
from labeling.rag.taxonomy import add_category, categories_of, merge_categories, retire_category
from tests import world
from tests.evaluation.finished import always, finished, passing, suite_of

pytestmark = pytest.mark.django_db
PAYLOAD = re.compile(r'"evaluation_case"\."(prompt|reference|contexts|gold)"|"evaluation_output"\."text"')


def evaluation(project: Project, cases: int = 60, **options: Any) -> EvalRun:
    return finished(project, {"base": passing(0.8), "step": passing(0.4, 1)}, cases=cases, **options)


def analysed(run: EvalRun) -> Analysis:
    return start_analysis(run=run, target=run.targets.get(index=1), person=None)


def url(project: Project, name: str, *numbers: Any) -> str:
    return reverse(f"evaluation:{name}", args=[project.slug, *numbers])


def shown(text: str) -> tuple[list[str], str]:
    """The categories that are chosen in the form, and the change that it began from."""
    (base,) = re.findall(r'name="base" value="(\d+)"', text)
    return re.findall(r'name="category" value="(\w+)" checked', text), base


def read_some(analysis: Analysis, who: User, *tags: list[str]) -> None:
    for categories in tags:
        read = next_failure(analysis=analysis, person=who)
        assert read is not None
        record(read=read, categories=categories, person=who)


def test_without_an_evaluation_the_page_says_what_comes_first(project: Project, leo: User) -> None:
    page = world.sign_in(leo).get(url(project, "analyses"))
    assert "Nothing evaluated yet" in page.text


def test_leo_goes_from_the_verdict_to_the_first_failure(project: Project, leo: User) -> None:
    run, client = evaluation(project), world.sign_in(leo)
    verdict = client.get(url(project, "evaluation", run.pk))
    assert "Nobody has read the failures of step yet" in verdict.text
    page = client.post(url(project, "analyses"), {"side": f"{run.pk}.1", "metric": "exact"}, follow=True)
    assert "Errors of step" in page.text
    assert "Nothing read yet" in page.text
    assert client.get(url(project, "analyses")).text.count("Support, weekly") >= 1
    reading = client.get(url(project, "error_next", Analysis.objects.get().pk), follow=True)
    for words in (
        "How do I return order",
        "step says: open order",
        "Open Orders, choose order",
        "Over-refusal",
    ):
        assert words in reading.text


def test_keeping_one_leads_to_the_next_and_a_second_time_changes_it(project: Project, leo: User) -> None:
    analysis, client = analysed(evaluation(project)), world.sign_in(leo)
    client.get(url(project, "error_next", analysis.pk))
    first = url(project, "error_read", analysis.pk, 0)
    sent = client.post(first, {"category": ["incomplete", "wrong_format"], "note": "Half of it."})
    assert client.get(sent.url).url == url(project, "error_read", analysis.pk, 1)
    once_more = client.post(
        first, {"category": ["incomplete", "wrong_format"], "note": "Half of it.", "base": 0}
    )
    assert once_more.url == sent.url  # a double click changes nothing, and goes on as the first one did
    changed = {"category": ["incomplete"], "note": "", "base": shown(client.get(first).text)[1]}
    assert client.post(first, changed).url == first
    read = ErrorRead.objects.get(place=0)
    assert (read.categories, read.note, read.changes.count()) == (["incomplete"], "", 2)
    page = client.get(first).text
    assert "What was said of it before (1)" in page
    assert "leo: Incomplete, Wrong format. Half of it." in page
    wrong = client.post(first, {"category": ["nonsense"]})
    assert wrong.status_code == 422
    assert "choose one that is offered" in wrong.text


def test_a_note_keeps_categories_that_were_merged_or_retired(project: Project, leo: User) -> None:
    analysis, client = analysed(evaluation(project)), world.sign_in(leo)
    for key in ("too_long", "too_short"):
        add_category(project=project, person=leo, name=key, scope="answer", stage="instruction", key=key)
    read_some(analysis, leo, ["too_long", "too_short"])
    merge_categories(project=project, person=leo, keys=["too_long"], into="wrong_format")
    retire_category(project=project, person=leo, key="too_short")
    at = url(project, "error_read", analysis.pk, 0)
    keys, base = shown(client.get(at).text)
    assert keys == ["wrong_format", "too_short"]
    client.post(at, {"category": keys, "note": "A word more.", "base": base})
    read = ErrorRead.objects.get(place=0)
    assert (read.categories, read.note) == (["wrong_format", "too_short"], "A word more.")
    assert "leo: too_long, too_short" in client.get(at).text
    others = url(project, "error_next", analysis.pk)
    assert 'value="too_short"' not in client.get(others, follow=True).text  # offered only where it was chosen


def test_a_stale_tab_is_shown_what_somebody_else_said_meanwhile(
    project: Project, leo: User, cleo: User
) -> None:
    analysis, client = analysed(evaluation(project)), world.sign_in(leo)
    client.get(url(project, "error_next", analysis.pk))
    ErrorRead.objects.update(claimed_at=timezone.now() - 2 * HELD)
    read_some(analysis, cleo, ["over_refusal"])
    at = url(project, "error_read", analysis.pk, 0)
    page = client.post(at, {"category": ["incomplete"], "note": "Half of it.", "base": 0})
    assert (page.status_code, ErrorRead.objects.get().categories) == (409, ["over_refusal"])
    assert "cleo said what this failure is while you read it" in page.text
    assert "cleo: Over-refusal" in page.text
    assert "Half of it." in page.text
    keys, base = shown(page.text)
    assert keys == ["incomplete"]
    client.post(at, {"category": keys, "note": "Half of it.", "base": base})
    assert ErrorRead.objects.get().categories == ["incomplete"]


def test_a_new_kind_is_made_on_the_spot(project: Project, leo: User) -> None:
    analysis, client = analysed(evaluation(project)), world.sign_in(leo)
    client.get(url(project, "error_next", analysis.pk))
    made = url(project, "error_category_new", analysis.pk) + "?place=0"
    page = client.post(made, {"name": "Wrong <b>unit</b>", "stage": "instruction"}, follow=True)
    assert "Wrong &lt;b&gt;unit&lt;/b&gt; is a category now" in page.text
    assert ErrorCategory.objects.filter(
        project=project, stage="instruction", name__startswith="Wrong"
    ).exists()
    again = client.post(made, {"name": "Wrong <b>unit</b>", "stage": "other"}, follow=True)
    assert "There is already a category" in again.text


def test_the_table_shows_ceilings_and_the_verdict_what_to_fix_next(project: Project, leo: User) -> None:
    run = evaluation(project)
    analysis, client = analysed(run), world.sign_in(leo)
    read_some(analysis, leo, *[["over_refusal"]] * 3)
    assert "not enough data" in client.get(url(project, "analysis", analysis.pk)).text
    assert "too few to say what they cost" in client.get(url(project, "evaluation", run.pk)).text
    read_some(analysis, leo, *[["incomplete"]] * 6, ["mislabelled_gold"])
    page = client.get(url(project, "analysis", analysis.pk))
    for words in ("Wrong known answers", "can reach", "Read on until 20 in a row", "By slice", "Sole cause"):
        assert words in page.text
    assert page.text.count('class="chart"') == 2
    (pareto, _) = page.context["charts"]
    assert [line.cells[0] for line in pareto.rows] == [
        "Incomplete",
        "Over-refusal",
    ]  # what mending a model brings
    verdict = client.get(url(project, "evaluation", run.pk))
    assert re.search(r"Incomplete: up to \d+\.\d \[\d+\.\d, \d+\.\d\] points", verdict.text)
    assert "Wrong known answer" not in verdict.text


def test_a_kind_has_a_plan_and_a_queue(project: Project, leo: User, emma: User) -> None:
    analysis = analysed(evaluation(project))
    read_some(analysis, leo, *[["incomplete"]] * 6)
    own = url(project, "error_category", analysis.pk, "incomplete")
    client = world.sign_in(leo)
    client.post(own, {"effort": "2.5", "owner": emma.pk, "status": "working", "note": "Longer answers."})
    assert CategoryPlan.objects.get().effort == 2.5
    assert client.post(own, {"effort": "-1", "status": "open"}).status_code == 422
    sent = world.sign_in(emma).post(url(project, "error_send", analysis.pk, "incomplete"), follow=True)
    assert "6 new items to label" in sent.text
    assert Item.objects.filter(project=project, source_kind="analysis").count() == 6
    assert "0 of 1 judged" in client.get(own).text


def test_sealed_cases_are_refused_with_the_usual_sentence(project: Project, ada: User) -> None:
    run = evaluation(project, split=Split.SEALED)
    client = world.sign_in(ada)
    page = client.post(url(project, "analyses"), {"side": f"{run.pk}.1", "metric": ""})
    assert page.status_code == 422
    assert "Sealed cases stay unread" in page.text
    assert "What to fix next" not in client.get(url(project, "evaluation", run.pk)).text


def test_the_pages_read_no_texts_and_ask_no_more_for_more_failures(project: Project, leo: User) -> None:
    few, many = (
        analysed(evaluation(project)),
        analysed(evaluation(project, version=suite_of(project, 400, name="Larger"))),
    )
    client = world.sign_in(leo)
    categories_of(project)  # made on first use
    counts = []
    for analysis, times in ((few, 6), (many, 60)):
        ErrorRead.objects.bulk_create(
            ErrorRead(
                analysis=analysis, place=place, case_id=case, reader=leo, claimed_at=timezone.now(),
                read_at=timezone.now(), categories=["incomplete" if place % 2 else "over_refusal"],
            )
            for place, case in enumerate(analysis.order[: 2 * times])
        )  # fmt: skip
        for name in ("analysis", "analyses"):
            cache.clear()
            KEPT.clear()
            numbers = [analysis.pk] if name == "analysis" else []
            with CaptureQueriesContext(connection) as seen:
                assert client.get(url(project, name, *numbers)).status_code == 200
            counts.append(len(seen))
            assert not [query["sql"] for query in seen if PAYLOAD.search(query["sql"])]
            assert name != "analyses" or not any('"order"' in query["sql"] for query in seen)
    assert counts[:2] == counts[2:]


def test_the_table_is_given_as_csv_json_and_by_command(project: Project, leo: User) -> None:
    analysis, client = analysed(evaluation(project)), world.sign_in(leo)
    read_some(analysis, leo, *[["incomplete"]] * 6)
    ErrorCategory.objects.filter(key="incomplete").update(name="=1+1")
    (line,) = csv.DictReader(io.StringIO(client.get(url(project, "analysis_file", analysis.pk, "csv")).text))
    assert (line["category"], line["name"], line["read"]) == ("incomplete", "'=1+1", "6")
    found = client.get(url(project, "analysis_file", analysis.pk, "json")).json()
    assert found["categories"][0]["ceiling"]["value"] == pytest.approx(float(line["ceiling"]))
    assert client.get(url(project, "analysis_file", analysis.pk, "pdf")).status_code == 404
    out = io.StringIO()
    call_command("error_table", str(analysis.pk), json=True, stdout=out)
    assert json.loads(out.getvalue().splitlines()[-1]) == found


def test_leo_does_it_all_by_api(project: Project, leo: User) -> None:
    run, client = evaluation(project), world.sign_in(leo)
    at = f"/api/v1/projects/{project.slug}/analyses/"
    made = client.post(at, {"target": f"{run.pk}.1", "seed": 3}, content_type="application/json").json()
    for _ in range(5):
        taken = client.post(f"{at}{made['id']}/reads/", {}, content_type="application/json").json()
        said = {"place": taken["place"], "categories": ["incomplete"], "note": "n"}
        kept = client.post(f"{at}{made['id']}/reads/", said, content_type="application/json").json()
        assert (taken["change"], kept["categories"]) == (None, ["incomplete"])
    late = said | {"base": 0, "note": "m"}
    refused = client.post(f"{at}{made['id']}/reads/", late, content_type="application/json")
    assert refused.status_code == 422
    assert "leo said what this failure is while you read it" in refused.json()["detail"]
    changed = client.post(
        f"{at}{made['id']}/reads/", late | {"base": kept["change"]}, content_type="application/json"
    )
    assert (changed.json()["note"], changed.json()["change"] > kept["change"]) == ("m", True)
    assert client.get(at).json()["results"][0]["read"] == 5
    listed = client.get(f"{at}{made['id']}/reads/").json()["results"]
    assert [(each["place"], each["change"] > 0) for each in listed] == [(place, True) for place in range(5)]
    again = client.post(at, {"target": f"{run.pk}.1"}, content_type="application/json").json()
    assert (again["id"], again["read"]) == (made["id"], 5)
    table = client.get(f"{at}{made['id']}/").json()
    assert (table["seed"], table["categories"][0]["read"]) == (3, 5)
    wrong = client.post(
        f"{at}{made['id']}/reads/", {"place": 0, "categories": ["x"]}, content_type="application/json"
    )
    assert wrong.status_code == 422


def test_a_kind_of_error_is_added_planned_against_and_sent_by_api(
    project: Project, leo: User, emma: User, ben: User
) -> None:
    analysis = analysed(evaluation(project))
    read_some(analysis, leo, ["incomplete"], ["incomplete"])
    at = f"/api/v1/projects/{project.slug}/"
    one, plan = f"{at}analyses/{analysis.pk}/", f"{at}categories/incomplete/plan/"
    leos, emmas = world.sign_in(leo), world.sign_in(emma)
    made = leos.post(f"{one}categories/", {"name": "Wrong tone", "stage": "other"}, "application/json")
    assert (made.status_code, made.json()["name"]) == (201, "Wrong tone")
    assert "Wrong tone" in leos.post(f"{one}categories/", {"name": "Wrong tone"}).json()["detail"]
    assert leos.get(plan).json()["status"] == "open"
    given = {"effort": 2.5, "owner": "ben", "status": "working", "note": "Longer examples"}
    told = leos.put(plan, given, "application/json").json()
    assert {name: told[name] for name in given} == given
    assert leos.get(plan).json() == told
    for wrong, words in (({"owner": "mallory"}, "mallory is not in this project"), ({"effort": 0}, "0 days")):
        refused = leos.put(plan, wrong, "application/json")
        assert (refused.status_code, words in refused.json()["detail"]) == (422, True)
    assert leos.post(f"{one}categories/incomplete/send/").status_code == 403
    sent = emmas.post(f"{one}categories/incomplete/send/").json()
    assert (sent["new"], sent["known"], sent["unfit"]) == (2, 0, [])
    assert emmas.post(f"{one}categories/incomplete/send/").json()["known"] == 2
    row = emmas.get(one).json()["categories"][0]
    assert (row["sent"], row["owner"], row["effort"]) == (2, "ben", 2.5)
    none = emmas.post(f"{one}categories/wrong_format/send/")
    assert (none.status_code, "there is nothing to send" in none.json()["detail"]) == (422, True)


def test_long_texts_and_html_are_shown_whole_and_harmless(project: Project, leo: User) -> None:
    run = finished(project, {"base": always(0.0)}, cases=5, metrics=["exact"])
    run.version.suite.cases.update(contexts=["<script>alert(1)</script>" + "x" * 50_000], gold=["g" * 1000])
    analysis = start_analysis(run=run, target=run.targets.get(), person=leo)
    client = world.sign_in(leo)
    page = client.get(url(project, "error_next", analysis.pk), follow=True)
    assert "<script>alert(1)" not in page.text
    assert "x" * 50_000 in page.text
    assert "1 gold context" in page.text
