"""Kill training at random points and see that nothing is lost: `python benchmarks/faults.py [--quick]`.

Real workers (Celery, over the filesystem broker) and real recipe processes train a tiny model on a scratch folder with
SQLite. At a random moment of a run the recipe process, the worker or both are killed with SIGKILL, up to three times a
run; a new worker is started at once. Last line of the output, one JSON object:

- kills: how often something was killed while a run was under way
- lost: runs that did not end with a checkpoint
- doubled: checkpoints beyond one a run, and runs in whose events a step comes again without a resume before it
- stuck: runs that were not over ten minutes after the last kill, and devices that nobody gave back
- bit_identical: whether the weights of every run have the hash of those of a run that nobody disturbed
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.models import TrainingRun

ROOT = Path(__file__).parents[1]
KILLS, QUICK_KILLS, KILLS_A_RUN = 30, 5, 3
PATIENCE_S, POLL_S, SWEEP_S = 600.0, 0.1, 1.0
TARGETS = ("recipe", "worker", "both")
SPEC = {
    "epochs": 4.0,
    "batch_size": 2,
    "max_length": 64,
    "save_steps": 5,
    "logging_steps": 1,
    "lora_r": 4,
    "lora_dropout": 0.1,
}
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings.dev",
    "LOG_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
    "PREFLOOP_HEARTBEAT_TIMEOUT_S": "8",
    "PREFLOOP_MAX_ATTEMPTS": "1000",
}


def django(var: Path) -> None:
    """Set Django up in this process, with its state in `var` and no other service."""
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "CUDA_VISIBLE_DEVICES"):
        os.environ.pop(name, None)
    os.environ |= {**SETTINGS, "PREFLOOP_VAR": str(var)}
    sys.path.insert(0, str(ROOT))
    import django as framework

    framework.setup()
    from labeling import lifecycle

    lifecycle.REQUEUE_AFTER = timedelta(seconds=3)  # the sweeps of this process stand for minutes of patience


class Worker:
    """A worker process with its scheduler, started again after each kill."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.start()

    def start(self) -> None:
        from labeling.processes import worker_command

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                worker_command(), cwd=ROOT, start_new_session=True, stdout=log, stderr=log
            )

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@dataclass
class Tally:
    kills: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    hashes: list[str] = field(default_factory=list)


def arrange(var: Path, base: Path) -> tuple[Any, Any]:
    """A frozen version of a few judged pairs, and the checkpoint of the base."""
    from django.core.management import call_command

    from labeling.curation.freezing import freeze
    from labeling.curation.recipe import Recipe
    from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft, add_items
    from labeling.projects import create_project
    from training.registry import register_base

    call_command("migrate", verbosity=0)
    project = create_project(name="faults", owner=None, overlap=1)
    drafts = [
        ItemDraft(
            messages=[{"role": "user", "content": f"Say the number {n} in words."}],
            responses=[ResponseDraft(f"It is number {n}, of course."), ResponseDraft(f"No {n}.")],
            verdicts=[VerdictDraft(person="rater", kind="pairwise", label="0", display_order=[0, 1])],
        )
        for n in range(40)
    ]
    add_items(project=project, drafts=drafts, source_kind="benchmark")
    recipe = Recipe(near_duplicates=None, complete=False, test_share=0)
    version = freeze(project=project, recipe=recipe, person=None, override="a benchmark")
    return version, register_base(name="tiny", location=str(base))


def begun(version: Any, start: Any) -> TrainingRun:
    from training.launching import launch

    return launch(
        project=version.project, method="sft", dataset_version=version, start=start, values=SPEC, person=None
    )


def recipe_process(run: TrainingRun) -> int | None:
    """The process that works in the run's folder now."""
    try:
        pid = int((run.path / "lock").read_text())
        return pid if str(run.path).encode() in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None


