"""Tell the trackers that a team already has what a run does: `python -m training.recipes.track RUN_DIR`.

A process of its own beside that of the recipe, so that a tracker that is down, slow or wrongly set costs the run
nothing. It follows RUN_DIR/events.jsonl and result.json until RUN_DIR/tracking.json, which the worker writes, says how
the run ended; what it has told to whom is in RUN_DIR/trackers.json, so that another process goes on after a kill. One
process at a time holds RUN_DIR/tracking.lock. Where a tracker is and who we are to it comes from the environment, by
the trackers' own names (MLFLOW_TRACKING_URI, WANDB_API_KEY and the like). TensorBoard needs none of this: the recipe
writes its files itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from training.recipes.contract import chain, write_whole

CARD, STATE, LOCK = "tracking.json", "trackers.json", "tracking.lock"
POLL_SECONDS = 2.0
PAUSE_SECONDS, LONGEST_PAUSE = 5.0, 300.0  # after a first failure; doubled after each more
PATIENCE_SECONDS = (
    3600.0  # how long it goes on trying after the run's end, or waits for an end that nobody tells
)
AT_ONCE = 1000  # numbers in one request, MLflow's limit
PARAMETERS_AT_ONCE, LONGEST_VALUE = 100, 500  # MLflow's limits
WORDS = 300  # characters of an error that are kept
DONE, UNTOLD, BUSY = 0, 1, 73
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_INIT_TIMEOUT": "60",
}


class Point(NamedTuple):
    """A number that a run reported; `time` in seconds since 1970."""

    name: str
    value: float
    step: int
    time: float


class Tracker(Protocol):
    """What is told to one tracker. Each method may raise anything; it is tried again later."""

    def open(self, card: dict[str, Any]) -> str:
        """Find or make the run there; returns its address, empty where there is none."""

    def send(self, points: list[Point]) -> None:
        """Store numbers; the same ones may come twice."""

    def close(self, card: dict[str, Any], facts: dict[str, str]) -> None:
        """Store how the run ended and what is known of its result."""


class MLflow:
    """An MLflow server or folder; the experiment has the project's name, and a tag tells which run of ours it is."""

    ENDS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}

    def __init__(self) -> None:
        from mlflow import MlflowClient, get_tracking_uri

        self.client, self.place, self.id = MlflowClient(), get_tracking_uri(), ""

    def open(self, card: dict[str, Any]) -> str:
        """Take the run that has our tag, else make one."""
        experiment = self._experiment(card["project"])
        found = self.client.search_runs([experiment], f"tags.`prefloop.run` = '{card['key']}'", max_results=1)
        if found:
            self.id = found[0].info.run_id
        else:
            tags = card["tags"] | {"prefloop.run": card["key"]}
            self.id = self.client.create_run(experiment, tags=tags, run_name=card["name"]).info.run_id
        self._parameters(card["parameters"])
        self.client.update_run(self.id, "RUNNING")
        address = f"{self.place.rstrip('/')}/#/experiments/{experiment}/runs/{self.id}"
        return address if self.place.startswith("http") else ""

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            with suppress(MlflowException):  # another run of this project made it a moment ago
                return str(self.client.create_experiment(name))
            found = self.client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage == "deleted":
            raise RuntimeError(f"the experiment {name} was deleted there; restore it or delete it for good")
        return str(found.experiment_id)

    def _parameters(self, values: dict[str, str]) -> None:
        from mlflow.entities import Param

        params = [Param(name, value[:LONGEST_VALUE]) for name, value in values.items()]
        for at in range(0, len(params), PARAMETERS_AT_ONCE):
            self.client.log_batch(self.id, params=params[at : at + PARAMETERS_AT_ONCE])

    def send(self, points: list[Point]) -> None:
        """A number that is there already, with its time and step, stays one number."""
        from mlflow.entities import Metric

        metrics = [Metric(one.name, one.value, int(one.time * 1000), one.step) for one in points]
        for at in range(0, len(metrics), AT_ONCE):
            self.client.log_batch(self.id, metrics=metrics[at : at + AT_ONCE])

    def close(self, card: dict[str, Any], facts: dict[str, str]) -> None:
        """End it there with the status that it has here."""
        for name, value in facts.items():
            self.client.set_tag(self.id, name, value)
        self.client.set_terminated(self.id, self.ENDS[card["outcome"]])


class WeightsAndBiases:
    """Weights & Biases, or its files in RUN_DIR/wandb where WANDB_MODE is offline."""

    def __init__(self, folder: Path) -> None:
        import wandb

        self.wandb, self.folder = wandb, folder
        self.run: Any = None

    def open(self, card: dict[str, Any]) -> str:
        """Go on with the run of our name, else make one."""
        self.run = self.wandb.init(
            project=card["project"],
            id=card["key"],
            name=card["name"],
            config=card["parameters"] | card["tags"],
            resume="allow",
            dir=str(self.folder),
            settings=self.wandb.Settings(console="off", disable_git=True, save_code=False),
        )
        return str(self.run.url or "")

    def send(self, points: list[Point]) -> None:
        """Numbers of one step go together; steps that it has are left out there."""
        by_step: dict[int, dict[str, float]] = {}
        for one in points:
            by_step.setdefault(one.step, {})[one.name] = one.value
        for step in sorted(by_step):
            self.run.log(by_step[step], step=step)

    def close(self, card: dict[str, Any], facts: dict[str, str]) -> None:
        """Finish it there: with an exit code of 0, or of 1 for a run that failed or was cancelled."""
        self.run.config.update(facts | {"prefloop.outcome": card["outcome"]}, allow_val_change=True)
        self.run.finish(exit_code=0 if card["outcome"] == "succeeded" else 1)


