"""A checkpoint of a run with rollouts: all that the next update depends on, so that a resumed run is the same run.

checkpoint-N/state.pt holds what learns, the optimizer and its schedule, the weight of the KL, the moments of the
rewards, what is watched, and the states of all random generators. The place in the data is N. trainer_state.json is
written last and has the shape that `tuning.last_checkpoint` looks for.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training.recipes import contract

STATE, DONE = "state.pt", "trainer_state.json"


def save(path: Path, step: int, parameters: dict[str, list[nn.Parameter]], parts: dict[str, Any]) -> Path:
    """Write checkpoint-STEP in one rename; `parts` are plain values and state dicts."""
    weights = {name: [p.detach().cpu() for p in values] for name, values in parameters.items()}
    folder = path / f"checkpoint-{step}"
    with contract.new_folder(folder) as building:
        torch.save({"weights": weights, "random": random_states(), **parts}, building / STATE)
        (building / DONE).write_text(json.dumps({"global_step": step}))
    return folder


def load(folder: Path, parameters: dict[str, list[nn.Parameter]]) -> dict[str, Any]:
    """Put weights and random states back and return the other parts. Raises `RecipeFailed` where they do not fit."""
    try:
        found: dict[str, Any] = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError) as error:
        raise contract.RecipeFailed(
            f"{folder.name} cannot be read ({type(error).__name__}); remove it, and the run goes on from the one before"
        ) from error
    weights = found.pop("weights")
    with torch.no_grad():
        for name, values in parameters.items():
            kept = weights.get(name, [])
            if [tuple(p.shape) for p in values] != [tuple(p.shape) for p in kept]:
                raise contract.RecipeFailed(
                    f"{folder.name} holds other weights than this run trains; start a new run"
                )
            for p, value in zip(values, kept, strict=True):
                p.copy_(value)
    set_random_states(found.pop("random"))
    return found


def random_states() -> dict[str, Any]:
    """The states of all generators, as plain values and tensors."""
    version, numbers, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), place, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """What `random_states` returned, put back."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, place, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), place, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def forget(path: Path, keep: int) -> None:
    """Remove all but the newest checkpoints."""
    folders = sorted(path.glob("checkpoint-*"), key=lambda folder: folder.name.rpartition("-")[2].zfill(12))
    whole = [folder for folder in folders if (folder / DONE).exists()]
    for folder in whole[: max(0, len(whole) - keep)]:
        shutil.rmtree(folder, ignore_errors=True)
