"""Which suite's version a leaderboard is of: the one asked for, where it was scored, else the first that was."""

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.models import Split, Suite, SuiteVersion
from labeling.lifecycle import Status
from labeling.models import Project

SCORED = {"runs__status": Status.SUCCEEDED, "runs__split": Split.DEV}


@dataclass(frozen=True, slots=True)
class Choice:
    """What was scored on open cases, and of it what is looked at; None where nothing was."""

    suites: list[Suite]
    suite: Suite | None
    versions: list[SuiteVersion]
    version: SuiteVersion | None


def choose(project: Project, wanted: Mapping[str, str]) -> Choice:
    """By `suite`, the number of one, and `version`, a version's number in it."""
    suites = list(Suite.objects.filter(project=project, **SCORED).distinct().only("name"))
    suite = next((each for each in suites if str(each.pk) == wanted.get("suite")), next(iter(suites), None))
    versions = (
        list(SuiteVersion.objects.filter(suite=suite, **SCORED).select_related("suite").distinct())
        if suite
        else []
    )
    named = (each for each in versions if str(each.number) == wanted.get("version"))
    return Choice(suites, suite, versions, next(named, next(iter(versions), None)))
