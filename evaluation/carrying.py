"""What jobs share that put questions at a desk: who is asked under which identity, and what an interruption means."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.asking import Desk
from evaluation.engines import ENGINES, Interrupted
from evaluation.engines.protocol import Limits
from evaluation.questions import Asked
from evaluation.specs import LimitsSpec
from evaluation.targets import Group
from labeling.lifecycle import Lifecycle, Status
from training.processes import Stop, beat


def interruptible(job: Lifecycle, work: Callable[[], None]) -> None:
    """Do the work of a job that this process holds; give the job back where it was interrupted, or end it where a
    person asked for that."""
    try:
        work()
    except Interrupted as interrupted:
        _give_back(job, str(interrupted))
    except Stop:
        _give_back(job, "")


def _give_back(job: Lifecycle, fault: str) -> None:
    if job.cancel_requested():
        job.finish(Status.CANCELLED)
    else:
        job.requeue(fault=fault, at_once=False)


def desk_of(job: Any, limits: LimitsSpec, *, spent: float = 0.0) -> Desk:
    """The desk of a job with a project and a folder."""
    return Desk(
        project_id=job.project_id,
        folder=job.path,
        limits=Limits(limits.max_length, limits.batch_size, limits.concurrency),
        watch=lambda done, total: None,
        budget=limits.budget,
        spent=spent,
    )


def part_of(job: Lifecycle, low: float, high: float) -> Callable[[int, int], None]:
    """What tells the job how far a part of its work is, which goes from `low` to `high` of the whole."""

    def watch(done: int, total: int) -> None:
        if done:
            job.begin()
        beat(job, low + (high - low) * min(done / max(total, 1), 1.0))

    return watch


def asked_of(group: Group, identities: dict[str, str], limits: LimitsSpec) -> dict[str, Asked]:
    """Those of a group by the engine's name for them, each under everything that can change its answers."""
    profile = dict(ENGINES[group.engine]().profile())
    return {
        target.id: Asked.of(target.id, identities[target.id], profile, limits.max_length)
        for target in group.targets
    }


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f"{path.name}.building")
    with building.open("wb") as file:
        file.writelines(lines)
    building.replace(path)


def json_line(row: Any) -> bytes:
    """A dataclass as one line of JSON."""
    return json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n"
