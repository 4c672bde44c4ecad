"""Trackers that the team already has: a real MLflow server and W&B's own files are told of runs."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from config import env
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.tiny_model import ROOT
from tests.training.mlflow_server import free_port, mlflow_server
from tests.training.runs import launched, write_event
from training import launching, tracking
from training.models import TrainingRun
from training.recipes import track

CARD = {
    "key": "run-of-ours",
    "project": "demo",
    "name": "sft-1",
    "trackers": ["mlflow"],
    "parameters": {"method": "sft", "epochs": "2.0"},
    "tags": {"prefloop.dataset_hash": "ab" * 32},
    "outcome": "",
}


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), port) as address:
        yield address


def started(folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    with (folder / "out").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "training.recipes.track", str(folder)],
            cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output,
        )  # fmt: skip


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def told(folder: Path, name: str = "mlflow") -> dict[str, Any]:
    return track.read(folder / track.STATE).get(name, {})


def until(folder: Path, wanted: Any, name: str = "mlflow") -> None:
    for _ in range(600):
        if wanted(told(folder, name)):
            return
        time.sleep(0.1)
    raise AssertionError(f"{told(folder, name)} {(folder / 'out').read_text()}")


def write_card(folder: Path, **changed: Any) -> None:
    (folder / track.CARD).write_text(json.dumps(CARD | changed))


def learned(folder: Path, first: int, last: int) -> None:
    for step in range(first, last + 1):
        write_event(folder, "log", step, loss=3.0 - step / 10, learning_rate=1e-4)


@pytest.mark.heavy
def test_mlflow_has_every_number_once_whatever_was_down_or_killed(
    tmp_path: Path, port: int, request: Any
) -> None:
    write_card(tmp_path)
    learned(tmp_path, 1, 3)
    place = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    process = started(tmp_path, **place)
    until(tmp_path, lambda state: "refused" in state.get("error", "").lower())
    killed(process)
    request.getfixturevalue("server")
    process = started(tmp_path, **place)
    until(tmp_path, lambda state: state["offset"] and not state["error"])
    killed(process)
    write_event(tmp_path, "resume", 2)
    learned(tmp_path, 3, 5)  # step 3 is done again
    write_event(tmp_path, "eval", 5, loss=1.5)
    (tmp_path / "result.json").write_text(
        json.dumps(
            {"steps": 5, "content_hash": "cd" * 32, "held_out": {"accuracy": 0.75}, "status": "succeeded"}
        )
    )
    write_card(tmp_path, outcome="succeeded")
    assert started(tmp_path, **place).wait(60) == track.DONE, (tmp_path / "out").read_text()
    check_mlflow(place["MLFLOW_TRACKING_URI"], told(tmp_path))


def check_mlflow(address: str, state: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("demo")
    (run,) = client.search_runs([experiment.experiment_id])
    assert state["address"] == f"{address}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
    assert (run.info.run_name, run.info.status) == ("sft-1", "FINISHED")
    assert run.data.params == CARD["parameters"]
    assert run.data.tags["prefloop.dataset_hash"] == "ab" * 32
    assert run.data.tags["prefloop.checkpoint"] == "cd" * 32
    losses = [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, "train/loss")]
    assert losses == [(step, 3.0 - step / 10) for step in range(1, 6)]
    assert (run.data.metrics["eval/loss"], run.data.metrics["final/held_out/accuracy"]) == (1.5, 0.75)


def test_a_run_that_failed_has_failed_there(tmp_path: Path, server: str) -> None:
    from mlflow import MlflowClient

    write_card(tmp_path, key="other", project="fails", outcome="failed")
    assert started(tmp_path, MLFLOW_TRACKING_URI=server).wait(60) == track.DONE
    client = MlflowClient(server)
    (run,) = client.search_runs([client.get_experiment_by_name("fails").experiment_id])
    assert run.info.status == "FAILED"


def test_weights_and_biases_writes_its_own_files(tmp_path: Path) -> None:
    write_card(tmp_path, trackers=["wandb"], outcome="succeeded")
    learned(tmp_path, 1, 3)
    assert started(tmp_path, WANDB_MODE="offline").wait(120) == track.DONE, (tmp_path / "out").read_text()
    (path,) = tmp_path.glob("wandb/offline-run-*/run-run-of-ours.wandb")
    kept = path.read_bytes()
    for word in (b"train/loss", b"prefloop.dataset_hash", b"epochs", b"sft-1"):
        assert word in kept


def test_one_tracker_that_refuses_does_not_keep_another_from_being_told(tmp_path: Path, server: str) -> None:
    write_card(tmp_path, key="both", trackers=["wandb", "mlflow"], outcome="cancelled")
    nobody = {"WANDB_API_KEY": "", "WANDB_MODE": "online", "NETRC": "/dev/null", "HOME": str(tmp_path)}
    process = started(tmp_path, MLFLOW_TRACKING_URI=server, **nobody)
    until(tmp_path, lambda state: state.get("outcome") == "cancelled")
    until(tmp_path, lambda state: state.get("error"), "wandb")
    killed(process)


def test_one_process_at_a_time_tells(tmp_path: Path) -> None:
    write_card(tmp_path)
    with (tmp_path / track.LOCK).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert started(tmp_path).wait(30) == track.BUSY


@pytest.fixture
def tracked(project: Project, settings: Any, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A run with a tracker whose telling process is noted and not started."""
    settings.PREFLOOP_TRACKERS = ["mlflow"]
    monkeypatch.setattr(tracking.subprocess, "Popen", lambda command, **_: TOLD.append(command[-1]))
    TOLD.clear()
    run = launched(project, name="mine")
    run.path.mkdir(parents=True)
    return run


