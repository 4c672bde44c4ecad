"""Leo reads one sentence, what supports it, and how far he can trust it."""

from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evaluation.models import CaseScore, EvalRun, Score, Split
from evaluation.verdicts import Screen, screen
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import always, better_than, checkpoint, finished, passing, suite_of
from tests.evaluation.judged import a_judge

CHAMPION = passing(0.55)
BETTER = better_than(CHAMPION, 0.5, 0.02)


def weekly(project: Project, **changes: Any) -> EvalRun:
    options: dict[str, Any] = {"cases": 200, "metrics": ["exact", "perplexity"], **changes}
    return finished(project, {"champion": CHAMPION, "tuned": BETTER}, **options)


def read(project: Project, who: User, run: EvalRun, query: str = "") -> Any:
    return world.sign_in(who).get(reverse("evaluation:evaluation", args=[project.slug, run.pk]) + query)


def facts(found: Screen) -> dict[str, str]:
    return {fact.label: fact.words for fact in found.trust}


def test_leo_reads_that_the_candidate_is_better_in_a_word_a_sign_and_a_sentence(
    project: Project, leo: User
) -> None:
    page = read(project, leo, weekly(project))
    assert page.status_code == 200
    assert 'data-kind="better"' in page.text
    assert "▲" in page.text
    assert "tuned is better than champion in exact" in page.text


def test_leo_is_not_told_a_difference_that_the_data_leave_open(project: Project, leo: User) -> None:
    run = finished(project, {"champion": CHAMPION, "tuned": better_than(CHAMPION, 0.1, 0.06)}, cases=60)
    found = screen(run, {})
    assert (found.headline.kind, found.headline.word) == ("inconclusive", "Inconclusive")
    assert 'data-kind="better"' not in read(project, leo, run).text.split("Everything else")[0]


def test_a_loss_is_called_worse(project: Project) -> None:
    run = finished(project, {"champion": CHAMPION, "tuned": better_than(CHAMPION, 0.0, 0.4)}, cases=200)
    assert screen(run, {}).headline.kind == "worse"


def test_every_number_beside_the_primary_has_its_interval_and_n(project: Project) -> None:
    rails = {rail.name: rail for rail in screen(weekly(project), {}).rails}
    assert [*rails] == [
        "perplexity",
        "Answer length",
        "Latency p50",
        "Latency p95",
        "Truncated",
        "Cost per 1,000",
    ]
    assert all(rail.interval.startswith("[") and rail.n == 200 for rail in rails.values())
    assert rails["perplexity"].word == "better"
    assert rails["Latency p50"].kind == ""  # not tested, and so nothing is claimed


def test_several_weighted_metrics_are_read_as_one(project: Project) -> None:
    found = screen(
        weekly(project, metrics=["exact", "contains"], weights={"exact": 2.0, "contains": 1.0}), {}
    )
    assert "tuned is better than champion in primary" in found.headline.sentence
    assert [rail.name for rail in found.rails][:2] == ["exact", "contains"]
    assert found.charts["causes"].rows


def test_a_suite_of_one_case_gives_no_verdict(project: Project) -> None:
    found = screen(finished(project, {"champion": always(1.0), "tuned": always(1.0)}, cases=1), {})
    assert found.headline.sentence == "No verdict: 1 case cannot tell tuned from champion."
    assert "One case is an anecdote" in found.remarks[0]


def test_two_targets_that_never_differ_are_said_to_be_the_same(project: Project) -> None:
    found = screen(finished(project, {"champion": CHAMPION, "copy": CHAMPION}, cases=60), {})
    assert (found.headline.kind, found.headline.sign) == ("same", "=")
    assert "the same value on all 60 cases" in found.headline.sentence
    assert "not champion under another name" in found.remarks[0]
    assert (found.worse, found.better) == ([], [])


def test_one_that_differs_in_another_metric_is_no_copy(project: Project) -> None:
    metrics = ("exact", "perplexity")
    run = finished(project, {"champion": CHAMPION, "tuned": CHAMPION}, cases=60, metrics=metrics)
    scores = CaseScore.objects.filter(result__run=run, result__target__index=1, metric="perplexity")
    scores.update(value=F("value") * 0.9)
    Score.objects.filter(run=run, versus__isnull=False, metric="perplexity").update(fixed=60, broken=0)
    found = screen(run, {})
    assert found.headline.kind == "same"
    assert not [said for said in found.remarks if "under another name" in said]


