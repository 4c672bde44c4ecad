"""The work page: what is done and left, how fast, until when, and who is stuck."""

from datetime import date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from labeling.allocation import pause, resume, set_overlap
from labeling.estimates import Estimate
from labeling.gold import mark_gold
from labeling.intake import VerdictDraft
from labeling.models import Assignment, Judgment, Membership, Project, Seat, User
from labeling.progress import sent_back
from labeling.quality import Latest
from labeling.queue import claim_next
from labeling.views.work import duration, pace_chart
from labeling.work import Pace, finish_of, pace_of, usual_day, work_of
from tests import world

pytestmark = pytest.mark.data_layer
TODAY = date(2026, 11, 21)


def claim(project: Project, who: User) -> Assignment:
    slot = claim_next(project=project, person=who)
    assert slot is not None
    return slot


def url(project: Project) -> str:
    return reverse("labeling:work", args=[project.slug])


def judge_days_ago(project: Project, who: User, days: float, count: int) -> None:
    """Let somebody judge as if it had been then."""
    then = timezone.now() - timedelta(days=days)
    with patch("django.utils.timezone.now", return_value=then):
        for _ in range(count):
            assert world.judge_next(project, who) is not None


def imported(project: Project, count: int) -> None:
    """Items that come with a judgment each."""
    verdict = VerdictDraft(person="somebody", kind="pairwise", label="0")
    world.put(project, *[world.draft(n, verdicts=[verdict]) for n in range(1000, 1000 + count)])


def test_counts_say_what_is_done_held_and_left(project: Project, ben: User, bea: User) -> None:
    world.fill(project, 5)
    world.judge_next(project, ben)
    world.judge_next(project, ben)
    claim(project, bea)
    amount = work_of(project).amount
    assert (amount.items, amount.items_done, amount.judgments, amount.left, amount.held) == (5, 2, 2, 3, 1)
    assert amount.share == 0.4


def test_an_item_is_done_when_everybody_it_wants_has_answered(ben: User, bea: User) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 2)
    world.judge_all(project, ben)
    assert work_of(project).amount.items_done == 0
    world.judge_next(project, bea)
    held = claim(project, bea)  # the last slot is held, none of its item is free
    amount = work_of(project).amount
    assert (amount.items_done, amount.left, amount.held) == (1, 1, 1)
    assert held is not None


def test_raising_the_overlap_opens_items_again(project: Project, ben: User) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben)
    assert work_of(project).amount.items_done == 3
    set_overlap(project=project, overlap=2)
    amount = work_of(project).amount
    assert (amount.items_done, amount.left) == (0, 3)


def test_the_pace_is_of_full_days_and_today_stands_apart(project: Project, ben: User) -> None:
    world.fill(project, 40)
    for days, count in ((4, 6), (3, 8), (1, 4)):
        judge_days_ago(project, ben, days, count)
    world.judge_next(project, ben)
    pace = pace_of(project)
    assert [count for _, count in pace.days[-6:]] == [0, 6, 8, 0, 4, 1]
    assert pace.today == 1
    assert pace.per_day is not None
    assert (pace.per_day.value, pace.per_day.n) == (4.5, 4)


def test_there_is_no_pace_before_three_full_days(project: Project, ben: User) -> None:
    world.fill(project, 10)
    judge_days_ago(project, ben, 2, 3)
    world.judge_next(project, ben)
    found = work_of(project)
    assert found.pace.per_day is None
    assert found.finish is None


def test_a_usual_day_has_students_interval() -> None:
    # Mean 20, standard deviation 5.477 of five days: t(4) = 2.776, half width 6.80.
    found = usual_day([14, 16, 20, 22, 28])
    assert found is not None
    assert (found.value, found.n) == (20, 5)
    assert found.low == pytest.approx(13.2, abs=0.01)
    assert found.high == pytest.approx(26.8, abs=0.01)
    short = usual_day([0, 0, 9])
    assert short is not None
    assert short.low == 0
    assert short.high == pytest.approx(15.909, abs=0.001)


def test_the_finish_comes_with_its_earliest_and_latest_day() -> None:
    pace = Estimate(value=20, low=10, high=25, n=7)
    found = finish_of(left=100, per_day=pace, today=TODAY)
    assert found is not None
    assert (found.expected, found.earliest, found.latest) == (
        date(2026, 11, 26),
        date(2026, 11, 25),
        date(2026, 12, 1),
    )


