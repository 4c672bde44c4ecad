"""Memory of a GPU that a server must give back before the next one starts. Imports no ML library before it is asked."""

from __future__ import annotations

import os
import subprocess
import time

from training.recipes import contract

QUERY = ("nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits")
VISIBLE = "CUDA_VISIBLE_DEVICES"
QUERY_SECONDS, BACK_SECONDS = 30, 60
SLACK = 1024  # MiB


def free() -> int | None:
    """MiB that are free on the GPUs that this process may use; None without one, or without a driver."""
    ours = os.environ.get(VISIBLE)
    if ours == "":
        return None
    try:
        query = [*QUERY, f"--id={ours}"] if ours else QUERY
        done = subprocess.run(query, capture_output=True, text=True, timeout=QUERY_SECONDS, check=True)
        return sum(int(line) for line in done.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def has_cuda() -> bool:
    """Whether torch would find a GPU here; no context is made on it."""
    import torch

    return bool(torch.cuda.is_available())


def wait_until_back(run: contract.Run, before: int | None) -> None:
    """Wait until as much is free as before the server, for a minute at most; then a warning says what is missing."""
    if before is None or run.stopping:
        return
    began = time.monotonic()
    while (now := free()) is not None and now < before - SLACK:
        if time.monotonic() - began > BACK_SECONDS:
            message = f"The GPU has {before - now} MiB less than before the server, a minute after it ended."
            run.try_event("warning", message=message)
            return
        time.sleep(0.5)