@pytest.mark.parametrize(("value", "words"), [(1.0, "passes every case"), (0.0, "fails every case")])
def test_a_suite_that_cannot_tell_targets_apart_is_named(project: Project, value: float, words: str) -> None:
    found = screen(finished(project, {"champion": always(value), "tuned": always(value)}, cases=40), {})
    assert any(words in remark for remark in found.remarks)


def test_a_run_without_values_says_why(project: Project, leo: User) -> None:
    run = finished(project, {"champion": always(None), "tuned": always(None)}, cases=30)
    found = screen(run, {})
    assert (
        found.headline.sentence == "No verdict: no case has a value of exact. The reasons are listed below."
    )
    assert found.charts == {}
    assert found.reasons[0][0] == "30 of 30 Error: the judge said nothing"
    assert read(project, leo, run).status_code == 200


def test_a_lone_target_gives_no_verdict(project: Project, leo: User) -> None:
    run = finished(project, {"champion": CHAMPION}, cases=30)
    assert "only champion was scored" in screen(run, {}).headline.sentence
    assert read(project, leo, run).status_code == 200


def test_slices_stand_around_zero_and_only_those_that_survive_the_correction_are_marked(
    project: Project,
) -> None:
    tags = lambda n: ["refunds"] if n % 2 else ["billing"]  # noqa: E731
    gain = lambda n, m: 1.0 if n % 2 else CHAMPION(n, m)  # noqa: E731
    found = screen(finished(project, {"champion": CHAMPION, "tuned": gain}, cases=200, tags=tags), {})
    roles = {row["slice"]: row["role"] for row in found.charts["slices"].spec["data"]["values"]}
    assert roles == {"refunds": "better", "billing": "open"}


def test_failing_cases_are_counted_by_what_they_share(project: Project) -> None:
    tags = lambda n: ["german"] if n < 50 else ["english"]  # noqa: E731
    fails = lambda n, m: 0.0 if n < 30 or n == 150 else 1.0  # noqa: E731
    found = screen(finished(project, {"champion": CHAMPION, "tuned": fails}, cases=200, tags=tags), {})
    assert [row.cells[:2] for row in found.charts["causes"].rows] == [("german", "30"), ("english", "1")]
    assert found.causes == "31 of 200 cases fail. Ticks: the share of all cases."


def test_the_largest_changes_are_read_as_text_five_of_each(project: Project, leo: User) -> None:
    run = weekly(project)
    found = screen(run, {})
    delta = found.lines[1].primary.delta
    assert delta is not None
    assert delta.broken is not None
    assert (len(found.worse), len(found.better)) == (min(5, delta.broken), 5)
    page = read(project, leo, run)
    first = found.better[0]
    assert first.values == ("failed", "passed")
    assert first.answers[1] in page.text
    assert reverse("evaluation:result_case", args=[project.slug, run.pk, first.case_id]) in page.text


def test_sealed_cases_stay_unread(project: Project, leo: User) -> None:
    run = weekly(project, split=Split.SEALED)
    page = read(project, leo, run)
    assert "tuned says" not in page.text
    assert "Texts of sealed cases are not shown" in page.text


def test_the_footer_says_what_the_verdict_rests_on(project: Project) -> None:
    found = facts(screen(weekly(project, dirty={"tuned": 3}), {}))
    assert found["Cases"] == "200, 200 of them scored, 200 independent of each other"
    assert found["Suite"].startswith("Support v1, open cases, hash ")
    assert found["Seen in training"] == "of 200 cases: champion 0, tuned 3"
    assert found["Without a value"] == "none"
    assert found["Sampling"] == "the likeliest token each time, up to 256 tokens, seed 0"


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("transformers", "from the start of a batch of up to 16 to the end of each answer"),
        ("vllm", "from a request to its answer, with up to 32 under way"),
    ],
)
def test_the_footer_says_what_the_time_of_an_answer_is(project: Project, engine: str, words: str) -> None:
    run = weekly(project)
    run.engine = engine
    assert facts(screen(run, {}))["Latency"] == words


def test_the_footer_speaks_of_who_judged_this_run_not_of_who_would_judge_today(project: Project) -> None:
    run, judge = weekly(project), a_judge(project, engine="transformers")
    run.spec["metrics"][0]["judge"] = judge.pk
    run.spec["judges"] = {f"judge:{judge.pk}": {"identity": "somebody else"}}
    run.save()
    assert "nobody held against people what stood there then" in facts(screen(run, {}))["Judge of exact"]