@pytest.mark.parametrize(
    ("left", "pace"),
    [(0, Estimate(20, 10, 25, 7)), (100, None), (100, Estimate(0, 0, 0, 7)), (10**9, Estimate(1, 0, 2, 7))],
)
def test_there_is_no_finish_where_nobody_can_tell(left: int, pace: Estimate | None) -> None:
    assert finish_of(left=left, per_day=pace, today=TODAY) is None


def test_an_uneven_pace_has_no_latest_day() -> None:
    found = finish_of(left=10, per_day=Estimate(2, 0, 5, 3), today=TODAY)
    assert found is not None
    assert found.latest is None


def test_judgments_that_came_with_a_file_are_no_pace(project: Project, ben: User) -> None:
    imported(project, 6)
    world.fill(project, 3)
    assert Judgment.objects.filter(project=project).count() == 6
    assert pace_of(project).today == 0
    world.judge_next(project, ben)
    assert pace_of(project).today == 1


def hold_since(slot: Assignment, minutes: int) -> None:
    Assignment.objects.filter(pk=slot.pk).update(leased_at=timezone.now() - timedelta(minutes=minutes))


def test_who_holds_an_item_far_longer_than_usual_is_stuck(project: Project, ben: User, bea: User) -> None:
    world.fill(project, 30)
    for _ in range(25):
        world.judge_next(project, ben)
    Assignment.objects.filter(submitted_at__isnull=False).update(
        leased_at=F("submitted_at") - timedelta(minutes=3)
    )
    hers = claim(project, bea)
    hold_since(hers, 14)
    assert work_of(project).holding == []
    hold_since(hers, 16)
    (stuck,) = work_of(project).holding
    assert stuck.name == "bea"
    Assignment.objects.filter(pk=hers.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert work_of(project).holding == []


def test_before_there_is_a_usual_time_the_lease_says_what_is_long(project: Project, bea: User) -> None:
    world.fill(project, 1)
    hold_since(claim(project, bea), 29)
    assert work_of(project).holding == []
    hold_since(Assignment.objects.get(person=bea), 31)
    assert [stuck.name for stuck in work_of(project).holding] == ["bea"]


def test_lines_come_from_the_counters_and_those_who_left_keep_theirs(
    project: Project, ben: User, bea: User
) -> None:
    world.fill(project, 6)
    for _ in range(3):
        world.judge_next(project, ben)
    world.judge_next(project, bea)
    Seat.objects.filter(person=ben).update(active_ms=180_000)
    sent_back(project=project, person=ben)
    Membership.objects.get(user=bea).delete()
    lines = {line.name: line for line in work_of(project).people}
    assert (lines["ben"].judged, lines["ben"].today, lines["ben"].per_hour) == (3, 3, 60)
    assert (lines["ben"].returned, lines["ben"].role_label) == (1, "Annotator")
    assert (lines["bea"].judged, lines["bea"].role_label) == (1, "No longer here")
    assert "leo" not in lines
    assert list(lines)[:2] == ["ben", "bea"]


def test_hours_left_go_by_the_active_time_of_an_answer(project: Project, ben: User) -> None:
    world.fill(project, 12)
    for _ in range(2):
        world.judge_next(project, ben)
    assert work_of(project).hours_left is None
    Seat.objects.filter(person=ben).update(active_ms=2 * 36_000)
    assert work_of(project).hours_left == pytest.approx(0.1)


def test_ada_sees_at_a_glance_how_it_goes_and_who_is_stuck(
    project: Project, ada: User, ben: User, cleo: User
) -> None:
    project = world.make_project("Checked", overlap=4, gold_share=0.5, gold_pass=0.9)
    items = world.fill(project, 60)
    for item in items[30:]:
        mark_gold(project=project, item_id=item.pk, person=cleo, label="1")
    for _ in range(45):
        world.judge_next(project, ben, "0")
    sent_back(project=project, person=ben)
    page = world.sign_in(ada).get(url(project)).text
    assert "0 of 60 items" in page
    assert "<strong>ben</strong> has 1 returned answer to change" in page
    assert "of known answers right; 90 % are asked" in page
    assert "needs three full days of work" in page
    Membership.objects.exclude(user__in=[ada, ben]).filter(project=project).delete()
    page = world.sign_in(ada).get(url(project)).text
    assert "Each item wants 4 people, but only 2 may judge" in page
    assert "Invite people: each item wants 4, 2 can judge" in page


def test_agreement_is_asked_for_by_the_page_itself(project: Project, ada: User) -> None:
    world.fill(project, 1)
    client = world.sign_in(ada)
    assert 'hx-trigger="load"' in client.get(url(project)).text
    part = client.get(url(project) + "?part=agreement", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<dd id="agreement"')
    assert "not enough data" in part.text
    assert "hx-trigger" not in part.text


def test_a_large_project_says_that_a_worker_is_measuring_and_asks_again(project: Project, ada: User) -> None:
    world.fill(project, 1)
    nothing_yet = Latest(measure=None, at=None, stale=False, waiting=True)
    with patch("labeling.quality.latest", return_value=nothing_yet):
        part = world.sign_in(ada).get(url(project) + "?part=agreement", headers={"HX-Request": "true"})
    assert "a worker is measuring it" in part.text
    assert 'hx-trigger="every 5s"' in part.text


def test_an_empty_a_paused_and_a_finished_project_say_so(project: Project, ada: User, ben: User) -> None:
    client = world.sign_in(ada)
    assert "No items yet" in client.get(url(project)).text
    world.fill(project, 2)
    pause(project=project)
    assert "Resume the project: nothing is given out" in client.get(url(project)).text
    resume(project=project)
    world.judge_all(project, ben)
    page = client.get(url(project)).text
    assert "Everything that was wanted is judged" in page
    assert "100 %" in page


def queries(project: Project, who: User) -> list[str]:
    client = world.sign_in(who)
    client.get(url(project))
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url(project)).status_code == 200
    return [query["sql"] for query in captured]


def test_the_page_asks_as_often_with_many_rows_as_with_few_and_reads_no_text(
    project: Project, ada: User, ben: User, bea: User
) -> None:
    world.fill(project, 5)
    judge_days_ago(project, ben, 3, 2)
    few = queries(project, ada)
    world.fill(project, 60, start=5)
    for n in range(10):
        Membership.objects.create(user=world.person(f"more{n}"), project=project, role="annotator")
        world.judge_next(project, world.person(f"more{n}"))
    judge_days_ago(project, bea, 2, 20)
    many = queries(project, ada)
    assert len(many) == len(few), "\n".join(sorted(set(many) - set(few)))
    for sql in many:
        assert '"labeling_item"."messages"' not in sql
        assert '"labeling_judgment"."answer"' not in sql


def test_the_chart_begins_with_the_first_judgment_and_shows_two_weeks_at_least() -> None:
    def pace(*counts: int) -> Pace:
        days = [(TODAY - timedelta(days=27 - n), count) for n, count in enumerate(counts)]
        return Pace(days=days, per_day=None)

    def shown(found: Any) -> list[Any]:
        rows: list[Any] = found["spec"]["data"]["values"]
        return rows

    assert pace_chart(pace(*[0] * 28)) is None
    late = pace_chart(pace(*[0] * 27, 3))
    assert late is not None
    assert len(shown(late)) == 14
    assert (shown(late)[-1]["what"], shown(late)[0]["what"]) == ("so far", "full day")
    assert "n = 3" in late["n_words"]
    early = pace_chart(pace(0, 0, 5, *[0] * 25))
    assert early is not None
    assert len(shown(early)) == 26


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (40.4, "40 s"),
        (89, "89 s"),
        (600, "10 min"),
        (5400, "1.5 h"),
        (360_000, "100 h"),
        (7_200_000, "2,000 h"),
    ],
)
def test_times_are_said_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_days_end_at_midnight_here(project: Project, ben: User, settings: Any) -> None:
    settings.TIME_ZONE = "America/Los_Angeles"
    world.fill(project, 2)
    late_evening = datetime(2026, 11, 20, 23, 30, tzinfo=timezone.get_current_timezone())
    with patch("django.utils.timezone.now", return_value=late_evening):
        world.judge_next(project, ben)
        assert pace_of(project).today == 1
    with patch("django.utils.timezone.now", return_value=late_evening + timedelta(hours=1)):
        assert [count for _, count in pace_of(project).days[-2:]] == [1, 0]
