"""Full disks, memory that runs out, models that are not there: each ends in a sentence that says what to change."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labeling.models import Project
from tests.tiny_model import ROOT
from tests.training.runs import RESULT, launched, pretend, write_event
from training import launching, oom, processes
from training.launching import drive
from training.models import TrainingRun
from training.recipes import contract
from training.recipes.smaller import smallest_words

WRITES_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from training.recipes import contract
from training.recipes.smaller import smallest_words

def work(run):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
    LIBRARY

sys.exit(contract.process(sys.argv[:2], "sft", work))
"""
PLAIN = '(run.path / "weights").write_bytes(bytes(10**6))'
SAFETENSORS = (
    "import numpy, safetensors.numpy as s; s.save_file({'w': numpy.zeros(10**6)}, str(run.path / 'weights'))"
)
TORCH = "import torch; torch.save(torch.zeros(10**6), run.path / 'weights')"
IGNORES_SIGTERM = """#!/bin/sh
trap '' TERM
echo $$ > "$3/pid"
echo '{"type": "start", "step": 0, "time": "2026-01-01T00:00:00+00:00", "values": {}}' >> "$3/events.jsonl"
echo ready
while :; do sleep 0.05; done
"""


def ends(run_dir: Path, library: str, limit: int) -> subprocess.CompletedProcess[str]:
    """What a recipe process does that may write files of this many bytes."""
    (run_dir / "spec.json").write_text('{"method": "sft"}')
    code = WRITES_UNDER_A_LIMIT.replace("LIBRARY", library)
    return subprocess.run(
        [sys.executable, "-c", code, str(run_dir), str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def driven(run: TrainingRun, monkeypatch: pytest.MonkeyPatch, process: Callable[..., int]) -> TrainingRun:
    monkeypatch.setattr(launching, "run_recipe", process)
    drive(TrainingRun.objects.get(pk=run.pk))
    return TrainingRun.objects.get(pk=run.pk)


@pytest.mark.parametrize("library", [PLAIN, SAFETENSORS, TORCH], ids=["plain", "safetensors", "torch"])
def test_a_disk_that_fills_while_weights_are_written_is_told_as_such(tmp_path: Path, library: str) -> None:
    done = ends(tmp_path, library, 5000)
    assert (done.returncode, processes.failure_words(tmp_path, 1)) == (1, contract.DISK_FULL), done.stderr


def test_where_not_even_an_event_can_be_written_the_sentence_is_on_stderr(tmp_path: Path) -> None:
    done = ends(tmp_path, 'run.event("log", 1)', 0)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, contract.DISK_FULL)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "The disk is full; free some space"),
        (OSError(errno.EDQUOT, "x"), "The disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "The disk is full"),
        (RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/0"), "The disk is full"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "lower batch_size or max_length"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "ran out of memory"),
        (MemoryError(), "ran out of memory"),
        (OSError("me/model is not a local folder and is not a valid model identifier"), "give the folder of"),
        (
            OSError("We couldn't connect to 'https://huggingface.co' to load the files"),
            "or download it first",
        ),
        (contract.RecipeFailed("the loss is not a number; lower learning_rate"), "the loss is not a number"),
        (KeyError("surprise"), "KeyError: 'surprise'"),
    ],
)
def test_what_went_wrong_is_a_sentence(error: Exception, words: str) -> None:
    assert words in contract.sentence(error, "me/model")


def test_a_cause_under_another_error_is_found() -> None:
    error = RuntimeError("could not save")
    error.__cause__ = OSError(errno.ENOSPC, "no room")
    assert contract.sentence(error) == contract.DISK_FULL


def test_a_run_killed_for_want_of_memory_goes_on_with_half_the_batch(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project, values={"batch_size": 4, "gradient_accumulation": 3})
    counts = iter([7, 8, 8, 8])
    monkeypatch.setattr(launching, "kernel_kills", lambda: next(counts))
    found = driven(run, monkeypatch, pretend(code=-9))
    retry = contract.read_lines(run.path / "events.jsonl")[-1]
    assert (found.status, found.attempt, retry["type"]) == ("queued", 0, "retry")
    assert (retry["values"]["batch_size"], retry["values"]["gradient_accumulation"]) == (2, 6)
    assert "batches of 2 and gradient_accumulation 6" in retry["values"]["message"]
    assert driven(run, monkeypatch, pretend(result=RESULT)).events.filter(type="retry").count() == 1


def test_a_run_killed_for_want_of_memory_with_one_row_in_a_batch_fails_with_what_to_change(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project, values={"batch_size": 2})
    counts = iter(range(10))
    monkeypatch.setattr(launching, "kernel_kills", lambda: next(counts))
    assert driven(run, monkeypatch, pretend(code=-9)).status == "queued"
    found = driven(run, monkeypatch, pretend(code=-9))
    assert found.status == "failed"
    assert "even with batches of 1; lower max_length, or choose LoRA" in found.error


def test_a_worker_that_lost_its_claim_tells_the_run_of_another_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_away(*_: Any) -> int:
        TrainingRun.objects.update(claim_token="00000000-0000-0000-0000-000000000001")
        return -9

    counts = iter(range(10))
    monkeypatch.setattr(launching, "kernel_kills", lambda: next(counts))
    run = driven(launched(project), monkeypatch, taken_away)
    assert run.status == "starting"
    assert not (run.path / "events.jsonl").exists()


