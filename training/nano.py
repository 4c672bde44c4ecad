"""The nano model: a small causal language model and its tokenizer, trained from scratch on local text."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from labeling.errors import Refused
from training.models import Checkpoint
from training.processes import log_tail, run_recipe
from training.registry import read_result, register_base

LICENCE = "Apache-2.0 and MIT texts, see training/data/SOURCE.md"


def make_nano_model(
    *, out: Path, seed: int = 42, watch: Callable[[], None] = lambda: None, **settings_given: Any
) -> dict[str, Any]:
    """Train the model and put it at `out`. Returns the process's result; raises Refused with its last words."""
    if out.exists() and any(out.iterdir()):
        raise Refused(f"{out} is not empty; choose another folder, or remove it first.")
    building = Path(settings.PREFLOOP_VAR) / "building"
    building.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nano-", dir=building) as folder:
        run_dir = Path(folder)
        spec = {"method": "nano", "seed": seed, **settings_given}
        (run_dir / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        code = run_recipe("nano", run_dir, watch)
        result = read_result(run_dir)
        if result is None:
            raise Refused(f"The nano model could not be made (code {code}): {log_tail(run_dir, 800).strip()}")
        _put(run_dir / result["final"], out)
    return result


def _put(final: Path, out: Path) -> None:
    """Copy beside, then rename: whoever finds the folder finds all of it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    copying = out.with_name(f"{out.name}.copying")
    shutil.rmtree(copying, ignore_errors=True)
    shutil.copytree(final, copying)
    copying.replace(out)


def register_nano_model(*, out: Path, name: str, result: dict[str, Any]) -> Checkpoint:
    """Make a nano model known as a base model of this installation."""
    return register_base(
        name=name,
        location=str(out.resolve()),
        content_hash=result.get("content_hash", ""),
        parameters=result.get("parameters"),
        licence=LICENCE[:100],
    )
