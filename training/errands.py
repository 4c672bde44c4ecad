"""What jobs on weights share: run the recipe in a process, tell how far it is, and say what its end means."""

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labeling.lifecycle import Status
from training.models import Measurement, Merge
from training.processes import BUSY, STOPPED, beat, failure_words, killed_words, newest_event, run_recipe
from training.registry import read_result

Errand = Merge | Measurement
Result = dict[str, Any]


def see_through(job: Errand, recipe: str, succeed: Callable[[Result], None]) -> None:
    """Run the process of a claimed and prepared job and settle it. `succeed` is given the result and ends the job."""

    def watch() -> None:
        event = newest_event(job.path, "progress")
        share = event["done"] / event["total"] if event is not None else None
        beat(job, share)

    code = run_recipe(recipe, job.path, watch)
    result = read_result(job.path)
    if result is not None:
        succeed(result)
    elif job.cancel_requested():
        job.finish(Status.CANCELLED)
    elif code in (STOPPED, BUSY) or code < 0:
        job.requeue(fault=killed_words(code), at_once=code != BUSY)
    else:
        job.finish(Status.FAILED, failure_words(job.path, code))


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and rename it: a reader finds all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f"{path.name}.{uuid.uuid4().hex}.building")
    building.write_text(text, encoding="utf-8")
    building.rename(path)


def write_spec(path: Path, spec: dict[str, Any]) -> None:
    write_whole(path / "spec.json", json.dumps(spec, indent=1))


def clear(job: Errand) -> None:
    """Remove what a job that did not succeed wrote; of a failed one the log stays."""
    if job.status == Status.CANCELLED:
        shutil.rmtree(job.path, ignore_errors=True)
    elif job.status == Status.FAILED:
        for path in job.path.glob("final*"):
            shutil.rmtree(path, ignore_errors=True)
