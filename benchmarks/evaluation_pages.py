"""Pages over many evaluations: a part of benchmarks/evaluation.py.

A project gets 100 evaluations of one suite of 2,000 cases, each with two targets, three metrics and 20 slices, through
the same code as a worker's. Then each page is asked for by the test client, every time for another evaluation or pair,
so that nothing is kept from the time before; the first answer of a process, which imports code, is not counted.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def pages(work: Path, *, quick: bool) -> dict[str, Any]:
    """p95 in ms of the overview, of one evaluation and of a comparison, in a process with a database of its own."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": f"sqlite:///{work / 'pages.sqlite3'}",
        "PREFLOOP_TEST_VAR": str(work / "var"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.evaluation_pages", "20" if quick else "100"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = __import__("json").loads(done.stdout.strip().splitlines()[-1])
    return found


def filled(count: int, cases: int) -> Any:
    """A project with so many evaluations, and a client of its lead."""
    from django.core.management import call_command
    from django.test import Client

    from tests.evaluation.finished import better_than, finished, passing, suite_of
    from tests.world import make_project, person

    call_command("migrate", verbosity=0)
    project = make_project("Pages")
    version = suite_of(project, cases, tags=lambda n: [f"slice {n % 20}"])
    base = passing(0.6)
    for number in range(count):
        began = time.perf_counter()
        finished(
            project,
            {"base": base, f"step {number}": better_than(base, 0.2, 0.1, seed=number)},
            version=version,
            metrics=("exact", "normalised", "perplexity"),
            name=f"evaluation {number}",
        )
        if number % 10 == 0:
            print(f"{number} filled, {time.perf_counter() - began:.1f} s each", file=sys.stderr)
    client = Client()
    client.force_login(person("leo"))
    return project, client


def timed(ask: Callable[[int], Any], times: int) -> tuple[float, float]:
    """(p50, p95) in ms of asking so many times, after two that do not count."""
    found = []
    for number in range(times + 2):
        began = time.perf_counter()
        answer = ask(number)
        found.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.status_code
    counted = found[2:]
    return statistics.median(counted), statistics.quantiles(counted, n=20)[-1]


def main(count: int, cases: int = 2000, times: int = 40) -> dict[str, Any]:
    from django.urls import reverse

    import config.wsgi  # noqa: F401  a process as the server's: how often garbage is collected is set there
    from evaluation.models import EvalRun

    project, client = filled(count, cases)
    runs = list(EvalRun.objects.order_by("id").values_list("pk", flat=True))

    def of(name: str, number: int) -> str:
        return reverse(f"evaluation:{name}", args=[project.slug, runs[number % len(runs)]])

    def pair(number: int) -> str:
        first, second = runs[number % len(runs)], runs[(3 * number + 1) % len(runs)]
        return f"{reverse('evaluation:compare', args=[project.slug])}?s={first}.1&s={second}.1"

    asked: dict[str, Callable[[int], Any]] = {
        "dashboard": lambda number: client.get(reverse("evaluation:dashboard", args=[project.slug])),
        "evaluations": lambda number: client.get(
            reverse("evaluation:evaluations", args=[project.slug]), {"page": 1 + number % 2}
        ),
        "verdict": lambda number: client.get(of("evaluation", number)),
        "compare": lambda number: client.get(pair(number)),
        "cases": lambda number: client.get(of("cases", number)),
        "leaderboard": lambda number: client.get(reverse("evaluation:leaderboard", args=[project.slug])),
    }
    found: dict[str, Any] = {"evaluations": count, "cases": cases}
    for name, ask in asked.items():
        middle, high = timed(ask, times)
        found |= {f"{name}_p50_ms": round(middle, 1), f"{name}_p95_ms": round(high, 1)}
        print(f"{name}: p50 {middle:.0f} ms, p95 {high:.0f} ms", file=sys.stderr)
    return found


if __name__ == "__main__":
    import json

    import django

    django.setup()
    print(json.dumps(main(int(sys.argv[1]))))
