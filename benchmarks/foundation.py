"""What the foundation promises: import cost depends on new rows only, a light web process, a first page at once.

    python benchmarks/foundation.py [--quick]

Prints one JSON object as its last line:
  import_growth        rows/s into a project of 100,000 items over rows/s into an empty one (medians of interleaved
                       repeats; 1 means no growth at all)
  import_rows_per_s    the two rates themselves
  web_rss_mb           resident memory of the web worker after each page was read
  first_page_s         seconds from the start of the server to its first page (median)
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2 as httpx
import psutil

ROOT = Path(__file__).parents[1]
PASSWORD = "benchmark-only"
LONG = "A considered answer takes a few sentences, as the median response of PandaLM does. " * 4


def django(var: Path) -> None:
    """Set Django up in this process, with its state in `var`."""
    os.environ |= {
        "PREFLOOP_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        "LOG_LEVEL": "ERROR",
    }
    sys.path.insert(0, str(ROOT))
    import django as framework

    framework.setup()


def measure_import(var: Path, file: Path) -> float:
    """Seconds that importing the file takes, by the verb, in this process."""
    django(var)
    from labeling.importing.batches import run_import, start_import
    from labeling.models import Project

    with file.open("rb") as stream:
        batch = start_import(project=Project.objects.get(), file=stream, filename=file.name, person=None)
    began = time.perf_counter()
    run_import(batch)
    seconds = time.perf_counter() - began
    batch.refresh_from_db()
    assert batch.status == "succeeded", batch.error
    assert batch.duplicate == batch.refused == 0
    return seconds


def prepare(var: Path) -> None:
    """An empty installation with one project and one owner."""
    django(var)
    from django.core.management import call_command

    from labeling.models import User
    from labeling.projects import create_project

    call_command("migrate", verbosity=0)
    call_command("vendor_assets", verbosity=0)
    create_project(name="Bench", owner=User.objects.create_user("ada", password=PASSWORD), overlap=2)


def again(*arguments: str) -> str:
    """Run a part of this script in a process of its own; returns its last line."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return (done.stdout.strip().splitlines() or [""])[-1]


def write_rows(path: Path, start: int, count: int) -> Path:
    with path.open("w", encoding="utf-8") as out:
        for number in range(start, start + count):
            row = {
                "prompt": f"Question {number}: {LONG}",
                "responses": [{"text": f"{LONG}{side}", "origin": side} for side in ("a", "b")],
            }
            out.write(json.dumps(row) + "\n")
    return path


def imports(folder: Path, rows: int, held: int, repeats: int) -> dict[str, object]:
    """Import `rows` rows into an empty project and into one that holds `held`, in turns."""
    empty, full = folder / "empty", folder / "full"
    again("--prepare", str(empty))
    shutil.copytree(empty, full)
    again("--import", str(full), str(write_rows(folder / "held.jsonl", 10**7, held)))
    rates: dict[str, list[float]] = {"at_0": [], "at_held": []}
    for repeat in range(repeats):
        file = str(write_rows(folder / "new.jsonl", repeat * rows, rows))
        for name, origin in (("at_0", empty), ("at_held", full)):
            scratch = folder / f"{name}-{repeat}"
            shutil.copytree(origin, scratch)
            os.sync()  # or the disk would still be writing the copy while the clock runs
            rates[name].append(rows / float(again("--import", str(scratch), file)))
            shutil.rmtree(scratch)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "import_growth": round(medians["at_held"] / medians["at_0"], 3),
        "import_rows_per_s": {name: round(value) for name, value in medians.items()},
        "held": held,
        "new_rows": rows,
        "repeats": repeats,
    }


def web(var: Path, repeats: int) -> dict[str, object]:
    """Start the server, time its first page, read every page, and look at its memory."""
    django(var)
    from labeling.processes import free_address, start, stop, web_command

    seconds, memory = [], 0.0
    for _ in range(repeats):
        address = free_address()
        began = time.perf_counter()
        process = start(web_command(address))
        try:
            with httpx.Client(base_url=f"http://{address}", follow_redirects=True, timeout=30) as client:
                first_page(client)
                seconds.append(time.perf_counter() - began)
                read_pages(client)
            children = psutil.Process(process.pid).children()
            memory = max(memory, *(child.memory_info().rss / 1e6 for child in children))
        finally:
            stop(process)
    return {"first_page_s": round(statistics.median(seconds), 2), "web_rss_mb": round(memory, 1)}


def first_page(client: httpx.Client) -> None:
    while True:
        try:
            client.get("/account/login/").raise_for_status()
            return
        except httpx.ConnectError:
            time.sleep(0.02)


def read_pages(client: httpx.Client) -> None:
    form = {"login": "ada", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    client.post("/account/login/", data=form, headers={"Referer": str(client.base_url)}).raise_for_status()
    names = (
        "",
        "rank/",
        "items/",
        "imports/",
        "datasets/",
        "agreement/",
        "runs/",
        "checkpoints/",
        "evaluations/",
        "people/",
    )
    for name in names:
        client.get(f"/p/bench/{name}").raise_for_status()
    client.get("/api/v1/schema/").raise_for_status()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--import", dest="measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        prepare(options.prepare)
    elif options.measure:
        print(measure_import(*options.measure))
    else:
        with tempfile.TemporaryDirectory(prefix="prefloop-bench-") as name:
            folder = Path(name)
            sizes = (2_000, 10_000, 3) if options.quick else (10_000, 100_000, 5)
            result = imports(folder, *sizes)
            result |= web(folder / "full", 3)
            print(json.dumps(result))


if __name__ == "__main__":
    main()