def kill(run: TrainingRun, worker: Worker, target: str) -> bool:
    """Kill the target, if it is there; a killed worker is followed by another. False where nothing was killed."""
    pid = recipe_process(run)
    if target == "recipe" and pid is None:
        return False
    if target != "worker" and pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if target != "recipe":
        worker.kill()
        worker.start()
    return True


def carried(run: TrainingRun, worker: Worker, kills: list[tuple[float, str]]) -> tuple[int, float]:
    """Wait for the end of a run and kill at the given moments, in seconds after a process reports or after the last
    kill. Returns how many were killed, and for how many seconds the run was at work."""
    from training.launching import sweep

    done, began, swept, deadline = 0, None, 0.0, time.monotonic() + PATIENCE_S
    while not run.is_over and time.monotonic() < deadline:
        time.sleep(POLL_S)
        now = time.monotonic()
        if now - swept > SWEEP_S:
            sweep()
            swept = now
        run.refresh_from_db()
        if began is None and run.is_active:
            began = since = now
        due = began is not None and done < len(kills) and now - since >= kills[done][0]
        if due and run.is_active and kill(run, worker, kills[done][1]):
            done += 1
            since, deadline = time.monotonic(), time.monotonic() + PATIENCE_S
    return done, time.monotonic() - (began or deadline)


def check(run: TrainingRun, tally: Tally) -> None:
    """Count what a run came to."""
    from training.models import Checkpoint
    from training.recipes.contract import read_lines

    made = list(Checkpoint.objects.filter(run=run))
    tally.stuck += not run.is_over
    tally.lost += run.is_over and not (run.status == "succeeded" and made)
    tally.doubled += max(0, len(made) - 1)
    step, again = 0, False
    for event in read_lines(run.path / "events.jsonl"):
        if event["type"] in ("start", "resume"):
            step = event["step"]
        elif event["type"] == "log":
            again, step = again or event["step"] < step, event["step"]
    tally.doubled += again
    tally.hashes += [checkpoint.content_hash for checkpoint in made]
    if not run.is_over:
        run.request_cancel()


def measured(var: Path, base: Path, wanted: int, seed: int) -> dict[str, Any]:
    django(var)
    from training.models import Device

    dice, tally = random.Random(seed), Tally()
    version, start = arrange(var, base)
    worker = Worker(var / "worker.log")
    try:
        whole = begun(version, start)
        _, seconds = carried(whole, worker, [])
        check(whole, tally)
        print(f"undisturbed: {whole.status} in {seconds:.1f} s {whole.error}", flush=True)
        while whole.status == "succeeded" and tally.kills < wanted and not tally.stuck:
            count = min(KILLS_A_RUN, wanted - tally.kills)
            kills = [(dice.uniform(0, seconds), dice.choice(TARGETS)) for _ in range(count)]
            run = begun(version, start)
            done, took = carried(run, worker, kills)
            tally.kills += done
            check(run, tally)
            story = ", ".join(f"{target} after {after:.1f} s" for after, target in kills[:done])
            print(
                f"run {run.pk}: {run.status} in {took:.1f} s; killed: {story or 'nothing'} {run.error}",
                flush=True,
            )
        tally.stuck += Device.objects.filter(holder__isnull=False).count()
    finally:
        worker.kill()
    same = len(set(tally.hashes)) == 1 and len(tally.hashes) > 1
    return {
        "kills": tally.kills,
        "lost": tally.lost,
        "doubled": tally.doubled,
        "stuck": tally.stuck,
        "bit_identical": same,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_KILLS} kills instead of {KILLS}")
    parser.add_argument("--kills", type=int, help="another number of kills")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and targets")
    parser.add_argument("--base", type=Path, help="folder of a tiny model; without it, one is built")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.tiny_model import build_tiny_model

    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        var = Path(folder)
        base = given.base or build_tiny_model(var / "base")
        wanted = given.kills or (QUICK_KILLS if given.quick else KILLS)
        print(json.dumps(measured(var, base.resolve(), wanted, given.seed)))


if __name__ == "__main__":
    main()
