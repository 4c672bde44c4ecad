"""Leo sees who stands where, as ranges: what the data leave open is not decided for him."""

from typing import Any

import numpy as np
import pytest
from django.urls import reverse
from scipy import stats

from evaluation.leaderboard import Board, board, rank_intervals, student
from evaluation.leaderboard_ratings import rated
from evaluation.models import CaseScore, EvalRun, Split, SuiteVersion
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import better_than, checkpoint, finished, passing, suite_of

FIRST = passing(0.5)


def ranks(found: Board | None) -> dict[str, str]:
    assert found is not None
    return {entry.name: entry.rank_words for entry in found.entries}


def page(project: Project, who: User, query: str = "") -> Any:
    return world.sign_in(who).get(reverse("evaluation:leaderboard", args=[project.slug]) + query)


def test_ranks_are_ranges_where_the_data_leave_them_open(project: Project) -> None:
    targets = {"champion": FIRST, "alike": better_than(FIRST, 0.03, 0.03), "best": better_than(FIRST, 0.7)}
    run = finished(project, targets, cases=200)
    found = ranks(board(run.version))
    assert found["best"] == "1"
    assert found["champion"] == found["alike"] == "2 to 3"


def test_targets_of_several_runs_stand_on_one_board_once_each(project: Project) -> None:
    version = suite_of(project, 100)
    finished(project, {"champion": FIRST, "old": better_than(FIRST, 0.1)}, version=version, name="Earlier")
    later = finished(
        project, {"champion": FIRST, "new": better_than(FIRST, 0.8)}, version=version, name="Later"
    )
    found = board(version)
    assert found is not None
    assert sorted(ranks(found)) == ["champion", "new", "old"]
    assert {entry.name: entry.side.run.name for entry in found.entries}["champion"] == later.name


def test_sealed_runs_never_appear(project: Project, leo: User) -> None:
    run = finished(project, {"a": FIRST, "b": passing(0.9, 2)}, split=Split.SEALED)
    assert board(run.version) is None
    assert "Nobody has been scored yet" in page(project, leo).text


def test_who_was_measured_otherwise_is_left_out_with_the_reason(project: Project) -> None:
    version = suite_of(project, 60)
    finished(project, {"champion": FIRST, "old": FIRST}, version=version, sampling={"max_tokens": 9})
    finished(project, {"champion": FIRST, "new": FIRST}, version=version)
    found = board(version)
    assert found is not None
    assert [(side.name, "different ways" in reason) for side, reason in found.left_out] == [("old", True)]


def test_the_champion_is_marked_and_others_are_held_against_it(project: Project, leo: User) -> None:
    known = {"champion": checkpoint(project, "champion", production=True)}
    run = finished(project, {"champion": FIRST, "new": better_than(FIRST, 0.5)}, checkpoints=known, cases=80)
    text = page(project, leo).text
    assert '<span class="tag">champion</span>' in text
    assert f'type="hidden" name="s" value="{run.pk}.0"' in text
    assert f'type="checkbox" name="s" value="{run.pk}.1"' in text


def test_a_metric_of_which_less_is_better_has_the_lowest_first(project: Project) -> None:
    run = finished(
        project, {"champion": FIRST, "tuned": better_than(FIRST, 0.5)}, metrics=["exact", "perplexity"]
    )
    found = board(run.version, "perplexity")
    assert found is not None
    assert [entry.name for entry in found.entries] == ["tuned", "champion"]


def test_ranks_are_kept_and_the_marks_are_read_once(
    project: Project, django_assert_max_num_queries: Any
) -> None:
    run = finished(project, {"champion": FIRST, "tuned": better_than(FIRST, 0.5)}, cases=80)
    before = ranks(board(run.version))
    CaseScore.objects.all().delete()
    with django_assert_max_num_queries(6):
        assert ranks(board(run.version)) == before


def test_students_quantile_is_close_from_nine_degrees_on() -> None:
    for freedom in (9, 20, 200):
        for alpha in (0.05, 0.05 / 45, 0.05 / 1000):
            z = float(stats.norm.ppf(1 - alpha / 2))
            assert student(z, freedom) == pytest.approx(stats.t.ppf(1 - alpha / 2, freedom), rel=0.01)


