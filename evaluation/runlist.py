"""The list of a project's evaluations: which are asked for, and what each came to by word and number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from evaluation.models import EvalRun, Suite
from evaluation.reading import TargetLine, difference_words, lines_of_runs, verdict, worded
from evaluation.sheets import metrics_of
from evaluation.verdicts import Headline, headline
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project


@dataclass(frozen=True, slots=True)
class RunLine:
    """An evaluation with its verdict, once it has numbers. `number` is the candidate's difference from the baseline, or
    what it has where
    there is none."""

    run: EvalRun
    headline: Headline | None
    number: str

    @property
    def targets(self) -> str:
        """Who is scored: the candidates against the baseline."""
        baseline, *candidates = [target.name for target in self.run.targets.all()] or [""]
        return f"{', '.join(candidates)} against {baseline}" if candidates else baseline


def found_runs(project: Project, asked: Mapping[str, str]) -> QuerySet[EvalRun]:
    """The evaluations that `asked` leaves: words of a name (`q`; its own, its suite's or a target's), a `suite` by its
    number, a `status`. What it does not know leaves all."""
    rows = EvalRun.objects.filter(project=project).select_related("suite", "version__suite")
    words, suite, status = (asked.get(name, "") for name in ("q", "suite", "status"))
    if words:
        named = Q(name__icontains=words) | Q(suite__name__icontains=words)
        rows = rows.filter(named | Q(pk__in=_with_targets(project, words)))
    if suite.isdecimal():
        rows = rows.filter(suite__in=Suite.objects.filter(project=project, pk=suite))
    if status in Status.values:
        rows = rows.filter(status=status)
    return rows.prefetch_related("targets").defer("facts")


def _with_targets(project: Project, words: str) -> QuerySet[EvalRun, int]:
    rows = EvalRun.objects.filter(project=project, targets__name__icontains=words)
    return rows.order_by().values_list("pk", flat=True)


def run_lines(runs: Sequence[EvalRun]) -> list[RunLine]:
    """The rows of one page; asks the database as often for fifty as for one."""
    read = lines_of_runs([run for run in runs if _is_readable(run)])
    return [_line(run, read.get(run.pk, [])) for run in runs]


def _is_readable(run: EvalRun) -> bool:
    """Whether the scorers of its metrics are still there: one run without them is no reason to show none."""
    try:
        return bool(metrics_of(run))
    except Refused:
        return False


def _line(run: EvalRun, lines: list[TargetLine]) -> RunLine:
    if not lines:
        return RunLine(run, None, "")
    reading = (verdict(lines).line or lines[0]).primary
    words = difference_words if reading.difference else worded
    return RunLine(run, headline(run, lines), words(reading.metric, reading.difference or reading.estimate))
