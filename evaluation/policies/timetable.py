"""Wall-clock times of a policy: when one was due last, when one is due next, and whether it is quiet now.

Pure functions. Moments are aware; days, times and quiet hours are those of the policy's time zone. A time that the
clock skips in spring is taken as much later, and of one that comes twice in autumn the first counts.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils.text import get_text_list

from labeling.errors import Refused

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_TIMES = 24


def read_zone(name: str) -> ZoneInfo:
    """Raises Refused where there is no such time zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Refused(
            f"The time zone was given as {name[:64]!r}; give one such as Europe/Berlin or UTC."
        ) from error


def read_time(text: str) -> time:
    """A time of day such as 02:30. Raises Refused."""
    hours, colon, minutes = text.strip().partition(":")
    is_time = colon and hours.isdecimal() and minutes.isdecimal() and len(hours) <= 2 and len(minutes) == 2
    if not is_time or int(hours) > 23 or int(minutes) > 59:
        raise Refused(f"A time was given as {text.strip()[:20]!r}; write hours and minutes, such as 02:30.")
    return time(int(hours), int(minutes))


def _moments(times: Sequence[str], days: Sequence[int], zone: ZoneInfo, around: datetime) -> list[datetime]:
    """Every scheduled moment from eight days before to eight days after one."""
    dates = [around.astimezone(zone).date() + timedelta(days=number) for number in range(-8, 9)]
    return [
        datetime.combine(day, read_time(text), zone).astimezone(UTC)
        for day in dates
        if day.weekday() in days
        for text in times
    ]


def last_due(
    times: Sequence[str], days: Sequence[int], zone: ZoneInfo, *, after: datetime, now: datetime
) -> datetime | None:
    """The latest scheduled moment that is past and comes after `after`: however many were missed, one is made up."""
    past = [moment for moment in _moments(times, days, zone, now) if after < moment <= now]
    return max(past, default=None)


def next_due(times: Sequence[str], days: Sequence[int], zone: ZoneInfo, *, now: datetime) -> datetime | None:
    """The next scheduled moment; None without a schedule."""
    return min((moment for moment in _moments(times, days, zone, now) if moment > now), default=None)


def quiet_until(begins: time | None, ends: time | None, zone: ZoneInfo, *, now: datetime) -> datetime | None:
    """When it stops being quiet; None where it is not quiet at that moment. Quiet hours may pass midnight."""
    if begins is None or ends is None:
        return None
    local = now.astimezone(zone)
    clock = local.time()
    is_quiet = begins <= clock < ends if begins < ends else clock >= begins or clock < ends
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=int(clock >= ends))
    return datetime.combine(day, ends, zone).astimezone(UTC)


def shown(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as the sentences of a policy say it: "Tue 1 Dec 02:30"."""
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def schedule_words(times: Sequence[str], days: Sequence[int]) -> str:
    """A schedule in words: "Monday and Thursday at 02:30"; empty without one."""
    if not times or not days:
        return ""
    named = [DAYS[day] for day in sorted(days)]
    when = "every day" if len(named) == 7 else f"on {get_text_list(named, 'and')}"
    return f"{when} at {get_text_list(sorted(times), 'and')}"