def test_kto_keeps_two_rows_in_a_batch(tmp_path: Path) -> None:
    spec = {"method": "kto", "batch_size": 3, "gradient_accumulation": 1}
    assert oom.retry_smaller(tmp_path, spec) is False
    assert oom.retry_smaller(tmp_path, {**spec, "batch_size": 4}) is True
    assert "batches of 2" in smallest_words(spec["method"])


def test_a_retry_stands_on_a_line_of_its_own_after_a_torn_one(tmp_path: Path) -> None:
    write_event(tmp_path, "log", 1)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"type": "lo')
    oom.retry_smaller(tmp_path, {"method": "sft", "batch_size": 8, "gradient_accumulation": 1})
    assert [line["type"] for line in contract.read_lines(tmp_path / "events.jsonl")] == ["log", "retry"]


@pytest.mark.parametrize(
    ("own", "file", "text"),
    [
        ("0::/a/b\n", "a/b/memory.events", "oom 3\noom_kill 2\n"),
        ("0::/a/b\n", "memory.events", "oom 3\noom_kill 2\n"),
        ("4:memory:/c\n0::/\n", "memory/c/memory.oom_control", "under_oom 0\noom_kill 2\n"),
        ("4:memory:/c\n0::/\n", "memory/memory.oom_control", "under_oom 0\noom_kill 2\n"),
    ],
)
def test_the_kernel_counts_its_kills_in_the_group_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, file: str, text: str
) -> None:
    (tmp_path / "groups" / file).parent.mkdir(parents=True)
    (tmp_path / "groups" / file).write_text(text)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(oom, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(oom, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(oom, "SYSTEM", tmp_path / "absent")
    assert oom.kernel_kills() == 2


def test_where_the_kernel_does_not_tell_a_kill_is_no_sign_of_want_of_memory(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CGROUPS", "OWN_CGROUPS", "SYSTEM"):
        monkeypatch.setattr(oom, name, tmp_path / "absent")
    run = driven(launched(project), monkeypatch, pretend(code=-9))
    assert (run.status, run.attempt) == ("queued", 1)
    assert not (run.path / "events.jsonl").exists()


def test_a_cancelled_process_that_ignores_the_request_is_killed_within_ten_seconds(
    project: Project, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    assert processes.POLL_SECONDS + processes.CANCEL_GRACE_SECONDS < 10
    settings.PREFLOOP_RECIPE_PYTHON = str(tmp_path / "python")
    (tmp_path / "python").write_text(IGNORES_SIGTERM)
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(processes, "CANCEL_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(processes, "GRACE_SECONDS", 10_000)
    begin = TrainingRun.begin
    seen: list[str] = []

    def cancelled_at_its_first_event(run: TrainingRun) -> bool:
        begun = begin(run)
        seen.append(TrainingRun.objects.get(pk=run.pk).status)
        run.request_cancel()
        return begun

    monkeypatch.setattr(TrainingRun, "begin", cancelled_at_its_first_event)
    run = launched(project)
    drive(run)
    pid = int((run.path / "pid").read_text())
    assert (seen[0], TrainingRun.objects.get().status) == ("running", "cancelled")
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("grace", [10_000, 0.2], ids=["listens", "ignores"])
def test_the_process_of_a_dead_worker_is_ended_before_another_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grace: float
) -> None:
    script = tmp_path / "python"
    script.write_text(IGNORES_SIGTERM if grace < 1 else IGNORES_SIGTERM.replace("trap '' TERM", ""))
    script.chmod(0o755)
    monkeypatch.setattr(processes, "GRACE_SECONDS", grace)
    left = subprocess.Popen(
        [str(script), "-m", "training.recipes.sft", str(tmp_path)],
        env={"PREFLOOP_DIE_WITH_PARENT": "1", "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
    )
    assert left.stdout is not None
    assert left.stdout.readline() == b"ready\n"
    (tmp_path / "lock").write_text(str(left.pid))
    beats: list[int] = []
    monkeypatch.setattr(processes, "POLL_SECONDS", 0.05)
    processes.end_orphan(tmp_path, lambda: beats.append(left.pid))
    left.stdout.close()
    assert left.wait() == (-15 if grace > 1 else -9)
    assert processes.orphan(tmp_path) is None


def test_a_process_that_no_worker_started_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(str(os.getpid()))
    processes.end_orphan(tmp_path, lambda: pytest.fail("nothing to wait for"))


def test_a_disk_on_which_nothing_can_be_written_is_told_by_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0}))
    assert processes.failure_words(tmp_path, 1) == (
        f"The disk of {tmp_path} is full; free some space on it and start the run again."
    )


def test_the_events_of_before_do_not_make_a_run_that_starts_again_look_at_work(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project)
    seen: list[str] = []

    def starts_again(recipe: str, run_dir: Path, watch: Callable[[], None], *_: Any) -> int:
        watch()
        seen.append(TrainingRun.objects.get().status)
        write_event(run_dir, "resume", 2)
        watch()
        seen.append(TrainingRun.objects.get().status)
        return processes.STOPPED

    before = [("begin", 0, {"total_steps": 4}), ("log", 2, {"loss": 1.0})]
    driven(run, monkeypatch, pretend(code=processes.STOPPED, events=before))
    driven(run, monkeypatch, starts_again)
    assert seen == ["starting", "running"]
    assert json.loads((run.path / "events.jsonl").read_text().splitlines()[-1])["type"] == "resume"
