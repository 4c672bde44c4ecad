"""What curation promises: a freeze close to a bare script, flat memory, a preview at once.

    python benchmarks/curation.py [--quick]

Prints one JSON object as its last line:
  freeze_time_vs_bare      seconds of a freeze over those of a bare pandas and pyarrow script with the same filter and
                           the same rows (peers/bare_freeze.py); medians of interleaved repeats, the worse of short and
                           long rows. Both are whole processes; ours also checks the rows and keeps their lineage
  freeze_all_rules_vs_bare the same with the default recipe, which also keeps near-duplicate prompts in one split
  freeze_memory_growth     peak memory of a freeze of all rows over one of a sixteenth of them
  export_memory_growth     peak memory of an export of 1,000,000 rows over one of 10,000, of the worst format
  preview_ms               median time of a preview at 100,000 judgments
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
CHUNK = 2000
PLAIN = {"near_duplicates": None}


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


def short_pairs() -> Iterator[tuple[str, str, str]]:
    """Anthropic's evaluations: a question, the answer that matches a behaviour, and the one that does not."""
    with gzip.open(DATA / "anthropic-evals-scale" / "evals.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    for turn in range(1000):
        for row in rows:
            question = row["question"] if not turn else f"{row['question']} ({turn})"
            yield question, str(row["answer_matching_behavior"]), str(row["answer_not_matching_behavior"])


def long_pairs() -> Iterator[tuple[str, str, str]]:
    """PandaLM's test set, again and again with a counter in the prompt."""
    rows = json.loads((DATA / "pandalm" / "testset-v1.json").read_text())
    for turn in range(10_000):
        for row in rows:
            prompt = f"{row['instruction']}\n\n{row['input']}".strip()
            yield f"{prompt} ({turn})", row["response1"], row["response2"]


def fill(var: Path, name: str, count: int) -> None:
    """A project with this many judged pairs."""
    django(var)
    from django.core.management import call_command

    from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft, add_items
    from labeling.projects import create_project
    from labeling.upkeep import refresh_statistics

    call_command("migrate", verbosity=0)
    project = create_project(name=name, owner=None, overlap=1)
    drafts = (
        ItemDraft(
            messages=[{"role": "user", "content": prompt}],
            responses=[ResponseDraft(first), ResponseDraft(second)],
            verdicts=[
                VerdictDraft(person=f"rater {n % 7}", kind="pairwise", label=str(n % 2), display_order=[0, 1])
            ],
        )
        for n, (prompt, first, second) in enumerate({"short": short_pairs, "long": long_pairs}[name]())
    )
    left = count
    while left > 0 and (chunk := list(islice(drafts, min(CHUNK, left)))):
        left -= add_items(project=project, drafts=chunk, source_kind="benchmark").new
    refresh_statistics()


def freeze(var: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    django(var)
    from labeling.curation.freezing import freeze
    from labeling.curation.recipe import Recipe
    from labeling.models import Project

    began = time.perf_counter()
    version = freeze(
        project=Project.objects.get(), recipe=Recipe(**recipe), person=None, override="a benchmark"
    )
    return {"rows": version.rows, "seconds": time.perf_counter() - began, "peak_mb": peak_mb()}


def export(var: Path, count: int, format: str) -> dict[str, Any]:
    """Export a version of this many rows, written once by the file's own writer."""
    django(var)
    from labeling.curation import exporting, rowfile
    from labeling.models import DatasetVersion

    version = DatasetVersion.objects.first()
    assert version is not None
    folder = Path(version.path).with_name(f"rows-{count}")
    version.folder, version.file_hash = folder.name, rowfile.file_hash(folder / rowfile.FILE_NAME)
    out = var / "out"
    before = peak_mb()
    exporting.export(version, out, format=format)
    peak = peak_mb()
    shutil.rmtree(out)
    return {"peak_mb": peak, "before_mb": before}


def write_versions(var: Path, counts: list[int]) -> None:
    """Files of so many rows beside the frozen one, made of its rows over and over."""
    django(var)
    from labeling.curation import rowfile
    from labeling.models import DatasetVersion

    version = DatasetVersion.objects.first()
    assert version is not None
    for count in counts:
        folder = Path(version.path).with_name(f"rows-{count}")
        folder.mkdir()
        with rowfile.RowWriter(folder / rowfile.FILE_NAME, version.kind) as writer:
            left = count
            while left:
                for row in islice(rowfile.read(version.path), left):
                    writer.add(row)
                    left -= 1


def preview(var: Path, repeats: int) -> dict[str, Any]:
    django(var)
    from labeling.curation.previewing import preview
    from labeling.curation.recipe import Recipe
    from labeling.models import Judgment, Project

    project, times = Project.objects.get(), []
    for seed in range(repeats):
        began = time.perf_counter()
        preview(project=project, recipe=Recipe(seed=seed))
        times.append((time.perf_counter() - began) * 1000)
    return {"ms": statistics.median(times[1:]), "judgments": Judgment.objects.count()}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def again(*arguments: str) -> dict[str, Any]:
    """Run a part of this script in a process of its own; returns what its last line says, with the time in all."""
    return timed([sys.executable, __file__, *arguments])


def timed(command: list[str]) -> dict[str, Any]:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    last = (done.stdout.splitlines() or ["{}"])[-1]
    found = json.loads(last)
    return {**(found if isinstance(found, dict) else {"rows": found}), "whole_s": time.perf_counter() - began}


def against_bare(var: Path, repeats: int) -> dict[str, Any]:
    """Freezes and the bare script in turn."""
    times: dict[str, list[float]] = {"bare": [], "same": [], "all": []}
    rows: dict[str, int] = {}
    for turn in range(repeats):
        bare = timed(
            [
                sys.executable,
                str(ROOT / "benchmarks/peers/bare_freeze.py"),
                str(var / "db.sqlite3"),
                str(var / "bare.parquet"),
            ]
        )
        same = again("freeze", str(var), json.dumps({**PLAIN, "seed": turn}))
        everything = again("freeze", str(var), json.dumps({"seed": turn}))
        for name, found in (("bare", bare), ("same", same), ("all", everything)):
            times[name].append(found["whole_s"])
            rows[name] = found["rows"]
    medians = {name: statistics.median(each) for name, each in times.items()}
    return {
        "seconds": {name: round(value, 2) for name, value in medians.items()},
        "rows": rows,
        "ratio": medians["same"] / medians["bare"],
        "ratio_all": medians["all"] / medians["bare"],
        "peak_mb": same["peak_mb"],
    }


def run(folder: Path, rows: int, exported: int, judgments: int, repeats: int) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for name in ("short", "long"):
        again("fill", str(folder / name), name, str(rows))
        details[name] = against_bare(folder / name, repeats)
    again("fill", str(folder / "small"), "short", str(rows // 16))
    small = again("freeze", str(folder / "small"), json.dumps({}))
    large = again("freeze", str(folder / "short"), json.dumps({"seed": 99}))
    again("write_versions", str(folder / "small"), json.dumps([exported // 100, exported]))
    exports = {
        format: [
            again("export", str(folder / "small"), str(count), format)
            for count in (exported // 100, exported)
        ]
        for format in ("jsonl", "parquet", "datasets")
    }
    growth = [many["peak_mb"] / few["peak_mb"] for few, many in exports.values()]
    again("fill", str(folder / "preview"), "short", str(judgments))
    looked = again("preview", str(folder / "preview"), "8")
    details |= {"freeze_peak_mb": [small["peak_mb"], large["peak_mb"]], "exports": exports, "preview": looked}
    return {
        "freeze_time_vs_bare": round(max(details[name]["ratio"] for name in ("short", "long")), 3),
        "freeze_all_rules_vs_bare": round(max(details[name]["ratio_all"] for name in ("short", "long")), 3),
        "freeze_memory_growth": round(large["peak_mb"] / small["peak_mb"], 3),
        "export_memory_growth": round(max(growth), 3),
        "preview_ms": round(looked["ms"]),
        "details": details,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one repeat")
    given = parser.parse_args()
    sizes = (16_000, 100_000, 20_000, 1) if given.quick else (160_000, 1_000_000, 100_000, 3)
    folder = Path(tempfile.mkdtemp(prefix="curation", dir=ROOT / "var"))
    try:
        print(json.dumps(run(folder, *sizes)))
    finally:
        shutil.rmtree(folder)


PARTS = {
    "fill": lambda var, name, count: fill(Path(var), name, int(count)),
    "freeze": lambda var, recipe: freeze(Path(var), json.loads(recipe)),
    "export": lambda var, count, format: export(Path(var), int(count), format),
    "write_versions": lambda var, counts: write_versions(Path(var), json.loads(counts)),
    "preview": lambda var, repeats: preview(Path(var), int(repeats)),
}

if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:]) or {}))
    else:
        main()
