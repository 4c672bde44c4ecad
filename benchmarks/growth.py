"""What a large project costs: the labeler's loop and the list pages at two sizes, each installed on its own.

Requests to the two sizes take turns one by one, so that whatever else the machine does slows both.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import filling, inside, loops
from benchmarks.load import Failed, Line, quantile
from benchmarks.ours import Installation
from benchmarks.servers import Server
from benchmarks.transfers import exported

PEOPLE = 50
JUDGMENTS, FREE = 5, 1
CLAIM = "submit and claim"


@dataclass(frozen=True, slots=True)
class Size:
    """Items of the small and of the large project; labelers, and judgments of each; views of each page."""

    small: int
    large: int
    labelers: int
    judgments: int
    views: int


FULL, QUICK = Size(1_000, 100_000, 5, 180, 80), Size(1_000, 10_000, 2, 180, 30)


@dataclass(slots=True)
class Place:
    """A project of one size, served; the seconds of each request, and the server's CPU time of all, by what it was."""

    server: Server
    slug: str
    pages: dict[str, str]
    labelers: tuple[dict[str, str], ...]
    browser: dict[str, str]
    queries: dict[str, float]
    export: dict[str, float]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def judging(self, labeler: int) -> Callable[[], Any]:
        """One judgment of this labeler at each call."""
        line = Line(self.server.address, self.labelers[labeler])
        judged: Iterator[Any] = loops.one_request(line, (self.slug,))

        def judge() -> None:
            if next(judged, None) is None:
                raise Failed(line.trouble or f"{self.slug} has nothing to judge for labeler {labeler}")

        return judge

    def viewing(self, name: str) -> Callable[[], Any]:
        """One view of this page at each call."""
        line = Line(self.server.address, self.browser)

        def view() -> None:
            status, content = line.send("GET", self.pages[name])
            if status != 200:
                raise Failed(f"{self.pages[name]} was answered with {status}: {content[:300]!r}")

        return view


def run(folder: Path, size: Size) -> dict[str, Any]:
    """Both sizes in turns, on SQLite."""
    with ExitStack() as stack:
        places = [open_place(stack, folder / str(items), items) for items in (size.small, size.large)]
        for labeler in range(size.labelers):
            take_turns(places, CLAIM, [place.judging(labeler) for place in places], size.judgments)
        for name in places[0].pages:
            take_turns(places, name, [place.viewing(name) for place in places], size.views)
        return summary(*places)


def open_place(stack: ExitStack, folder: Path, items: int) -> Place:
    folder.mkdir(parents=True)
    installation = Installation(folder)
    with installation.inside() as django:
        headers = django(inside.prepare, people=PEOPLE)
        began = time.perf_counter()
        slug = django(filling.fill_judged, name="Large", items=items, judgments=JUDGMENTS, free=FREE)
        print(f"filled {items} items in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        pages = django(inside.known_pages, slug=slug)
        queries = django(inside.query_counts, slug=slug, pages=pages)
    export = exported(installation, slug, items)
    server = stack.enter_context(installation.serving())
    return Place(server, slug, pages, headers["labelers"], headers["browser"], queries, export)


def take_turns(places: list[Place], name: str, calls: list[Callable[[], Any]], count: int) -> None:
    """Call them `count` times, one place after the other. The first few warm up connections and do not count."""
    for _ in range(3):
        for call in calls:
            call()
    before = [place.server.cpu_seconds() for place in places]
    for _ in range(count):
        for place, call in zip(places, calls, strict=True):
            began = time.perf_counter()
            call()
            place.seconds.setdefault(name, []).append(time.perf_counter() - began)
    for place, cpu in zip(places, before, strict=True):
        place.cpu[name] = place.cpu.get(name, 0.0) + place.server.cpu_seconds() - cpu


def summary(small: Place, large: Place) -> dict[str, Any]:
    small_ms, large_ms = figures(small), figures(large)
    growth = {
        name: {key: round(large_ms[name][key] / value, 3) for key, value in values.items()}
        for name, values in small_ms.items()
    }
    return {
        "claim_p95_growth_100k": growth[CLAIM]["p95_ms"],
        "list_p95_growth_100k": max(growth[name]["p95_ms"] for name in small.pages),
        "export_memory_growth": round(large.export["peak_mb"] / small.export["peak_mb"], 3),
        "query_counts": [small.queries, large.queries],
        "growth": {
            "ratios": growth,
            "small": small_ms,
            "large": large_ms,
            "exports": [small.export, large.export],
        },
    }


def figures(place: Place) -> dict[str, dict[str, float]]:
    """Median, p95 and server CPU, in ms, of each kind of request."""
    found = {}
    for name, seconds in place.seconds.items():
        ordered = sorted(seconds)
        values = quantile(ordered, 0.5), quantile(ordered, 0.95), place.cpu[name] / len(ordered)
        names = ("p50_ms", "p95_ms", "cpu_ms")
        found[name] = {key: round(value * 1000, 3) for key, value in zip(names, values, strict=True)}
    return found