TOLD: list[str] = []


def test_the_card_of_a_run_keeps_the_thread_to_its_judgments(tracked: TrainingRun) -> None:
    tracking.tell(tracked)
    card = track.read(tracked.path / track.CARD)
    assert card["tags"]["prefloop.dataset_hash"] == tracked.dataset_version.content_hash
    assert (card["parameters"]["method"], card["parameters"]["learning_rate"]) == ("sft", "0.0002")
    assert (card["outcome"], TOLD) == ("", [str(tracked.path)])


def test_the_end_is_told_also_where_nobody_was_at_work(tracked: TrainingRun) -> None:
    tracking.tell(tracked)
    tracked.request_cancel()
    launching.sweep()
    assert track.read(tracked.path / track.CARD)["outcome"] == Status.CANCELLED
    assert len(TOLD) == 2
    launching.sweep()
    assert len(TOLD) == 2  # it is being told
    os.utime(tracked.path / track.CARD, (0, 0))
    launching.sweep()
    assert len(TOLD) == 3  # whoever was telling it has given up


def test_without_the_setting_nothing_is_written(tracked: TrainingRun, settings: Any) -> None:
    settings.PREFLOOP_TRACKERS = []
    tracking.tell(tracked)
    tracking.sweep()
    assert (TOLD, list(tracked.path.iterdir())) == ([], [])


def test_the_page_of_a_run_links_to_its_trackers_and_says_what_is_wrong(
    tracked: TrainingRun, leo: User
) -> None:
    settings_of = {"mlflow": {"address": "http://m.example/#/1", "error": "", "outcome": ""}}
    tracking.tell(tracked)
    (tracked.path / track.STATE).write_text(json.dumps(settings_of))
    address = reverse("training:run", args=[tracked.project.slug, tracked.pk])
    page = world.sign_in(leo).get(address).content.decode()
    assert '<a href="http://m.example/#/1" rel="noreferrer">MLflow</a>' in page
    settings_of["mlflow"] |= {"address": "javascript:alert(1)", "error": "Connection refused"}
    (tracked.path / track.STATE).write_text(json.dumps(settings_of))
    page = world.sign_in(leo).get(address).content.decode()
    assert "javascript:alert" not in page
    assert "Not reached, and tried again: Connection refused" in page


def test_an_unknown_tracker_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFLOOP_TRACKERS", "mlflow, comet")
    with pytest.raises(ImproperlyConfigured, match="has 'comet'; use some of mlflow, wandb, or none"):
        env.choices("PREFLOOP_TRACKERS", ("mlflow", "wandb"))
