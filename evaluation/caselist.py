"""The cases of a run, or of several sides over the cases they share: filtered, sorted, a page at a time.

Numbers of finished runs are cached; of the texts only the previews of one page are read, so that ten thousand cases are
no slower than ten.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evaluation.comparison import Side
from evaluation.models import Case, EvalRun, Split
from evaluation.scorers.base import Scale
from evaluation.sheets import Cell, Line, Metric, lines_of, metrics_of, read_sheet

PER_PAGE = 50
SHOWS = {
    "all": "All",
    "different": "Different",
    "broken": "Broken",
    "fixed": "Fixed",
    "failing": "Failing",
    "errors": "Errors",
    "unscorable": "Unscorable",
}
SORTS = {"order": "In order", "regression": "Worst change first", "improvement": "Best change first"}
HALF = 0.5


class Mark(NamedTuple):
    """One side's value of a case, as its metric is read; None without one. `errors` counts samples that failed."""

    value: float | None = None
    unscorable: int = 0
    errors: int = 0


NOTHING = Mark()


@dataclass(frozen=True, slots=True)
class Asked:
    """The address of the list. What makes no sense there is as if it were not given. `secret` readers may find sealed
    cases by their words."""

    metric: str
    show: str = "all"
    slice: str = ""
    q: str = ""
    sort: str = "order"
    page: int = 1
    secret: bool = False

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.slice or self.show != "all")


class Row(NamedTuple):
    """A case of the list: each side's mark, and the gain of each other side over the first (above 0 is better)."""

    id: int
    uid: str
    number: int
    tags: tuple[str, ...]
    marks: tuple[Mark, ...]
    gains: tuple[float | None, ...]
    preview: str = ""

    @property
    def gain(self) -> float | None:
        """The worst of the gains; None where nothing can be compared."""
        known = [gain for gain in self.gains if gain is not None]
        return min(known, default=None)

    @property
    def best(self) -> float | None:
        known = [gain for gain in self.gains if gain is not None]
        return max(known, default=None)


@dataclass
class Listing:
    """Every case that fits, in order, and how many would fit under each way to show them."""

    sides: list[Side]
    metric: Metric
    asked: Asked
    rows: list[Row]
    counts: dict[str, int]
    slices: list[tuple[str, int]] = field(default_factory=list)

    def neighbours(self, case_id: int) -> tuple[int | None, int | None, int | None]:
        """The case before, the case after, and the place of this one from 1; None where there is none."""
        keys = [row.id for row in self.rows]
        if case_id not in keys:
            return None, keys[0] if keys else None, None
        place = keys.index(case_id)
        before = keys[place - 1] if place else None
        return before, keys[place + 1] if place + 1 < len(keys) else None, place + 1


def read_asked(params: Mapping[str, Any], sides: Sequence[Side], *, secret: bool = False) -> Asked:
    """The filters of an address."""
    names = [metric.name for metric in metrics_of(sides[0].run)]
    metric, show, sort = (str(params.get(name, "")) for name in ("metric", "show", "sort"))
    number = str(params.get("page", ""))
    usual = "regression" if len(sides) > 1 else "order"
    return Asked(
        metric=metric if metric in names else names[0],
        show=show if show in SHOWS else "all",
        slice=str(params.get("slice", ""))[:120],
        q=str(params.get("q", "")).replace("\0", "")[:200],
        sort=sort if sort in SORTS else usual,
        page=int(number) if number.isascii() and number.isdigit() and 0 < len(number) < 7 else 1,
        secret=secret,
    )


def listed(sides: Sequence[Side], asked: Asked) -> Listing:
    """The cases of the first side's run, with the marks of every side."""
    run = sides[0].run
    metric = next(each for each in metrics_of(run) if each.name == asked.metric)
    lines = lines_of(run)
    found = _rows(sides, metric, lines)
    slices = Counter(tag for line in lines for tag in set(line.tags)).most_common()
    if asked.slice:
        found = [row for row in found if asked.slice in row.tags]
    if asked.q:
        words = Case.objects.of_run(run).filter(preview__icontains=asked.q).order_by()
        wanted = set() if is_hidden(sides, asked) else set(words.values_list("pk", flat=True))
        found = [row for row in found if row.id in wanted or row.uid == asked.q]
    tests = _tests(metric)
    counts = {show: sum(map(test, found)) for show, test in tests.items()}
    found = [row for row in found if tests[asked.show](row)]
    return Listing(list(sides), metric, asked, _sorted(found, asked.sort), counts, slices)


