"""Import and export: ours against Label Studio's API, against bulk inserts of the same rows, and in what memory."""

import json
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import filling, inside, pairs
from benchmarks.load import Failed, Line
from benchmarks.ours import Installation
from benchmarks.peers import label_studio
from benchmarks.peers.label_studio import LabelStudio

PEOPLE = 32
FORMAT = "jsonl"
BOUNDARY = "prefloop-benchmark"
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Size:
    """Rows of an import or export; its repeats, of imports and of exports by Label Studio."""

    rows: int
    repeats: int
    peer_exports: int


FULL, QUICK = Size(10_000, 3, 2), Size(1_000, 1, 1)


def run(var: Path, folder: Path, size: Size) -> dict[str, Any]:
    """On SQLite, each product as it is started by default."""
    ours = Installation(folder / "ours")
    ours.folder.mkdir(parents=True)
    with ExitStack() as stack:
        django = stack.enter_context(ours.inside())
        owner = django(inside.prepare, people=PEOPLE)["owner"]
        studio = stack.enter_context(label_studio.running(var, folder / "peer", PEOPLE))
        imports = measure_imports(stack, ours, django, owner, studio, size)
        exports = measure_exports(ours, django, studio, size)
    return summary(imports, exports) | {"transfers": {"rows": size.rows, **imports, **exports}}


def measure_imports(
    stack: ExitStack, ours: Installation, django: Any, owner: dict[str, str], studio: LabelStudio, size: Size
) -> dict[str, float]:
    """Rows a second of each way into a database, medians of turns."""
    server = stack.enter_context(ours.serving())
    stack.enter_context(ours.working())
    seconds: dict[str, list[float]] = {"sent": [], "verb": [], "bare": [], "label_studio": []}
    tasks = [label_studio.task(*pairs.pair(number)) for number in range(size.rows)]
    file = str(pairs.write(ours.folder / "pairs.jsonl", 0, size.rows))
    send(django, Line(server.address, owner), "Warm up", "\n".join(pairs.lines(0, 10)).encode())
    for turn in range(size.repeats):
        content = Path(file).read_bytes()
        seconds["sent"].append(send(django, Line(server.address, owner), f"Sent {turn}", content))
        seconds["verb"].append(django(inside.run_import, name=f"Verb {turn}", file=file))
        seconds["bare"].append(django(inside.bare_insert, name=f"Bare {turn}", file=file))
        seconds["label_studio"].append(studio.make_project(tasks)[1])
        print(
            f"imports, turn {turn + 1}: { {k: round(v[-1], 2) for k, v in seconds.items()} }", file=sys.stderr
        )
    return {
        f"import_{way}_rows_per_s": size.rows / statistics.median(found) for way, found in seconds.items()
    }


def send(django: Any, line: Line, name: str, content: bytes) -> float:
    """Seconds from sending a file to our API until its last item is stored."""
    (slug,) = django(inside.make_projects, names=[name], items=0)
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="pairs.jsonl"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    place = f"/api/v1/projects/{slug}/imports/"
    began = time.perf_counter()
    status, answer = line.send("POST", place, body, kind=f"multipart/form-data; boundary={BOUNDARY}")
    if status != 202:
        raise Failed(f"our import was answered with {status}: {answer[:300]!r}")
    batch = json.loads(answer)
    while batch["status"] in ("queued", "running"):
        time.sleep(PAUSE_SECONDS)
        batch = line.call("GET", f"{place}{batch['id']}/")
    seconds = time.perf_counter() - began
    line.close()
    if batch["status"] != "succeeded":
        raise Failed(f"our import ended as {batch['status']}: {batch['error']}")
    return seconds


def measure_exports(ours: Installation, django: Any, studio: LabelStudio, size: Size) -> dict[str, Any]:
    """Rows a second of exporting all judgments; and in how much memory."""
    whole = django(filling.fill_judged, name="Whole", items=size.rows, judgments=1, free=0)
    tasks = [label_studio.judged(label_studio.task(*pairs.pair(number))) for number in range(size.rows)]
    project, _ = studio.make_project(tasks)
    mine: list[dict[str, float]] = []
    theirs: list[float] = []
    for _ in range(size.peer_exports):
        theirs.append(peer_export(studio, project, size.rows))
        mine += [exported(ours, whole, size.rows) for _ in range(3)]
    return {
        "export_rows_per_s": size.rows / statistics.median(found["seconds"] for found in mine),
        "export_label_studio_rows_per_s": size.rows / statistics.median(theirs),
        "export_peak_mb": statistics.median(found["peak_mb"] for found in mine),
        "export_label_studio_server_mb": studio.server.resident_mb(),
    }


def peer_export(studio: LabelStudio, project: int, rows: int) -> float:
    seconds, found = studio.export(project)
    if found != rows:
        raise Failed(f"Label Studio exported {found} tasks of {rows}")
    print(f"export by Label Studio: {seconds:.1f} s", file=sys.stderr)
    return seconds


def exported(ours: Installation, slug: str, rows: int) -> dict[str, float]:
    """Our export of a project with so many judged items, in a fresh process, whose memory is its own."""
    with ours.inside() as django:
        found: dict[str, float] = django(inside.export, slug=slug, format=FORMAT)
    if found["rows"] != rows:
        raise Failed(f"our export has {found['rows']} rows of {rows}")
    print(f"export by us: {found}", file=sys.stderr)
    return found


def summary(imports: dict[str, float], exports: dict[str, Any]) -> dict[str, float]:
    found = {
        "import_vs_label_studio": imports["import_sent_rows_per_s"]
        / imports["import_label_studio_rows_per_s"],
        "import_vs_bare_insert": imports["import_verb_rows_per_s"] / imports["import_bare_rows_per_s"],
        "export_vs_label_studio": exports["export_rows_per_s"] / exports["export_label_studio_rows_per_s"],
    }
    return {name: round(value, 3) for name, value in found.items()}
