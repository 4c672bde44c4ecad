"""The smallest model the recipes can train: built once a run of the suite from bundled text, in its own process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import shared

ROOT = Path(__file__).parents[1]
TEXT = ROOT / "training" / "data" / "self-instruct-seed.jsonl.gz"


def build_tiny_model(path: Path, *, max_steps: int = 30) -> Path:
    """Build a model of about 0.1 M parameters (hidden 64, 2 layers, head_dim 32) at `path` and return `path`."""
    run_dir = Path(tempfile.mkdtemp(prefix="tiny-model-"))
    spec = {
        "method": "nano",
        "seed": 1,
        "text": [str(TEXT)],
        "budget_seconds": 60,
        "max_steps": max_steps,
        "vocab_size": 512,
        "hidden_size": 64,
        "layers": 2,
        "head_dim": 32,
        "block": 64,
        "batch_size": 8,
        "learning_rate": 0.015,
    }
    (run_dir / "spec.json").write_text(json.dumps(spec))
    done = subprocess.run(
        [sys.executable, "-m", "training.recipes.nano", str(run_dir)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(run_dir / "final", path)
    shutil.move(run_dir / "result.json", path.with_name(path.name + ".result.json"))
    shutil.rmtree(run_dir)
    return path


def tiny_model() -> Path:
    """Return the tiny model of this run of the suite, building it on the first call; nobody may change it."""
    return shared.once("tiny-model", lambda folder: build_tiny_model(folder / "base")) / "base"