class Channel:
    """What one tracker was told so far, and when it is tried again."""

    def __init__(self, name: str, folder: Path, state: dict[str, Any]) -> None:
        self.name, self.folder = name, folder
        self.offset = int(state.get("offset", 0))  # bytes of events.jsonl that it has
        self.reached: dict[str, int] = dict(state.get("reached", {}))  # newest step told, by type of event
        self.address, self.error = str(state.get("address", "")), ""
        self.outcome = str(state.get("outcome", ""))
        self.tracker: Tracker | None = None
        self.pause, self.again = PAUSE_SECONDS, 0.0

    @property
    def state(self) -> dict[str, Any]:
        """What is kept, and shown on the page of the run."""
        names = ("offset", "reached", "address", "error", "outcome")
        return {name: getattr(self, name) for name in names}

    def catch_up(self, card: dict[str, Any]) -> None:
        """Tell what is new. What goes wrong is noted and tried again after a while."""
        if not card["outcome"]:
            self.outcome = ""  # it was told an end, and the run was resumed
        if self.outcome or time.monotonic() < self.again:
            return
        try:
            if self.tracker is None:
                tracker = make(self.name, self.folder)
                self.address = tracker.open(card)
                self.tracker = tracker
            self._tell()
            if card["outcome"]:
                self._end(card)
        except Exception as error:
            self.error, self.tracker = sentence(error)[:WORDS], None
            self.again = time.monotonic() + self.pause
            self.pause = min(2 * self.pause, LONGEST_PAUSE)
        else:
            self.error, self.pause = "", PAUSE_SECONDS

    def _tell(self) -> None:
        with suppress(FileNotFoundError), (self.folder / "events.jsonl").open("rb") as file:
            file.seek(self.offset)
            data = file.read()
            data = data[: data.rfind(b"\n") + 1]
            reached = dict(self.reached)
            points = list(numbers(data.splitlines(), reached))
            if points:
                self._tracker.send(points)
            self.offset, self.reached = self.offset + len(data), reached

    def _end(self, card: dict[str, Any]) -> None:
        path = self.folder / "result.json"
        result = read(path)
        if result:
            step, at = int(result.get("steps", 0)), path.stat().st_mtime
            self._tracker.send([Point(f"final/{name}", value, step, at) for name, value in leaves(result)])
        facts = {"prefloop.checkpoint": result["content_hash"]} if "content_hash" in result else {}
        self._tracker.close(card, facts)
        self.outcome, self.tracker = card["outcome"], None

    @property
    def _tracker(self) -> Tracker:
        assert self.tracker is not None
        return self.tracker


def make(name: str, folder: Path) -> Tracker:
    """Return the tracker of a name. Raises with what to do where its package is not installed."""
    try:
        return MLflow() if name == "mlflow" else WeightsAndBiases(folder)
    except ImportError as error:
        raise RuntimeError(
            f"the package {error.name} is not installed; install the extra: pip install 'prefloop[trackers]'"
        ) from error


def sentence(error: Exception) -> str:
    """Return why a tracker could not be told; of what a network refused, the refusal and not the way to it."""
    cause = list(chain(error))[-1]
    if isinstance(cause, OSError) and cause.strerror:
        return f"{cause.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


def numbers(lines: Iterable[bytes], reached: dict[str, int]) -> Iterable[Point]:
    """Yield what events measured, each step once: after a resume, steps are done again with the same numbers.

    `reached` has the newest step by type of event and is brought up to date.
    """
    for line in lines:
        try:
            event = json.loads(line)
            kind, step, values = event["type"], int(event["step"]), event["values"]
            at = datetime.fromisoformat(event["time"]).timestamp()
        except (ValueError, KeyError, TypeError):  # torn by a kill
            continue
        if kind not in ("log", "eval") or step <= reached.get(kind, -1):
            continue
        reached[kind] = step
        for name, value in leaves(values):
            yield Point(f"{'train' if kind == 'log' else 'eval'}/{name}", value, step, at)


def leaves(values: dict[str, Any], before: str = "") -> Iterable[tuple[str, float]]:
    """Yield the numbers of nested objects by their path; lists and truth values are left out."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{before}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{before}{name}", float(value)


def follow(folder: Path) -> int:
    """Tell the trackers what happens in a folder until all know how it ended; returns the exit code."""
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return BUSY
        card, states = read(folder / CARD), read(folder / STATE)
        channels = [Channel(name, folder, states.get(name, {})) for name in card["trackers"]]
        return _follow(folder, channels)


def _follow(folder: Path, channels: list[Channel]) -> int:
    size, since = -1, time.monotonic()
    while True:
        card = read(folder / CARD)
        written = (folder / "events.jsonl").stat().st_size if (folder / "events.jsonl").exists() else 0
        if written != size:
            size, since = written, time.monotonic()
        for channel in channels:
            before = channel.state
            channel.catch_up(card)
            if channel.state != before:
                states = {one.name: one.state for one in channels}
                write_whole(folder / STATE, json.dumps(states, indent=1))
        if all(channel.outcome for channel in channels):
            return DONE
        if time.monotonic() - since > PATIENCE_SECONDS:
            return UNTOLD
        time.sleep(POLL_SECONDS)


def read(path: Path) -> dict[str, Any]:
    """Return a JSON object; an absent file is an empty one."""
    with suppress(FileNotFoundError):
        return dict(json.loads(path.read_text()))
    return {}


if __name__ == "__main__":
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    sys.exit(follow(Path(sys.argv[1])))
