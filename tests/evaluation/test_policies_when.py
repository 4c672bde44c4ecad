"""When a policy starts: times that were missed, clocks that are put back, quiet hours, budgets, failures in a row."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from evaluation.models import RetrainPolicy, Suite
from evaluation.policies.facts import Facts, room_at
from evaluation.policies.standing import hindrance, outlook, owed
from evaluation.policies.timetable import (
    last_due,
    next_due,
    quiet_until,
    read_time,
    read_zone,
    schedule_words,
)
from labeling.errors import Refused
from labeling.models import DatasetVersion
from tests.evaluation.policing import WEDNESDAY
from training.models import TrainingRun

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
EVERY_DAY = list(range(7))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def policy(**fields: Any) -> RetrainPolicy:
    given = {"is_on": True, "days": EVERY_DAY, "times": [], "served_at": WEDNESDAY - timedelta(hours=1)}
    return RetrainPolicy(suite=Suite(name="Questions"), **{**given, **fields})


def facts(**changes: Any) -> Facts:
    start = Facts(
        now=WEDNESDAY, origin=TrainingRun(name="first"), known=DatasetVersion(number=1), newest_judgment=9,
        newer=0, unseen=0, open_run=None, by_hand=False, failures=0, starts=(), hours=(), costs=(),
    )  # fmt: skip
    return replace(start, **changes)


def test_ten_missed_nights_are_made_up_once() -> None:
    due = last_due(["02:30"], EVERY_DAY, UTC_ZONE, after=at("2026-11-22T12:00"), now=WEDNESDAY)
    assert due == at("2026-12-02T02:30")
    assert (
        last_due(["02:30"], EVERY_DAY, UTC_ZONE, after=WEDNESDAY, now=WEDNESDAY + timedelta(hours=2)) is None
    )


def test_a_month_of_downtime_still_owes_one_run() -> None:
    assert last_due(["02:30"], [0], UTC_ZONE, after=at("2026-10-01T00:00"), now=WEDNESDAY) == at(
        "2026-11-30T02:30"
    )


def test_days_and_times_are_those_of_the_policys_zone() -> None:
    assert next_due(["00:30"], [3], BERLIN, now=WEDNESDAY) == at("2026-12-02T23:30"), (
        "Thursday begins earlier there"
    )
    assert next_due(["00:30"], [], BERLIN, now=WEDNESDAY) is None


def test_a_time_that_the_clock_skips_or_repeats_comes_once() -> None:
    spring = last_due(["02:30"], EVERY_DAY, BERLIN, after=at("2026-03-28T12:00"), now=at("2026-03-29T12:00"))
    assert spring == at("2026-03-29T01:30"), "02:30 is skipped that night; it is 03:30"
    first = last_due(["02:30"], EVERY_DAY, BERLIN, after=at("2026-10-24T12:00"), now=at("2026-10-25T00:45"))
    assert first == at("2026-10-25T00:30")
    assert (
        last_due(["02:30"], EVERY_DAY, BERLIN, after=at("2026-10-25T00:45"), now=at("2026-10-25T06:00"))
        is None
    )


def test_quiet_hours_may_pass_midnight() -> None:
    night = {"begins": time(22), "ends": time(6), "zone": BERLIN}
    assert quiet_until(**night, now=at("2026-12-02T22:00")) == at("2026-12-03T05:00")
    assert quiet_until(**night, now=at("2026-12-03T04:59")) == at("2026-12-03T05:00")
    assert quiet_until(**night, now=at("2026-12-03T05:00")) is None
    assert quiet_until(time(9), time(17), UTC_ZONE, now=WEDNESDAY) == at("2026-12-02T17:00")
    assert quiet_until(None, None, UTC_ZONE, now=WEDNESDAY) is None


@pytest.mark.parametrize("text", ["", "25:00", "12", "12:5", "noon", "12:60", "²2:00"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="write hours and minutes"):
        read_time(text)


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", "", "Europe", "Europe/Berlin\0"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="give one such as Europe/Berlin"):
        read_zone(name)


def test_a_schedule_in_words() -> None:
    assert schedule_words(["14:00", "02:30"], [3, 0]) == "on Monday and Thursday at 02:30 and 14:00"
    assert schedule_words(["02:30"], EVERY_DAY) == "every day at 02:30"


def test_a_policy_owes_a_run_by_its_time_or_by_its_count_and_nothing_when_off() -> None:
    timed, counted = policy(times=["11:30"]), policy(every=50)
    due = owed(timed, facts())
    assert due is not None
    assert (due.trigger, due.due_at) == ("schedule", at("2026-12-02T11:30"))
    assert owed(counted, facts(unseen=49, newer=200)) is None, "what an earlier start has seen counts no more"
    found = owed(counted, facts(unseen=50))
    assert found is not None
    assert found.trigger == "judgments"
    assert owed(policy(is_on=False, times=["11:30"], every=1), facts(unseen=50)) is None


def test_leo_reads_when_it_starts_next_and_why_not_now() -> None:
    quiet = policy(times=["11:30"], quiet_from=time(9), quiet_to=time(18))
    shown = outlook(quiet, facts())
    assert shown.sentence == "A run is due and waits. It was due Wed 2 Dec 11:30, by schedule."
    assert shown.waits == "It is quiet now: runs start again Wed 2 Dec 18:00."
    coming = outlook(policy(times=["20:00"], every=50), facts(unseen=13))
    assert coming.sentence == "It starts next Wed 2 Dec 20:00, or after 37 more judgments."
    falls = outlook(policy(times=["20:00"], quiet_from=time(19), quiet_to=time(6)), facts())
    assert "Thu 3 Dec 06:00, when the quiet hours in which Wed 2 Dec 20:00 falls are over" in falls.sentence
    assert "only by hand" in outlook(policy(is_on=False), facts()).sentence
    assert "neither a schedule nor a count" in outlook(policy(), facts()).sentence


def test_one_run_at_a_time_and_none_without_a_run_to_follow() -> None:
    for changes, words in (
        ({"open_run": 7}, "A run is under way"),
        ({"by_hand": True}, "being retrained by hand"),
        ({"origin": None}, "There is no run to follow yet"),
    ):
        stops = hindrance(policy(), facts(**changes), by_hand=True)
        assert stops is not None
        assert words in stops.sentence


def test_three_failures_pause_it_until_somebody_looks_and_a_click_still_starts_it() -> None:
    assert hindrance(policy(), facts(failures=2)) is None
    stops = hindrance(policy(), facts(failures=3))
    assert stops is not None
    assert "the last 3 runs in a row failed" in stops.sentence
    assert hindrance(policy(), facts(failures=3), by_hand=True) is None


def test_a_budget_that_is_used_up_says_when_it_has_room_again() -> None:
    days = [WEDNESDAY - timedelta(days=n) for n in (6, 3, 1)]
    stops = hindrance(policy(runs_a_week=3), facts(starts=[(day, 1.0) for day in days]))
    assert stops is not None
    assert stops.sentence == (
        "The budget is reached: 3 of 3 runs in the last 7 days. It has room again Thu 3 Dec 12:00."
    )
    assert hindrance(policy(runs_a_week=4), facts(starts=[(day, 1.0) for day in days])) is None
    hours = hindrance(policy(hours_a_week=2.0), facts(hours=[(days[0], 1.5), (days[2], 1.0)]))
    assert hours is not None
    assert "2.5 of 2.0 hours of training and evaluation" in hours.sentence
    money = hindrance(policy(cost_a_week=1.0), facts(costs=[(days[1], 1.25)]), by_hand=True)
    assert money is not None
    assert money.sentence.endswith("It has room again Sun 6 Dec 12:00.")
    assert hindrance(policy(cost_a_week=1.0), facts(costs=[(WEDNESDAY - timedelta(days=7), 5.0)])) is None


def test_room_comes_back_when_the_oldest_use_is_a_week_old() -> None:
    used = [(WEDNESDAY - timedelta(days=n), 2.0) for n in (5, 2, 4)]
    assert room_at(used, 5.0, WEDNESDAY) == WEDNESDAY + timedelta(days=2)
    assert room_at(used, 3.0, WEDNESDAY) == WEDNESDAY + timedelta(days=3)
    assert room_at([], 3.0, WEDNESDAY) == WEDNESDAY
