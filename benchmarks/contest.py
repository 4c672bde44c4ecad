"""The labeler's loop of all products in turns, in both set-ups, with 1, 8 and 32 labelers at once."""

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import inside, loops, pairs
from benchmarks.load import Figures, Shift, measure, median_of
from benchmarks.ours import Installation, bare_running
from benchmarks.peers import label_studio
from benchmarks.servers import Server
from tests.postgres import server as postgres

PEER, ONE, TWO, BARE = "label_studio", "ours", "ours_two_requests", "bare_django"
SQLITE, POSTGRES = "sqlite", "postgres"
CROWDS = (1, 8, 32)
PROJECTS_A_PHASE = 2
WARM_PEERS = 8  # at 32 Label Studio's default set-up would take half a minute to come to rest


@dataclass(frozen=True, slots=True)
class Size:
    """Items of each project, rounds of phases, and seconds of a phase: of Label Studio's, and of ours."""

    items: int
    rounds: int
    peer_seconds: float
    seconds: float


FULL, QUICK = Size(1000, 3, 6, 3), Size(1000, 1, 4, 2)


@dataclass(slots=True)
class Entrant:
    """One product, ready to be worked on. `places` makes fresh projects for a phase."""

    server: Server
    labeler: Any
    headers: tuple[dict[str, str], ...]
    places: Callable[[], tuple[Any, ...]]
    seconds: float
    warm_crowd: int = max(CROWDS)
    phases: dict[int, list[Figures]] = field(default_factory=lambda: {crowd: [] for crowd in CROWDS})

    def warm_up(self) -> None:
        """The first requests of a process and a thread import code and open connections: they do not count."""
        self._work(self.warm_crowd, 1)

    def phase(self, crowd: int) -> Figures:
        found = self._work(crowd, self.seconds)
        self.phases[crowd].append(found)
        return found

    def _work(self, crowd: int, seconds: float) -> Figures:
        people = self.headers[:crowd]
        shift = Shift(self.labeler, self.server.address, people, self.places(), seconds)
        return measure(self.server, shift)


def run(var: Path, folder: Path, size: Size) -> dict[str, Any]:
    """Both set-ups, one after the other."""
    details = {}
    doubled = 0
    for kind in (SQLITE, POSTGRES):
        with ExitStack() as stack:
            urls = [stack.enter_context(postgres()) if kind == POSTGRES else "" for _ in range(3)]
            place = folder / kind
            ours = stack.enter_context(our_entrants(place / "ours", urls[0], size))
            entrants, count = ours
            entrants[BARE] = stack.enter_context(bare_entrant(place / "bare", urls[1], size))
            entrants[PEER] = stack.enter_context(peer_entrant(var, place / "peer", urls[2], size))
            take_turns(kind, entrants, size)
            details[kind] = {
                name: {str(crowd): median_of(phases) for crowd, phases in entrant.phases.items()}
                for name, entrant in entrants.items()
            }
            doubled += count() + sum(f.doubled for n in (ONE, TWO) for f in all_phases(entrants[n]))
    return summary(details) | {"doubled": doubled, "loop": details}


def take_turns(kind: str, entrants: dict[str, Entrant], size: Size) -> None:
    for entrant in entrants.values():
        entrant.warm_up()
    for turn, crowd in itertools.product(range(size.rounds), CROWDS):
        for name, entrant in entrants.items():
            found = entrant.phase(crowd)
            figures = {key: round(value, 3) for key, value in asdict(found).items()}
            print(
                f"{kind} round {turn + 1}, {crowd} labelers, {name}: {figures}", file=sys.stderr, flush=True
            )


def all_phases(entrant: Entrant) -> list[Figures]:
    return [figures for phases in entrant.phases.values() for figures in phases]


@contextmanager
def our_entrants(
    folder: Path, url: str, size: Size
) -> Iterator[tuple[dict[str, Entrant], Callable[[], int]]]:
    """Both forms of our loop, on one server; and how to count the items that two people judged."""
    folder.mkdir(parents=True)
    installation, numbers = Installation(folder, url), itertools.count(1)
    with installation.inside() as django, installation.serving() as server:
        people = django(inside.prepare, people=max(CROWDS))["labelers"]

        def places() -> tuple[str, ...]:
            names = [f"Phase {next(numbers)}" for _ in range(PROJECTS_A_PHASE)]
            return tuple(django(inside.make_projects, names=names, items=size.items))

        entrants = {
            name: Entrant(server, labeler, people, places, size.seconds)
            for name, labeler in ((ONE, loops.one_request), (TWO, loops.two_requests))
        }
        yield entrants, lambda: int(django(inside.twice_judged))


@contextmanager
def bare_entrant(folder: Path, url: str, size: Size) -> Iterator[Entrant]:
    nobody: tuple[dict[str, str], ...] = tuple({} for _ in range(max(CROWDS)))
    with bare_running(folder, size.items, url) as server:
        yield Entrant(server, loops.bare, nobody, lambda: (size.items,), size.seconds)


@contextmanager
def peer_entrant(var: Path, folder: Path, url: str, size: Size) -> Iterator[Entrant]:
    tasks = [label_studio.task(*pairs.pair(number)) for number in range(size.items)]
    with label_studio.running(var, folder, max(CROWDS), url) as studio:
        yield Entrant(
            studio.server,
            label_studio.label,
            studio.labelers,
            lambda: (studio.make_project(tasks)[0],),
            size.peer_seconds,
            warm_crowd=WARM_PEERS,
        )


def summary(details: dict[str, Any]) -> dict[str, float]:
    """The ratios of ours to the peers, of medians."""

    def ratios(figure: str, peer: str) -> list[float]:
        return [
            crowds[crowd][figure] / by_name[peer][crowd][figure]
            for by_name in details.values()
            for crowds in [by_name[ONE]]
            for crowd in crowds
        ]

    def at_most_crowded(kind: str) -> float:
        crowd = str(max(CROWDS))
        return float(details[kind][ONE][crowd]["per_s"] / details[kind][PEER][crowd]["per_s"])

    found = {
        "throughput_vs_label_studio": at_most_crowded(SQLITE),
        "throughput_vs_label_studio_postgres": at_most_crowded(POSTGRES),
        "throughput_vs_bare_django": min(ratios("per_s", BARE)),
        "cpu_per_judgment_vs_label_studio": max(ratios("cpu_ms", PEER)),
        "p95_vs_label_studio": max(ratios("p95_ms", PEER)),
    }
    return {name: round(value, 4) for name, value in found.items()}
