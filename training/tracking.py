"""MLflow and Weights & Biases, where a team has them: what they are told of a run, and how far the telling is.

A process beside that of the run does the telling (recipes/track.py). Here its card is written, at the start of a run
and once more when it has ended; the sweep sees to the second also where nobody was at work any more.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from labeling.lifecycle import TERMINAL
from training.errands import write_whole
from training.models import Checkpoint, TrainingRun
from training.recipes.track import CARD, PATIENCE_SECONDS, QUIET, STATE

LOG_FILE = "tracking.txt"
FORGOTTEN = timedelta(days=7)  # runs that ended before are not told any more
NAMES = {"mlflow": "MLflow", "wandb": "Weights & Biases"}


def tell(run: TrainingRun) -> None:
    """Write the card of a run and start the process that tells; one that is at it already goes on alone."""
    if not settings.PREFLOOP_TRACKERS:
        return
    write_whole(run.path / CARD, json.dumps(card(run), indent=1))
    with (run.path / LOG_FILE).open("ab") as output:
        subprocess.Popen(
            [
                settings.PREFLOOP_RECIPE_PYTHON or sys.executable,
                "-m",
                "training.recipes.track",
                str(run.path),
            ],
            cwd=settings.ROOT,
            env={**QUIET, **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def card(run: TrainingRun) -> dict[str, Any]:
    """What trackers are told of a run beside its numbers: the thread from the judgments to the weights."""
    version = run.dataset_version
    started = None if run.start.kind == Checkpoint.Kind.BASE else run.start
    tags = {
        "prefloop.project": run.project.slug,
        "prefloop.dataset": f"{version.number}",
        "prefloop.dataset_hash": version.content_hash,
        "prefloop.base": run.base.location,
        "prefloop.base_revision": run.base.revision,
        "prefloop.start": started.content_hash if started else "",
    }
    return {
        "key": run.folder,
        "project": run.project.slug,
        "name": run.name,
        "trackers": settings.PREFLOOP_TRACKERS,
        "parameters": {"method": run.method, **{name: str(value) for name, value in run.spec.items()}},
        "tags": {name: value for name, value in tags.items() if value},
        "outcome": str(run.status) if run.is_over else "",
    }


def sweep() -> None:
    """Have told how runs ended, and try again after an hour where a tracker could not be told."""
    if not settings.PREFLOOP_TRACKERS:
        return
    now = timezone.now()
    ended = TrainingRun.objects.filter(status__in=TERMINAL, finished_at__gt=now - FORGOTTEN)
    for run in ended.select_related("project", "base", "start", "dataset_version"):
        known = _read(run, CARD)
        if known and (not known["outcome"] or _given_up(run)):
            tell(run)


def _given_up(run: TrainingRun) -> bool:
    """Whether some tracker does not know the end of a run and the process that was to tell it is long gone."""
    if all(tracker["outcome"] for tracker in told(run)):
        return False
    return timezone.now().timestamp() - (run.path / CARD).stat().st_mtime > 1.5 * PATIENCE_SECONDS


def told(run: TrainingRun) -> list[dict[str, str]]:
    """Each tracker of a run as {name, address, error, outcome}, for its page; an address is one that can be opened."""
    known, states = _read(run, CARD), _read(run, STATE)
    found = []
    for name in known.get("trackers", ()):
        state = states.get(name, {})
        address = str(state.get("address", ""))
        found.append(
            {
                "name": NAMES.get(name, name),
                "address": address if address.startswith(("http://", "https://")) else "",
                "error": str(state.get("error", "")),
                "outcome": str(state.get("outcome", "")),
            }
        )
    return found


def _read(run: TrainingRun, name: str) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return dict(json.loads((run.path / name).read_text(encoding="utf-8")))
    return {}
