"""Worker and recipe are killed while a run is under way; what comes out is what an undisturbed run gives."""

import json
import os
import subprocess
import sys

import pytest

from tests.tiny_model import ROOT, tiny_model


@pytest.mark.heavy
def test_kills_at_random_moments_lose_nothing_and_change_no_bit() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/faults.py", "--kills", "2", "--base", str(tiny_model())],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PREFLOOP_RECIPE_PYTHON"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "kills": 2,
        "lost": 0,
        "doubled": 0,
        "stuck": 0,
        "bit_identical": True,
    }, done.stdout