def test_equal_targets_are_told_apart_no_oftener_than_they_should_be() -> None:
    """Over 300 boards of five equal targets, some pair is told apart on at most 5 % and a little for chance."""
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(300):
        sums = rng.normal(size=(5, 120)) + rng.normal(size=120)
        wrong += any(rank != (1, 5) for rank in rank_intervals(sums, np.ones((5, 120)), np.arange(120) // 2))
    assert wrong <= 300 * 0.08


def test_few_clusters_tell_nobody_apart() -> None:
    sums = np.array([[0.0] * 40, [1.0] * 39 + [0.0]])
    assert rank_intervals(sums, np.ones((2, 40)), np.arange(40) % 9) == [(1, 2), (1, 2)]
    assert rank_intervals(sums, np.ones((2, 40)), np.arange(40)) == [(2, 2), (1, 1)]


def test_ratings_join_the_comparisons_of_several_runs(project: Project, leo: User) -> None:
    version = suite_of(project, 60)
    for name, share in (("first", 0.4), ("second", 0.7)):
        values = passing(share, 3)
        finished(
            project,
            {"champion": lambda n, m: None, name: values},
            version=version,
            metrics=["pairwise"],
            name=name,
        )
    found = page(project, leo, "?view=bt")
    ratings = found.context["ratings"]
    assert [rating.name for rating in ratings.ratings] == ["second", "champion", "first"]
    assert ratings.left_out == []


def judged(project: Project, version: SuiteVersion, judge: int, share: float, **spec: Any) -> EvalRun:
    """A run in which a judge prefers x to the champion on this share of cases."""
    values = passing(share, 3)
    run = finished(
        project,
        {"champion": lambda n, m: None, "x": values},
        version=version,
        metrics=["pairwise"],
        name=f"Run {judge}",
    )
    run.spec["metrics"][0]["judge"] = judge
    run.spec |= spec
    run.save()
    return run


def test_ratings_leave_out_what_another_judge_said_and_other_sampling(project: Project, leo: User) -> None:
    version = suite_of(project, 60)
    judged(project, version, 1, 0.7)
    judged(project, version, 2, 0.6, sampling={"max_tokens": 9})
    judged(project, version, 2, 0.6, contexts="retrieved")
    judged(project, version, 2, 0.3)
    found = page(project, leo, "?view=bt")
    ratings = found.context["ratings"]
    assert [each.name for each in ratings.ratings] == ["champion", "x"]
    reasons = [why for _, why in ratings.left_out]
    assert ["contexts" in reasons[0], "sampled" in reasons[1], "by judge 1" in reasons[2]] == [True] * 3
    assert "3 not in these ratings" in found.text


def test_models_of_one_name_are_rated_each_by_itself(project: Project) -> None:
    version = suite_of(project, 60)
    for share in (0.3, 0.8):
        run = judged(project, version, 1, share)
        run.targets.filter(index=1).update(identity=f"{share:.1f} of another")
    found = rated(board(version))
    assert [each.name for each in found.ratings] == ["x (0.8 of a)", "champion", "x (0.3 of a)"]


def test_with_davidsons_ties_a_tie_has_a_chance_of_its_own(project: Project, emma: User) -> None:
    version = suite_of(project, 60)
    run = judged(project, version, 1, 0.5)
    scores = CaseScore.objects.filter(result__run=run, result__target__index=1).order_by("pk")
    for place, score in enumerate(scores):
        CaseScore.objects.filter(pk=score.pk).update(
            detail={"verdict": ("tie", "win", "win", "loss")[place % 4]}
        )
    address = reverse("evaluation:leaderboard", args=[project.slug])
    halves, own = (
        world.sign_in(emma).get(f"{address}?view=bt{ties}").context["ratings"]
        for ties in ("", "&ties=davidson")
    )
    assert (halves.tie, round(own.tie, 2)) == (None, 0.26)
    assert own.ratings[0].estimate.value > halves.ratings[0].estimate.value
    api = world.sign_in(emma).get(reverse("api-leaderboard", args=[project.slug]) + "?ties=davidson").json()
    assert [each["target"] for each in api["ratings"]["ratings"]] == [each.name for each in own.ratings]
    assert (api["metric"], api["entries"][0]["target"]) == ("pairwise", "x")


def test_the_api_says_that_nobody_was_scored(project: Project, leo: User, mallory: User) -> None:
    address = reverse("api-leaderboard", args=[project.slug])
    assert "Nobody has been scored" in world.sign_in(leo).get(address).text
    assert world.sign_in(mallory).get(address).status_code == 404


def test_ben_and_mallory_see_no_board(project: Project, ben: User, mallory: User) -> None:
    assert page(project, ben).status_code == 403
    assert page(project, mallory).status_code == 404


def test_a_board_of_an_address_that_is_nonsense_is_the_usual_one(project: Project, leo: User) -> None:
    finished(project, {"champion": FIRST, "tuned": better_than(FIRST, 0.5)})
    found = page(project, leo, "?suite=x&version=99&metric=nothing&view=bt")
    assert found.status_code == 200
    assert EvalRun.objects.count() == 1
