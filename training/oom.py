"""Out of memory: whether the kernel killed a process for want of it, and how the run tries again with less."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.recipes import contract

CGROUPS, OWN_CGROUPS, SYSTEM = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/vmstat")
LARGEST_ACCUMULATION = 1024  # as in TrainSpec
FEWEST_ROWS = {"kto": 2}  # its KL is estimated within a batch


def kernel_kills() -> int | None:
    """How many processes of this container (or else of this machine) the kernel has killed for want of memory.

    None where it does not tell.
    """
    for path in (*_cgroup_files(), SYSTEM):
        with suppress(OSError, ValueError):
            counts = dict(line.split(maxsplit=1) for line in path.read_text().splitlines() if " " in line)
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return None


def _cgroup_files() -> list[Path]:
    """The files that count kills, of this process's own group first; in a container its group is the root it sees."""
    files = []
    with suppress(OSError):
        for line in OWN_CGROUPS.read_text().splitlines():
            _, kinds, group = line.split(":", 2)
            if kinds == "":  # cgroup v2
                files += [CGROUPS / group.lstrip("/") / "memory.events", CGROUPS / "memory.events"]
            elif "memory" in kinds.split(","):
                root = CGROUPS / "memory"
                files += [root / group.lstrip("/") / "memory.oom_control", root / "memory.oom_control"]
    return files


def retry_smaller(run_dir: Path, spec: dict[str, Any]) -> bool:
    """Tell the recipe, by a retry event, to go on with half the rows in a batch and as many in a step as before.

    False where a batch cannot be smaller. Raises OSError where the event cannot be written.
    """
    rows, passes = _newest(run_dir, spec)
    half = rows // 2
    more = round(rows * passes / half) if half else 0
    if half < FEWEST_ROWS.get(spec["method"], 1) or more > LARGEST_ACCUMULATION:
        return False
    message = (
        f"The machine ran out of memory with batches of {rows} rows; the run goes on with batches of {half} and "
        f"gradient_accumulation {more}, so that a step still sees as many rows."
    )
    values = {"batch_size": half, "gradient_accumulation": more, "message": message}
    line = {"type": "retry", "step": 0, "time": datetime.now(UTC).isoformat(), "values": values}
    contract.append_line(run_dir / "events.jsonl", json.dumps(line))
    return True


def smallest_words(spec: dict[str, Any]) -> str:
    """The sentence for a run that ran out of memory with the smallest batch that there is."""
    rows = FEWEST_ROWS.get(spec["method"], 1)
    return (
        f"The machine ran out of memory even with batches of {rows}; lower max_length, or choose LoRA, QLoRA or "
        "a smaller base model."
    )


def _newest(run_dir: Path, spec: dict[str, Any]) -> tuple[int, int]:
    """(rows in a batch, batches in a step) of the run now: of its newest retry, else of its spec."""
    now = spec
    for event in contract.read_lines(run_dir / "events.jsonl"):
        if event.get("type") == "retry":
            now = event["values"]
    return now["batch_size"], now["gradient_accumulation"]
