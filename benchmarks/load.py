"""Labelers: each a user with a token and one keep-alive connection, who gets a task, answers it, and gets the next.

They run in processes of their own, and speak HTTP over a bare socket: a judgment costs the client about 0.1 ms, so that
the server that is measured has the machine for itself.
"""

import json
import math
import multiprocessing
import select
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from benchmarks.servers import Server, steal_ticks

STEAL_LIMIT = 0.02
PATIENCE_SECONDS = 300


class Failed(Exception):
    """The server answered with an error, or not at all."""


class Line:
    """One keep-alive connection of one labeler. `trouble` says what failed last."""

    def __init__(self, address: str, headers: dict[str, str], person: int = 0) -> None:
        host, port = address.split(":")
        self.target, self.person = (host, int(port)), person
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.head = f"Host: {address}\r\nConnection: keep-alive\r\nAccept: */*\r\n{lines}"
        self.socket: socket.socket | None = None
        self.buffer = b""
        self.trouble = ""

    def call(self, method: str, path: str, body: Any = None, *, expect: Sequence[int] = (200, 201)) -> Any:
        """Send a request; returns the JSON of the answer, None where it has none. Raises Failed for other statuses."""
        status, content = self.send(method, path, None if body is None else json.dumps(body).encode())
        if status not in expect:
            raise Failed(f"{method} {path} was answered with {status}: {content[:300]!r}")
        return json.loads(content) if content and status < 300 else None

    def send(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        """Send a request with a body of this kind; returns status and content of the answer."""
        head = f"{method} {path} HTTP/1.1\r\n{self.head}"
        if body is not None:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        try:
            self._open().sendall(head.encode() + b"\r\n" + (body or b""))
            return self._answer()
        except OSError as error:
            self.close()
            raise Failed(f"{method} {path}: {error}") from error

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket, self.buffer = None, b""

    def _open(self) -> socket.socket:
        if self.socket is not None and select.select([self.socket], [], [], 0)[0]:
            self.close()  # the server ended a connection that had been idle for long
        if self.socket is None:
            self.socket = socket.create_connection(self.target, timeout=PATIENCE_SECONDS)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._acknowledge_at_once()
        return self.socket

    def _acknowledge_at_once(self) -> None:
        if hasattr(socket, "TCP_QUICKACK") and self.socket is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _more(self) -> None:
        assert self.socket is not None
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        self._acknowledge_at_once()
        self.buffer += chunk

    def _until(self, end: bytes) -> bytes:
        while (place := self.buffer.find(end)) < 0:
            self._more()
        found, self.buffer = self.buffer[:place], self.buffer[place + len(end) :]
        return found

    def _exactly(self, length: int) -> bytes:
        while len(self.buffer) < length:
            self._more()
        found, self.buffer = self.buffer[:length], self.buffer[length:]
        return found

    def _answer(self) -> tuple[int, bytes]:
        first, *lines = self._until(b"\r\n\r\n").split(b"\r\n")
        status = int(first.split(b" ", 2)[1])
        named = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        content = self._body(status, named)
        if named.get(b"connection", b"").lower() == b"close":
            self.close()
        return status, content

    def _body(self, status: int, headers: dict[bytes, bytes]) -> bytes:
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            parts = []
            while size := int(self._until(b"\r\n").split(b";")[0], 16):
                parts.append(self._exactly(size))
                self._exactly(2)
            self._exactly(2)
            return b"".join(parts)
        if b"content-length" in headers:
            return self._exactly(int(headers[b"content-length"]))
        return b"" if status == 204 else self._rest()

    def _rest(self) -> bytes:
        assert self.socket is not None
        while chunk := self.socket.recv(1 << 18):
            self.buffer += chunk
        content = self.buffer
        self.close()
        return content


Labeler = Callable[[Line, Sequence[Any]], Iterator[Any]]
"""Judges everything in the given places, one task after the other: yields the task's id after each, None after a
failure. Must be importable by name, since it runs in other processes."""


@dataclass(slots=True)
class Work:
    """What some labelers did: seconds of each loop, (task, person) of each, failures, when they ended."""

    loops: list[float] = field(default_factory=list)
    given: list[tuple[Any, int]] = field(default_factory=list)
    failures: int = 0
    trouble: str = ""
    ended: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Shift:
    """Who works where, with what, and for how long."""

    labeler: Labeler
    address: str
    headers: tuple[dict[str, str], ...]
    places: tuple[Any, ...]
    seconds: float


def run_shift(shift: Shift, share: Sequence[int], gate: Any, results: Any) -> None:
    """One client process: a thread for each labeler of its share. All processes start together."""
    lines = [Line(shift.address, shift.headers[person], person) for person in share]
    work = Work()
    with ThreadPoolExecutor(len(lines)) as pool:
        gate.wait()
        before, deadline = time.process_time(), time.monotonic() + shift.seconds
        for _ in pool.map(lambda line: _labor(shift, line, deadline, work), lines):
            pass
    work.ended, work.cpu_seconds = time.monotonic(), time.process_time() - before
    results.put(work)


_adding = threading.Lock()


def _labor(shift: Shift, line: Line, deadline: float, work: Work) -> None:
    """Judge until the deadline; the loop that is under way then is finished and counted."""
    began = time.monotonic()
    for task in shift.labeler(line, shift.places):
        ended = time.monotonic()
        with _adding:
            if task is None:
                work.failures, work.trouble = work.failures + 1, line.trouble
            else:
                work.loops.append(ended - began)
                work.given.append((task, line.person))
        if ended > deadline:
            break
        began = time.monotonic()
    line.close()


@dataclass(frozen=True, slots=True)
class Figures:
    """One phase: rates, times in ms, server CPU in ms for each judgment, and what went wrong."""

    judgments: int
    per_s: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    client_cpu: float
    failures: int
    doubled: int
    steal: float

    @property
    def quiet(self) -> bool:
        return self.steal <= STEAL_LIMIT


def measure(server: Server, shift: Shift) -> Figures:
    """Let the labelers of a shift work at once; two client processes, or one for a single labeler."""
    people = range(len(shift.headers))
    shares = [list(people[part::2]) for part in range(min(2, len(people)))]
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(len(shares) + 1), context.Queue()
    clients = [context.Process(target=run_shift, args=(shift, share, gate, results)) for share in shares]
    for client in clients:
        client.start()
    gate.wait(PATIENCE_SECONDS)
    began, cpu, stolen = time.monotonic(), server.cpu_seconds(), steal_ticks()
    works = [results.get(timeout=shift.seconds + PATIENCE_SECONDS) for _ in clients]
    cpu, after = server.cpu_seconds() - cpu, steal_ticks()
    for client in clients:
        client.join()
    for work in works:
        if work.failures:
            print(f"{work.failures} failed, the last one: {work.trouble}", file=sys.stderr)
    share = (after[0] - stolen[0]) / max(1, after[1] - stolen[1])
    return figures(works, max(work.ended for work in works) - began, cpu, share)


def figures(works: Sequence[Work], seconds: float, cpu: float, steal: float) -> Figures:
    """Sum up what the client processes of a phase did. Raises Failed when nobody finished anything."""
    loops = sorted(loop for work in works for loop in work.loops)
    if not loops:
        raise Failed("no labeler finished a judgment")
    return Figures(
        judgments=len(loops),
        per_s=len(loops) / seconds,
        p50_ms=quantile(loops, 0.5) * 1000,
        p95_ms=quantile(loops, 0.95) * 1000,
        cpu_ms=cpu / len(loops) * 1000,
        client_cpu=sum(work.cpu_seconds for work in works) / seconds,
        failures=sum(work.failures for work in works),
        doubled=doubled([given for work in works for given in work.given]),
        steal=steal,
    )


def doubled(given: Sequence[tuple[Any, int]]) -> int:
    """How many tasks were answered by more than one person."""
    people: dict[Any, set[int]] = {}
    for task, person in given:
        people.setdefault(task, set()).add(person)
    return sum(len(found) > 1 for found in people.values())


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the values, in ascending order, that is not below this share of them."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median_of(phases: Sequence[Figures]) -> dict[str, float]:
    """The medians of repeated phases; those in which the host took time away count only where there are no others."""
    used = [phase for phase in phases if phase.quiet] or list(phases)
    names = ("per_s", "p50_ms", "p95_ms", "cpu_ms", "client_cpu", "steal")
    summary = {name: round(statistics.median(getattr(p, name) for p in used), 3) for name in names}
    totals = {name: sum(getattr(p, name) for p in phases) for name in ("judgments", "failures", "doubled")}
    return summary | totals | {"phases": len(used)}