def page_of(listing: Listing, rows: Sequence[Row]) -> list[Row]:
    """Some rows with their previews."""
    previews = dict(Case.objects.filter(pk__in=[row.id for row in rows]).values_list("pk", "preview"))
    return [row._replace(preview=previews.get(row.id, "")) for row in rows]


def is_sealed(run: EvalRun) -> bool:
    return run.split == Split.SEALED


def is_hidden(sides: Sequence[Side], asked: Asked) -> bool:
    """Whether the words of the cases stay unread: neither shown, nor found by a search that would spell them out."""
    return not asked.secret and any(is_sealed(side.run) for side in sides)


def _tests(metric: Metric) -> dict[str, Callable[[Row], bool]]:
    def fails(mark: Mark) -> bool:
        if mark.value is None or not metric.is_bounded:
            return False
        return (mark.value if metric.higher_is_better else 1 - mark.value) < HALF

    def others(row: Row) -> tuple[Mark, ...]:
        return row.marks[1:] or row.marks

    return {
        "all": lambda row: True,
        "different": lambda row: any(gain for gain in row.gains),
        "broken": lambda row: any(gain is not None and gain < 0 for gain in row.gains),
        "fixed": lambda row: any(gain is not None and gain > 0 for gain in row.gains),
        "failing": lambda row: any(fails(mark) for mark in others(row)),
        "errors": lambda row: any(mark.errors for mark in row.marks),
        "unscorable": lambda row: any(mark.unscorable for mark in row.marks),
    }


def _sorted(rows: list[Row], sort: str) -> list[Row]:
    if sort == "regression":
        return sorted(rows, key=lambda row: math.inf if row.gain is None else row.gain)
    if sort == "improvement":
        return sorted(rows, key=lambda row: math.inf if row.best is None else -row.best)
    return rows


def _rows(sides: Sequence[Side], metric: Metric, lines: Sequence[Line]) -> list[Row]:
    marks = [_by_line(sides[0], side, metric.name, lines) for side in sides]
    sign = 1.0 if metric.higher_is_better else -1.0
    found = []
    for number, line in enumerate(lines, start=1):
        own = tuple(some.get(line.id, NOTHING) for some in marks)
        first = own[0].value if not metric.versus_half else HALF
        gains = tuple(
            None if first is None or mark.value is None else sign * (mark.value - first) for mark in own[1:]
        )
        found.append(Row(line.id, line.uid, number, line.tags, own, gains))
    return found


def _by_line(first: Side, side: Side, metric: str, lines: Sequence[Line]) -> dict[int, Mark]:
    """A side's marks by the first side's numbers of the cases: unedited cases of one suite keep their number, those of
    a copied suite their uid."""
    found = marks_of(side, metric)
    if side.run.suite_id == first.run.suite_id:
        return found
    places = {line.uid: line.id for line in lines}
    return {
        places[line.uid]: found[line.id]
        for line in lines_of(side.run)
        if line.uid in places and line.id in found
    }


def marks_of(side: Side, name: str) -> dict[int, Mark]:
    """A side's marks in one metric by case."""
    metrics = [metric for metric in metrics_of(side.run) if metric.name == name]
    if not metrics:
        return {}
    sheet = read_sheet(side.run, metrics=metrics, targets={side.target.index})
    cells = sheet.cells.get((side.target.index, name), {})
    return {
        case: Mark(_value(metrics[0], cell), cell.unscorable, cell.errors) for case, cell in cells.items()
    }


def _value(metric: Metric, cell: Cell) -> float | None:
    if not cell.scored:
        return None
    if metric.scale in (Scale.RATE, Scale.PERPLEXITY):
        rate = cell.value / cell.size if cell.size else None
        return math.exp(min(rate, 700)) if rate is not None and metric.is_ratio else rate
    return cell.mean
