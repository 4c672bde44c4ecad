"""Emma opens a fix for a kind of error; the ledger says whether it closed on cases that nobody trained on."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from evaluation.errors.reading import record
from evaluation.models import Case, ErrorRead, EvalRun, Fix
from evaluation.rounds.opening import take_in
from evaluation.suites import living
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.intake import ItemDraft, ResponseDraft, add_items, prompt_hash
from labeling.models import Item, Project, Task, User
from labeling.protection import protect, protected_hashes
from labeling.queue import claim_next
from labeling.rag.answers import RagAnswer
from labeling.reviewing import return_with_comment
from labeling.values import PairwiseAnswer
from tests import world
from tests.evaluation.finished import finished, passing, suite_of
from tests.evaluation.fixing import (
    KEY,
    analysed,
    cases_of,
    category_of,
    closed_by,
    cured,
    entry,
    evaluated,
    failed_run,
    is_family,
    judged_and_frozen,
    opened,
    planted,
    trained_on,
)

pytestmark = pytest.mark.django_db


def test_half_of_the_failing_cases_go_to_labeling_and_leave_the_suite_and_half_stay_held_out(
    project: Project,
) -> None:
    run = failed_run(project)
    protect(
        project=project,
        prompts={case.prompt_hash: case.preview for case in living(run.suite)},
        reason="Support v1",
    )
    found = opened(project, run)
    siblings, lessons = cases_of(found.fix, "sibling"), cases_of(found.fix, "lesson")
    assert (len(siblings), len(lessons), found.sent) == (20, 20, 20)
    assert all(is_family(case.position) for case in [*siblings, *lessons])
    left = set(living(run.suite).values_list("pk", flat=True))
    assert {case.pk for case in siblings} <= left
    assert not {case.pk for case in lessons} & left
    guarded = protected_hashes(project=project)
    assert {case.prompt_hash for case in siblings} <= guarded
    assert not {case.prompt_hash for case in lessons} & guarded
    items = Item.objects.filter(source_kind="fix", source_ref=f"fix {found.fix.pk}")
    assert items.count() == found.fix.items.count() == 20


def test_cases_of_one_cluster_go_one_way(project: Project) -> None:
    version = planted(project)
    for case in Case.objects.filter(suite=version.suite):
        Case.objects.filter(pk=case.pk).update(cluster=f"document {case.position // 4}")
    fix = opened(project, failed_run(project, version=version)).fix
    held, taught = ({case.cluster for case in cases_of(fix, role)} for role in ("sibling", "lesson"))
    assert held
    assert taught
    assert not held & taught


def test_cases_marked_as_siblings_are_never_sent(project: Project) -> None:
    version = planted(project)
    marked = list(Case.objects.filter(suite=version.suite, position__lt=30))
    for case in marked:
        case.tags = [f"sibling:{KEY}"]
    Case.objects.bulk_update(marked, ["tags"])
    found = opened(project, failed_run(project, version=version))
    assert {case.pk for case in marked} <= {case.pk for case in cases_of(found.fix, "sibling")}
    assert found.sent == 10


def test_a_second_fix_of_the_category_holds_out_what_the_first_did(project: Project) -> None:
    run = failed_run(project)
    first = opened(project, run)
    second = failed_run(project, version=run.suite.versions.get(number=1))
    with pytest.raises(Refused, match="Nothing is left to teach"):
        opened(project, second)
    assert {case.pk for case in cases_of(first.fix, "sibling")} <= set(
        living(run.suite).values_list("pk", flat=True)
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": "perplexity"}, "perplexity has no passing and failing"),
        ({"metric": "charm"}, "has no metric 'charm'; it has exact, perplexity"),
        ({"held_out": 0.95}, "it lies from 0.1 to 0.9"),
        ({"held_out": 0.1}, "at least 5 are needed"),
        ({"note": "n" * 301}, "The note has 301 characters"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_nothing_is_left(
    project: Project, change: dict[str, Any], words: str
) -> None:
    version = planted(project)
    tags = {n: [KEY] if n < 16 else ["other"] for n in range(100)}
    for case in Case.objects.filter(suite=version.suite):
        Case.objects.filter(pk=case.pk).update(tags=tags[case.position])
    run = failed_run(project, version=version, metrics=("exact", "perplexity"))
    before = living(run.suite).count()
    with pytest.raises(Refused, match=words):
        opened(project, run, **change)
    assert not Fix.objects.exists()
    assert living(run.suite).count() == before


def test_what_a_fix_holds_out_is_never_sent_to_labeling_and_stays_with_the_next_fix(
    emma: User, leo: User
) -> None:
    project = world.make_project("Answers", task=Task.RAG)
    run = failed_run(project)
    analysis = analysed(run, leo, most=40)
    found = opened(project, run, analysis=analysis)
    analysed(run, leo)
    client, address = world.sign_in(emma), [project.slug, analysis.pk, KEY]
    page = client.get(reverse("evaluation:error_category", args=address)).text
    assert f"{found.siblings} are held out by a fix and stay out of labeling." in page
    assert "Send 0 failures to labeling" in page
    assert page.count("0 of 1 judged") == found.sent
    sent = client.post(reverse("evaluation:error_send", args=address), follow=True).text
    assert f"0 new items to label, {found.sent} known already; {found.siblings} are held out by a fix" in sent
    assert project.items.count() == found.sent
    with pytest.raises(Refused, match="Nothing is left to teach"):
        opened(project, run, analysis=analysis)


def test_a_sibling_stays_held_out_though_it_was_sent_and_though_another_fix_wants_it(
    project: Project, leo: User
) -> None:
    run = failed_run(project)
    analysis = analysed(run, leo)
    siblings = cases_of(opened(project, run, analysis=analysis).fix, "sibling")
    sent = [
        world.draft(case.pk, source_ref=f"analysis {analysis.pk} case {case.uid}") for case in siblings[:8]
    ]
    add_items(project=project, drafts=sent, source_kind="analysis")
    for read in analysis.reads.filter(case__in=siblings):
        record(read=read, categories=[KEY, "incomplete"], person=leo)
    found = opened(project, run, analysis=analysis, category=category_of(project, "incomplete"))
    assert {case.pk for case in siblings} <= {case.pk for case in cases_of(found.fix, "sibling")}
    assert found.sent


def test_a_case_whose_context_no_item_takes_stays_and_is_named(leo: User) -> None:
    project = world.make_project("Answers", task=Task.RAG)
    run = failed_run(project)
    Case.objects.filter(suite=run.suite, position__in=(3, 4, 5, 6)).update(contexts=["y" * 150_000])
    found = opened(project, run)
    kept = [
        case for case in living(run.suite) if case.contexts and not found.fix.cases.filter(case=case).exists()
    ]
    assert found.stayed == len(found.unfit) == len(kept) > 0
    assert found.sent == 20 - len(kept)
    assert f"{len(kept)} stayed, as no item takes" in found.words
    assert f"“{kept[0].preview}” (context 1 has 150,000 characters" in found.words
    assert "too few different answers" not in found.words


def test_an_analysis_brings_the_cases_that_were_read_and_freezes_the_ceiling_it_predicted(
    project: Project, emma: User
) -> None:
    run = failed_run(project, version=suite_of(project, 100))  # nothing is tagged in the suite
    analysis = analysed(run, emma)
    form = {"category": KEY, "of": f"a{analysis.pk}", "held_out": 50}
    page = world.sign_in(emma).post(reverse("evaluation:fix_new", args=[project.slug]), form, follow=True)
    fix = Fix.objects.get()
    assert fix.ceiling is not None
    assert fix.ceiling.value == pytest.approx(0.4)
    assert "At most <b>+40.0 points</b> to gain" in page.text
    ErrorRead.objects.filter(place__lt=10).update(
        categories=["incomplete"]
    )  # the prediction stays what it was
    fix.refresh_from_db()
    assert fix.ceiling.value == pytest.approx(0.4)
    assert all(is_family(case.position) for case in cases_of(fix, "sibling") + cases_of(fix, "lesson"))


@pytest.mark.data_layer
def test_the_ledger_follows_the_fix_from_step_to_step_by_lineage(project: Project, ben: User) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben)
    before = world.frozen(project)  # holds nothing of the fix
    trained_on(project, before, "earlier")
    fix = opened(project).fix
    assert entry(fix).standing == "not begun"
    version = judged_and_frozen(project)
    found = entry(fix)
    assert (found.standing, found.trace.judged, len(found.trace.items)) == ("labeled", 20, 20)
    assert [(each.version, each.items) for each in found.trace.used] == [(version, 20)]
    made = trained_on(project, version)
    found = entry(fix)
    assert (found.standing, found.trace.checkpoints) == ("trained", [made])
    assert "evaluate after on Support" in found.sentence
    run = evaluated(fix, made, cured)
    found = entry(fix)
    assert found.standing == "closed"
    assert found.latest is not None
    assert (found.latest.run, found.latest.checkpoint) == (run, made)
    assert "of 20 siblings that failed before pass now" in found.sentence


@pytest.mark.data_layer
def test_items_judged_to_be_of_the_category_join_and_siblings_never_do(ben: User) -> None:
    project = world.make_project("Answers", task=Task.RAG)
    fix = opened(project).fix
    sibling = cases_of(fix, "sibling")[0]
    Case.objects.filter(pk=sibling.pk).update(prompt_hash=prompt_hash(sibling.prompt))
    held = sibling.prompt[0]["content"]
    said = {prompt: [KEY] for prompt in ("Of it?", "Of it too?", "Withdrawn?", held)}
    said["Of another?"] = ["evident_conflict"]
    world.put(
        project,
        *(
            ItemDraft([{"role": "user", "content": prompt}], [ResponseDraft("See page 4.", "m")])
            for prompt in said
        ),
    )
    while (slot := claim_next(project=project, person=ben)) is not None:
        keys = said.get(slot.item.messages[0]["content"], [])
        spans = [{"start": 0, "end": 3, "category": key} for key in keys]
        answer = {"verdict": "bad" if spans else "good", "answers_question": 1, "spans": spans}
        world.send(slot, ben, RagAnswer.model_validate(answer))
    withdraw(project=project, by=None, item_id=project.items.get(preview="Withdrawn?").pk)
    address = reverse("api-fix-take-in", args=[project.slug, fix.pk])
    assert world.sign_in(world.person("emma")).post(address).json()["joined"] == 2
    assert take_in(fix=fix) == 0
    joined = {each.item.preview for each in fix.items.filter(case=None).select_related("item")}
    assert joined == {"Of it?", "Of it too?"}


def test_leo_reads_the_ledger_and_the_fix_and_opens_none(project: Project, leo: User) -> None:
    fix = closed_by(project, cured).fix
    client = world.sign_in(leo)
    page = client.get(reverse("evaluation:ledger", args=[project.slug]))
    assert "Wrong citation" in page.text
    assert "closed" in page.text
    one = client.get(reverse("evaluation:fix", args=[project.slug, fix.pk]))
    assert "siblings that failed before pass now" in one.text
    assert "Take in items" not in one.text
    assert client.get(reverse("evaluation:fix_new", args=[project.slug])).status_code == 403
    narrowed = client.get(reverse("evaluation:ledger", args=[project.slug]), {"standing": "not closed"})
    assert "No fix fits" in narrowed.text


def test_emma_opens_a_fix_on_the_page_and_reads_what_became_of_the_cases(
    project: Project, emma: User
) -> None:
    client, place = world.sign_in(emma), reverse("evaluation:fix_new", args=[project.slug])
    assert "No evaluation to begin with yet" in client.get(place).text
    run = failed_run(project)
    form = {"category": KEY, "of": f"t{run.pk}.0", "held_out": 50}
    answer = client.post(place, form, follow=True)
    assert "20 cases are held out as siblings; 20 were sent to labeling." in answer.text
    refused = client.post(place, {**form, "metric": "charm"})
    assert refused.status_code == 422
    assert "has no metric" in refused.text


def test_a_fix_lists_its_items_with_how_far_each_is_judged(project: Project, ben: User, leo: User) -> None:
    fix = opened(project).fix
    slot = claim_next(project=project, person=ben)
    assert slot is not None
    world.send(slot, ben, PairwiseAnswer.model_validate({"verdict": "first"}))
    client = world.sign_in(leo)
    page = client.get(reverse("evaluation:fix", args=[project.slug, fix.pk])).text
    for item in fix.items.values_list("item_id", flat=True):
        assert reverse("labeling:item", args=[project.slug, item]) in page
    assert page.count("1 of 1 judged") == 1
    assert page.count("0 of 1 judged") == 19
    aimed = f"?a=0&amp;b={fix.target.index}&amp;metric={fix.metric}"
    assert page.count(aimed) == fix.cases.count()
    read = client.get(reverse("api-fix", args=[project.slug, fix.pk])).json()
    assert sorted(fix.items.values_list("item_id", flat=True)) == read["item_ids"]
    assert (read["items"], read["judged"]) == (20, 1)


def test_the_api_and_the_command_say_what_the_page_says(project: Project, emma: User) -> None:
    run, client = failed_run(project), world.sign_in(emma)
    url = reverse("api-fixes", args=[project.slug])
    body = {"category": KEY, "target": f"{run.pk}.0"}
    made = client.post(url, body, content_type="application/json")
    assert made.status_code == 201, made.text
    assert made.json()["standing"] == "not begun"
    fix = Fix.objects.get()
    evaluated(fix, trained_on(project, judged_and_frozen(project)), cured)
    read = client.get(reverse("api-fix", args=[project.slug, fix.pk])).json()
    out = StringIO()
    call_command("ledger", project.slug, "--json", stdout=out)
    assert json.loads(out.getvalue().splitlines()[-1])["fixes"] == [read] == client.get(url).json()["fixes"]
    assert read["standing"] == "closed"
    assert read["measures"][0]["closed"]["n"] == 20
    wrong = client.post(url, {"category": "nothing", "target": "1.0"}, content_type="application/json")
    assert "There is no category 'nothing'" in wrong.json()["detail"]


def test_ten_fixes_take_as_many_queries_as_two(
    project: Project, leo: User, django_assert_max_num_queries: Any
) -> None:
    client, url = world.sign_in(leo), reverse("evaluation:ledger", args=[project.slug])
    run = failed_run(project)
    fix = opened(project, run).fix
    evaluated(fix, trained_on(project, judged_and_frozen(project)), cured)
    Fix.objects.create(
        project=project, category=category_of(project), run=run, target=fix.target, metric="exact"
    )
    client.get(url)
    with django_assert_max_num_queries(40) as few:
        client.get(url)
    for _ in range(8):
        Fix.objects.create(
            project=project, category=category_of(project), run=run, target=fix.target, metric="exact"
        )
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert client.get(url).status_code == 200


def test_judgments_that_were_withdrawn_or_returned_do_not_count_as_judged(
    project: Project, ben: User, cleo: User
) -> None:
    fix = opened(project).fix
    world.judge_all(project, ben)
    slot, other = project.assignments.order_by("pk")[:2]
    return_with_comment(project=project, assignment_id=slot.pk, reviewer=cleo, comment="Look again.")
    withdraw(project=project, by=None, item_id=other.item_id)
    found = entry(fix)
    assert (found.standing, found.trace.judged) == ("labeled", 18)
    assert found.sentence == "18 of 20 items of Wrong citation are judged; freeze a dataset version of them."
    withdraw(project=project, by=None, username="ben")
    found = entry(fix)
    assert (found.standing, found.sentence) == ("not begun", "20 items of Wrong citation wait to be judged.")


@pytest.mark.parametrize("unusual", [{"contexts": "none"}, {"contexts": "gold"}, {"only": ("one",)}], ids=str)
def test_a_run_with_other_contexts_or_chosen_cases_opens_no_fix(
    project: Project, emma: User, unusual: dict[str, Any]
) -> None:
    run = failed_run(project, **unusual)
    with pytest.raises(
        Refused, match="gave its targets other contexts than a product does, or chosen cases only"
    ):
        opened(project, run)
    client, place = world.sign_in(emma), reverse("evaluation:fix_new", args=[project.slug])
    assert "No evaluation to begin with yet" in client.get(place).text
    usual = failed_run(project, version=run.version)
    page = client.get(place, {"target": f"{run.pk}.0"}).text
    assert "What was asked for opens no fix; choose another" in page
    assert f'value="t{run.pk}.0"' not in page
    assert "opens no fix" not in client.get(place, {"target": f"{usual.pk}.0"}).text
    assert (living(run.suite).count(), Fix.objects.count()) == (100, 0)


def test_a_run_of_another_project_or_without_an_end_is_refused(project: Project) -> None:
    run = finished(project, {"base": passing(0.5)}, version=planted(project))
    with pytest.raises(Refused, match="of another project"):
        opened(project, run, category=category_of(world.make_project("Another")))
    EvalRun.objects.filter(pk=run.pk).update(status="running")
    with pytest.raises(Refused, match="has no complete results yet"):
        opened(project, EvalRun.objects.get(pk=run.pk))
