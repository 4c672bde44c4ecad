"""How many captures a second come in, and whether a crash loses any: `python benchmarks/captures.py [--quick]`.

PostgreSQL with its own durability (a commit is on the disk before it is answered), gunicorn with 2 workers of 16
threads and a worker with its scheduler, as in production, on this machine. A product sends batches of 100 captures (a
question, three chunks, an answer; 2 kB each) over two connections as fast as they are answered, of which rules queue
all with a thumbs down (5 %) and 1 % of the others. First undisturbed; then, in a second run, PostgreSQL is stopped at
once and without a checkpoint in the middle, the web server and the worker are killed with SIGKILL, all three are
started again, and the product sends what was not answered once more, with the same keys. What a machine loses whose
power goes is not tried. Prints one JSON object as its last line:

- per_second: captures a second that were answered as stored, undisturbed, first request to last answer
- p95_ms: of a batch
- server_cores: processor time of the web processes over the time, PostgreSQL not counted
- lost: captures that were answered as stored and are not there, and taken ones that became no item in a minute
- doubled: captures beyond one a key, and items beyond one a capture
- restart: seconds from the kill to the first batch that was stored again; most of it is loading the application
- postgresql: its version and what it keeps, as it says itself
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # in the place of this folder, in which labeling.py would hide our package

from benchmarks.load import Failed, Line, quantile  # noqa: E402
from benchmarks.ours import Inside, Installation  # noqa: E402
from benchmarks.servers import Server  # noqa: E402
from tests import postgres  # noqa: E402

BATCH, SENDERS, DOWN_EVERY = 100, 2, 20
FULL_S, QUICK_S, PATIENCE_S = 60.0, 8.0, 60.0
WORDS = "the parcel left the depot in Utrecht on Monday and is on its way to the customer "


def prepare() -> str:
    """Tables, a project for RAG reviews with two rules, and a token. Returns the secret."""
    from django.core.management import call_command

    from labeling.capturing.sampling import save_rule
    from labeling.capturing.tokens import make_token
    from labeling.models import Project
    from labeling.projects import create_project

    call_command("migrate", verbosity=0)
    project = create_project(name="captures", owner=None, overlap=1)
    Project.objects.filter(pk=project.pk).update(task="rag")
    save_rule(project=project, person=None, voice="bad")
    save_rule(project=project, person=None, share=100)
    return make_token(project=project, name="benchmark", person=None, per_minute=10_000_000)[1]


def durability() -> str:
    """What PostgreSQL keeps of what it commits, in its own words."""
    from django.db import connection

    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}")
        return ", ".join(f"{name} {value}" for name, value in zip(names, cursor.fetchone(), strict=True))


def missing(*, answered: dict[str, int]) -> dict[str, int]:
    """What is not as it was answered. `answered` maps the beginning of keys to how many batches were stored."""
    from django.db import connection
    from django.db.models import Count

    from labeling.models import Capture, CaptureState, Item

    connection.close()  # it may be one to the server that was stopped
    keys = set(Capture.objects.values_list("key", flat=True))
    wanted = {
        f"{name}-{batch}-{n}"
        for name, count in answered.items()
        for batch in range(count)
        for n in range(BATCH)
    }
    taken = Capture.objects.filter(rule__isnull=False)
    twice = Item.objects.order_by().values("source_ref").annotate(n=Count("pk")).filter(n__gt=1)
    return {
        "lost": len(wanted - keys)
        + taken.exclude(state__in=(CaptureState.QUEUED, CaptureState.KNOWN)).count(),
        "doubled": Capture.objects.count() - len(keys) + twice.count(),
        "queued": Item.objects.count(),
        "waiting": taken.filter(state=CaptureState.TAKEN).count(),
        "captures": len(keys),
    }


def batch(name: str, number: int) -> bytes:
    """A batch whose keys say what it is."""
    captures = []
    for n in range(BATCH):
        key = f"{name}-{number}-{n}"
        captures.append(
            {
                "idempotency_key": key,
                "prompt": f"Where is parcel {key}, which I sent last week and which has not come yet?",
                "contexts": [f"{place}: {WORDS * 6}" for place in range(3)],
                "answer": f"As far as I can see {WORDS * 3}",
                "model": "support-7b",
                "thumbs": "up" if n % DOWN_EVERY else "down",
                "slice": "shipping",
                "consent": True,
            }
        )
    return json.dumps({"captures": captures}).encode()


@dataclass(slots=True)
class Product:
    """What sends: a thread for each connection, until told to stop. `address` may change while it sends."""

    secret: str
    name: str
    address: str
    seconds: list[float] = field(default_factory=list)
    stored: dict[str, int] = field(default_factory=dict)
    ended: float = 0.0
    back: float | None = None  # when something was stored after `broken`
    broken: float | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def line(self) -> Line:
        return Line(self.address, {"Authorization": f"Bearer {self.secret}"})

    def run(self, sender: int) -> None:
        name, number, line = f"{self.name}{sender}", 0, self.line()
        while not self.over.is_set():
            body = batch(name, number)
            began = time.monotonic()
            while not self._sent(line, body):
                line.close()
                time.sleep(0.05)
                line = self.line()
            number += 1
            self.ended = time.monotonic()
            self.seconds.append(self.ended - began)
            self.stored[name] = number
            if self.broken is not None and self.back is None and began > self.broken:
                self.back = self.ended
        line.close()

    def _sent(self, line: Line, body: bytes) -> bool:
        try:
            status, content = line.send("POST", "/api/v1/captures", body)
        except Failed:
            return False
        if status >= 500:
            return False
        found = json.loads(content)
        if status != 200 or found["refused"]:
            raise RuntimeError(f"{status}: {content[:500]!r}")
        return True


def warm(server: Server, product: Product) -> None:
    """Let the web processes answer, and wait until all of them are as large as the largest: a port is open long before
    the application is loaded behind it."""
    _warm(product)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        sizes = [process.memory_info().rss for process in server.processes()[1:]]
        if len(sizes) > 1 and min(sizes) > 0.8 * max(sizes):
            break
        time.sleep(0.2)
    _warm(product)


def _warm(product: Product) -> None:
    names = [f"warm-{time.time_ns()}-{n}" for n in range(8)]
    senders = [
        threading.Thread(target=product.line().send, args=("POST", "/api/v1/captures", batch(name, 0)))
        for name in names
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    product.stored |= dict.fromkeys(names, 1)


def send_for(product: Product, seconds: float, disturb: Any = None) -> float:
    """Let the product send for so long; returns the seconds from the first request to the last answer."""
    threads = [threading.Thread(target=product.run, args=(n,)) for n in range(SENDERS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(seconds / 2)
    if disturb is not None:
        disturb()
    time.sleep(seconds / 2)
    product.over.set()
    for thread in threads:
        thread.join()
    return product.ended - began


def undisturbed(place: Installation, secret: str, seconds: float) -> tuple[Product, dict[str, float]]:
    with place.working(), place.serving() as server:
        product = Product(secret, "calm", server.address)
        warm(server, product)
        before = server.cpu_seconds()
        took = send_for(product, seconds)
        used = server.cpu_seconds() - before
    captures = BATCH * len(product.seconds)
    figures = {
        "per_second": round(captures / took, 1),
        "p95_ms": round(1000 * quantile(sorted(product.seconds), 0.95), 1),
        "server_cores": round(used / took, 2),
    }
    return product, figures


def disturbed(
    place: Installation, secret: str, seconds: float, inside: Inside, database: postgres.Cluster
) -> tuple[Product, float]:
    """Kill all three servers in the middle, and start them again. Returns how long that took, too."""
    with ExitStack() as first, ExitStack() as second:
        worker = first.enter_context(place.working())
        server: Server = first.enter_context(place.serving())
        product = Product(secret, "hard", server.address)
        warm(server, product)

        def crash() -> None:
            product.broken = time.monotonic()
            database.crash()
            for group in (server.pid, worker):
                os.killpg(group, signal.SIGKILL)
            database.start()
            second.enter_context(place.working())
            product.address = second.enter_context(place.serving()).address

        send_for(product, seconds, crash)
        assert product.broken is not None
        restart = (product.back or product.ended) - product.broken
        deadline = time.monotonic() + PATIENCE_S
        while inside(missing, answered={})["waiting"] and time.monotonic() < deadline:
            time.sleep(1)
    return product, round(restart, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_S:g} seconds of each run")
    seconds = QUICK_S if parser.parse_args().quick else FULL_S
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and folders are put away then, too
    with tempfile.TemporaryDirectory(prefix="prefloop-captures-") as name, postgres.cluster() as database:
        place = Installation(Path(name), database.url)
        with place.inside() as inside:
            secret = inside(prepare)
            calm, figures = undisturbed(place, secret, seconds)
            print(figures, file=sys.stderr)
            hard, restart = disturbed(place, secret, seconds, inside, database)
            counts = inside(missing, answered=calm.stored | hard.stored)
            ran_with = inside(durability)
    print(json.dumps({**figures, **counts, "restart": restart, "postgresql": ran_with}))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
