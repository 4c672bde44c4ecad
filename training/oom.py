"""Out of memory: whether the kernel killed a process for want of it, and how the run tries again with less."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.recipes import contract
from training.recipes.smaller import newest_retry, smaller

CGROUPS, OWN_CGROUPS, SYSTEM = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/vmstat")


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
    """Tell the recipe, by a retry event, to go on with less at a time.

    False where a batch cannot be smaller. Raises OSError where the event cannot be written.
    """
    now = {**spec, **newest_retry(run_dir)}
    values = smaller(spec["method"], now["batch_size"], now["gradient_accumulation"])
    if values is None:
        return False
    line = {"type": "retry", "step": 0, "time": datetime.now(UTC).isoformat(), "values": values}
    contract.append_line(run_dir / "events.jsonl", json.dumps(line))
    return True