def test_few_clusters_and_missing_values_are_doubts(project: Project) -> None:
    some = lambda n, m: None if n % 4 == 0 else 1.0  # noqa: E731
    found = screen(finished(project, {"champion": CHAMPION, "tuned": some}, cases=12), {})
    doubts = {fact.label for fact in found.trust if fact.doubt}
    assert {"Cases", "Without a value"} <= doubts
    assert "too few clusters" in facts(found)["Cases"]


def test_people_are_the_ceiling_of_preference_only(project: Project, ben: User, bea: User) -> None:
    shared = world.make_project("Shared", overlap=2)
    world.fill(shared, 30)
    for who in (ben, bea):
        world.judge_all(shared, who, ["0", "1", "0"] * 10)
    preference = screen(finished(shared, {"champion": CHAMPION, "tuned": BETTER}, metrics=["preference"]), {})
    exact = screen(
        finished(shared, {"champion": CHAMPION, "tuned": BETTER}, version=suite_of(shared, 60, name="B")), {}
    )
    assert "two people agree: 100 %" in str(preference.charts["primary"].spec)
    assert "people agree" not in str(exact.charts["primary"].spec)


def test_the_curve_shows_each_checkpoint_by_the_judgments_it_was_trained_on(project: Project) -> None:
    version = suite_of(project, 60)
    small, large = (checkpoint(project, name, rows=rows) for name, rows in (("small", 500), ("large", 2000)))
    known = {"small": small, "large": large}
    finished(project, {"base": CHAMPION, "small": BETTER}, version=version, checkpoints=known)
    run = finished(
        project, {"base": CHAMPION, "large": BETTER}, version=version, checkpoints=known, name="Later"
    )
    values = screen(run, {}).charts["curve"].values
    assert [(row["checkpoint"], row["judgments"]) for row in values] == [
        ("small", 500),
        ("base", 0),
        ("large", 2000),
    ]


def test_filters_live_in_the_address(project: Project, leo: User) -> None:
    targets = {"champion": CHAMPION, "tuned": BETTER, "other": better_than(CHAMPION, 0.1)}
    run = finished(project, targets, cases=100, metrics=["exact", "perplexity"])
    page = read(project, leo, run, "?target=2&metric=perplexity").context["screen"]
    assert (page.line.name, page.asked.metric.name) == ("other", "perplexity")
    assert "slices" not in page.charts
    sliced = read(project, leo, run, "?slice=refunds").context["screen"]
    assert sliced.charts["primary"].title.startswith("exact on refunds")
    assert read(project, leo, run, "?target=99&metric=nothing&slice=%00").status_code == 200


def test_a_running_evaluation_asks_again_and_a_finished_one_stops(
    project: Project, leo: User, emma: User
) -> None:
    run = weekly(project)
    EvalRun.objects.filter(pk=run.pk).update(status=Status.RUNNING, stage="judging", progress=0.4)
    page = read(project, emma, run)
    assert "every 3s" in page.text
    assert "Judges read the answers" in page.text
    assert reverse("evaluation:cancel", args=[project.slug, run.pk]) in page.text
    assert "Cancel evaluation" not in read(project, leo, run).text
    EvalRun.objects.filter(pk=run.pk).update(status=Status.SUCCEEDED)
    after = read(project, leo, run)
    assert "every 3s" not in after.text
    assert "HX-Request" in after["Vary"]


def test_a_failed_evaluation_says_what_failed(project: Project, leo: User) -> None:
    run = weekly(project)
    run.scores.all().delete()
    EvalRun.objects.filter(pk=run.pk).update(status=Status.FAILED, error="The endpoint did not answer.")
    assert "The endpoint did not answer." in read(project, leo, run).text


def test_ben_and_mallory_do_not_read_verdicts(project: Project, ben: User, mallory: User) -> None:
    run = weekly(project)
    assert read(project, ben, run).status_code == 403
    assert read(project, mallory, run).status_code == 404


def test_a_run_of_another_project_is_not_found(project: Project, leo: User) -> None:
    run = weekly(world.make_project("Other"))
    assert read(project, leo, run).status_code == 404


def test_more_cases_cost_no_more_queries(project: Project, leo: User) -> None:
    counts = []
    for cases in (20, 200):
        run = finished(
            project,
            {"champion": CHAMPION, "tuned": BETTER},
            version=suite_of(project, cases, name=f"{cases}"),
        )
        with CaptureQueriesContext(
            connection,
        ) as queries:
            read(project, leo, run)
        counts.append(len(queries))
        texts = [q["sql"] for q in queries if "evaluation_output" in q["sql"] and '"text"' in q["sql"]]
        assert len(texts) == 1
        assert " IN (" in texts[0]
    assert counts[0] == counts[1]
