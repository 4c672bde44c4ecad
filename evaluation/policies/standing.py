"""Whether a policy owes a run, what keeps it from starting now, and when it will: functions of its facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluation.models import PolicyRun, RetrainPolicy
from evaluation.policies.facts import Charge, Facts, room_at, used
from evaluation.policies.timetable import last_due, next_due, quiet_until, read_zone, schedule_words, shown
from labeling.models import Project

Trigger = PolicyRun.Trigger


@dataclass(frozen=True, slots=True)
class Owed:
    """Why a run is due. `due_at` is the scheduled moment."""

    trigger: str
    due_at: datetime | None
    words: str


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What keeps a run from starting, in a sentence."""

    key: str
    sentence: str


def owed(policy: RetrainPolicy, facts: Facts) -> Owed | None:
    """The run that is due by itself; None where none is, or the policy is off."""
    if not policy.is_on:
        return None
    zone = read_zone(policy.zone)
    due = last_due(policy.times, policy.days, zone, after=policy.served_at, now=facts.now)
    if due is not None:
        return Owed(Trigger.SCHEDULE, due, f"It was due {shown(due, zone)}, by schedule")
    if policy.every and facts.unseen >= policy.every:
        words = (
            f"{facts.unseen:,} judgments came since it last trained or started; {policy.every:,} are enough"
        )
        return Owed(Trigger.JUDGMENTS, None, words)
    return None


def under_way(project: Project) -> str:
    """What whoever retrains by hand is told while a run of the policy is under way; nothing otherwise."""
    if not PolicyRun.objects.filter(project=project, outcome="").exists():
        return ""
    return "A run of the retrain policy is under way; wait for it, or cancel it on its page."


def hindrance(policy: RetrainPolicy, facts: Facts, *, by_hand: bool = False) -> Hindrance | None:
    """What keeps a run from starting now. By hand it also starts where the policy pauses after failures."""
    if facts.open_run is not None:
        return Hindrance("open", "A run is under way; the next one starts after it.")
    if facts.by_hand:
        return Hindrance("open", "The project is being retrained by hand; the next run starts after that.")
    if facts.origin is None or facts.known is None:
        return Hindrance("origin", "There is no run to follow yet; start one by hand, and wait for its end.")
    if facts.failures >= policy.pause_after and not by_hand:
        plural = "runs in a row" if facts.failures > 1 else "run"
        return Hindrance(
            "paused",
            f"It pauses: the last {facts.failures} {plural} failed. Mend the cause, then let it go on.",
        )
    return _budget(policy, facts) or _quiet(policy, facts)


def _quiet(policy: RetrainPolicy, facts: Facts) -> Hindrance | None:
    zone = read_zone(policy.zone)
    until = quiet_until(policy.quiet_from, policy.quiet_to, zone, now=facts.now)
    if until is None:
        return None
    return Hindrance("quiet", f"It is quiet now: runs start again {shown(until, zone)}.")


def _budget(policy: RetrainPolicy, facts: Facts) -> Hindrance | None:
    limits: list[tuple[float | None, Sequence[Charge], str]] = [
        (policy.runs_a_week, facts.starts, "{:,.0f} of {:,.0f} runs"),
        (policy.hours_a_week, facts.hours, "{:,.1f} of {:,.1f} hours of training and evaluation"),
        (policy.cost_a_week, facts.costs, "{:,.2f} of {:,.2f} for what endpoints cost"),
    ]
    reached = [
        (room_at(charges, limit, facts.now), words.format(amount, limit))
        for limit, charges, words in limits
        if limit is not None and (amount := used(charges, facts.now)) >= limit
    ]
    if not reached:
        return None
    said = ", and ".join(words for _, words in reached)
    when = shown(max(moment for moment, _ in reached), read_zone(policy.zone))
    return Hindrance("budget", f"The budget is reached: {said} in the last 7 days. It has room again {when}.")


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the page says of what comes next: a sentence, and why not now."""

    sentence: str
    waits: str = ""


def outlook(policy: RetrainPolicy, facts: Facts) -> Outlook:
    """When it starts next, and why not now."""
    due, stops = owed(policy, facts), hindrance(policy, facts)
    waits = stops.sentence if stops and stops.key != "open" else ""
    if not policy.is_on:
        return Outlook("It starts only by hand: the schedule and the count of judgments are off.", waits)
    if due is None:
        return Outlook(_coming(policy, facts), waits)
    if stops is None:
        return Outlook(f"It starts within a minute. {due.words}.")
    return Outlook(f"A run is due and waits. {due.words}.", stops.sentence)


def _coming(policy: RetrainPolicy, facts: Facts) -> str:
    zone, parts = read_zone(policy.zone), []
    at = next_due(policy.times, policy.days, zone, now=facts.now)
    if at is not None:
        free = quiet_until(policy.quiet_from, policy.quiet_to, zone, now=at)
        words = shown(at, zone)
        if free is not None:
            words = f"{shown(free, zone)}, when the quiet hours in which {words} falls are over"
        parts.append(words)
    if policy.every:
        left = policy.every - facts.unseen
        parts.append(f"after {left:,} more judgment{'' if left == 1 else 's'}")
    if not parts:
        return "It starts only by hand: it has neither a schedule nor a count of judgments."
    return f"It starts next {', or '.join(parts)}."


def triggers_in_words(policy: RetrainPolicy) -> list[str]:
    """What starts a run, a line each."""
    lines = []
    if words := schedule_words(policy.times, policy.days):
        lines.append(f"{words[0].upper()}{words[1:]} ({policy.zone})")
    if policy.every:
        lines.append(f"Every {policy.every:,} new judgments")
    return [*lines, "By hand: the button on this page, the command retrain, or the API"]
