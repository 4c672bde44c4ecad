"""What a recipe started beside itself does not outlive it."""

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from training.processes import run_recipe
from training.recipes import leftovers

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]
DIES = """#!/usr/bin/env python3
import os, pathlib, signal, subprocess, sys
folder = pathlib.Path(sys.argv[-1])
beside = subprocess.Popen(["sleep", "600"], env=os.environ | {"PREFLOOP_BESIDE": str(folder)}, start_new_session=True)
(folder / "beside").write_text(str(beside.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_those_of_this_folder_end_and_no_others(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    started = {
        folder: subprocess.Popen(SLEEPS, env=leftovers.marked(folder), start_new_session=True)
        for folder in (ours, others)
    }
    try:
        assert leftovers.beside(ours) == [started[ours].pid]
        leftovers.end(ours)
        assert started[ours].wait(20) == -9
        assert started[others].poll() is None
    finally:
        leftovers.end(others)
        started[others].wait(20)


def test_a_worker_whose_recipe_was_killed_ends_what_ran_beside_it(tmp_path: Path, settings: Any) -> None:
    python = tmp_path / "python"
    python.write_text(DIES)
    python.chmod(0o755)
    settings.PREFLOOP_RECIPE_PYTHON = str(python)
    folder = tmp_path / "run"
    folder.mkdir()
    assert run_recipe("ppo", folder, lambda: None) == -9
    pid = int((folder / "beside").read_text())
    with suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        assert select.select([watched], [], [], 20)[0], "it has ended"
        os.close(watched)
    assert leftovers.beside(folder) == []
