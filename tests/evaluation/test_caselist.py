"""The list of cases: what fits, in which order, beside which neighbours, and at which cost."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evaluation.caselist import Asked, listed, marks_of, page_of, read_asked
from evaluation.comparison import find_sides
from evaluation.models import Case, EvalRun
from evaluation.sheets import KEPT
from labeling.models import Project
from tests.evaluation.finished import edited, finished, suite_of
from tests.evaluation.gating import listed as given
from tests.evaluation.gating import pair

pytestmark = pytest.mark.django_db
FIRST = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, None, 1.0]
SECOND = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, None]


def shown(project: Project, run: EvalRun, keys: tuple[str, ...] = ("0", "1"), **asked) -> list[int]:
    sides = find_sides(project, [f"{run.pk}.{key}" for key in keys], least=1)
    return [row.number - 1 for row in listed(sides, Asked(metric=asked.pop("metric", "exact"), **asked)).rows]


@pytest.mark.parametrize(
    ("show", "cases"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("different", [1, 3, 5]),
        ("broken", [1]),
        ("fixed", [3, 5]),
        ("failing", [1, 4]),
        ("errors", [6, 7]),
        ("unscorable", []),
    ],
)
def test_each_way_to_show_them_has_its_cases_and_their_number(
    project: Project, show: str, cases: list[int]
) -> None:
    run, _ = pair(project, FIRST, SECOND)
    assert shown(project, run, show=show) == cases
    listing = listed(find_sides(project, [f"{run.pk}.0", f"{run.pk}.1"]), Asked(metric="exact"))
    assert listing.counts[show] == len(cases)


def test_regressions_come_first_and_missing_values_last(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    assert shown(project, run, sort="regression") == [1, 0, 2, 4, 3, 5, 6, 7]
    assert shown(project, run, sort="improvement") == [3, 5, 0, 2, 4, 1, 6, 7]


def test_less_is_better_turns_the_sign(project: Project) -> None:
    values = {
        name: {"perplexity": [20.0 + turn * n for n in range(8)]}
        for name, turn in (("champion", 1), ("candidate", -1))
    }
    run, _ = pair(project, [1.0] * 8, [1.0] * 8, metrics=("exact", "perplexity"), others=values)
    assert shown(project, run, metric="perplexity", show="fixed") == [1, 2, 3, 4, 5, 6, 7]


def test_three_sides_count_as_broken_where_any_of_them_is(project: Project) -> None:
    run = finished(project, {"a": given(FIRST), "b": given(SECOND), "c": given([0.0] * 8)}, cases=8)
    assert shown(project, run, ("0", "1", "2"), show="broken") == [0, 1, 2, 7]


def test_slices_and_words_narrow_it_and_come_in_counts(project: Project) -> None:
    version = suite_of(project, 8, tags=lambda n: ["odd"] if n % 2 else [])
    run, _ = pair(project, FIRST, SECOND, version=version)
    assert shown(project, run, slice="odd") == [1, 3, 5, 7]
    assert shown(project, run, q="question 5") == [5]
    uid = Case.objects.get(suite=version.suite, position=2).uid
    assert shown(project, run, q=uid) == [2]
    listing = listed(find_sides(project, [f"{run.pk}.0", f"{run.pk}.1"]), Asked(metric="exact", slice="odd"))
    assert listing.counts["broken"] == 1
    assert listing.slices == [("odd", 4)]


def test_a_search_spells_out_no_sealed_case(project: Project) -> None:
    version = suite_of(project, 8, sealed=8)
    run, _ = pair(project, FIRST, SECOND, version=version, split="sealed")
    uid = Case.objects.get(suite=version.suite, position=2).uid
    assert shown(project, run, q="question 5") == []
    assert shown(project, run, q=uid) == [2]
    assert shown(project, run, q="question 5", secret=True) == [5]


def test_neighbours_stay_within_the_filter(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    listing = listed(
        find_sides(project, [f"{run.pk}.0", f"{run.pk}.1"]), Asked(metric="exact", show="different")
    )
    keys = [row.id for row in listing.rows]
    assert listing.neighbours(keys[1]) == (keys[0], keys[2], 2)
    assert listing.neighbours(keys[0]) == (None, keys[1], 1)
    assert listing.neighbours(keys[2]) == (keys[1], None, 3)
    assert listing.neighbours(-1) == (None, keys[0], None)


def test_an_edited_case_of_another_version_is_not_paired(project: Project) -> None:
    version = suite_of(project, 8)
    one, _ = pair(project, FIRST, FIRST, version=version)
    newer, _ = edited(version, position=3)
    two, _ = pair(project, FIRST, [0.0] * 8, version=newer, names=("champion", "other"))
    sides = find_sides(project, [f"{one.pk}.0", f"{two.pk}.1"])
    rows = listed(sides, Asked(metric="exact")).rows
    assert [row.gains[0] for row in rows] == [-1.0, -1.0, -1.0, None, 0.0, 0.0, None, -1.0]


def test_addresses_that_make_no_sense_mean_the_usual(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    sides = find_sides(project, [f"{run.pk}.0", f"{run.pk}.1"])
    given = {"metric": "x", "show": "x", "sort": "x", "page": "-1", "q": "a\0b"}
    assert read_asked(given, sides) == Asked(metric="exact", sort="regression", q="ab")
    assert read_asked({}, sides[:1]).sort == "order"


def test_the_second_look_reads_no_marks(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    sides = find_sides(project, [f"{run.pk}.0", f"{run.pk}.1"])
    listed(sides, Asked(metric="exact"))
    with CaptureQueriesContext(connection) as asked:
        listing = listed(sides, Asked(metric="exact", show="fixed"))
        page_of(listing, listing.rows)
    assert len(asked) == 1
    assert "prompt" not in asked[0]["sql"].split("FROM")[0]


def test_a_run_that_still_runs_is_not_kept(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    EvalRun.objects.filter(pk=run.pk).update(status="running")
    KEPT.clear()
    (side,) = find_sides(project, [f"{run.pk}.1"], least=1)
    marks_of(side, "exact")
    with CaptureQueriesContext(connection) as asked:
        marks_of(side, "exact")
    assert len(asked) > 0
