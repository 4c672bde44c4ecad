"""What a run took is measured from a zero of its own, whatever the process held or took before."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.recipes import memory
from training.recipes.memory import Meter, resident

MIB = 2**20
KERNEL, SAMPLED = "the kernel keeps the peak", "the kernel cannot be asked"


def held(size: int) -> bytearray:
    """Memory of `size` MiB that is really written to."""
    return bytearray(b"x") * (size * MIB)


def measured(way: str) -> dict[str, int]:
    """What a meter says, in MiB, in a process of its own: this one gives memory back when it likes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.test_memory", way],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, int] = json.loads(done.stdout)
    return found


def measure(way: str) -> dict[str, int]:
    """In the process: a peak before the start, memory held since, and a peak that is to be forgotten."""
    if way == SAMPLED:
        memory.CLEAR = Path("/absent/clear_refs")
    found, meter = {}, Meter()
    before = held(128)
    del before
    meter.start()
    found["nothing"] = meter.peak_bytes() // MIB
    kept = held(64)
    found["held"] = meter.peak_bytes() // MIB
    loading = held(128)
    found["loading"] = meter.peak_bytes() // MIB
    del loading
    meter.forget_peak()
    found["after"] = meter.peak_bytes() // MIB
    meter.stop()
    return found | {"kept": len(kept) // MIB}


@pytest.mark.parametrize("way", [KERNEL, SAMPLED])
def test_peaks_before_the_start_and_while_loading_are_forgotten_and_what_is_held_is_counted(way: str):
    if way == KERNEL and not memory.CLEAR.exists():
        pytest.skip("this system keeps no peak of the resident set")
    found = measured(way)
    assert found["nothing"] < 32
    assert 60 <= found["held"] <= 80
    assert 188 <= found["loading"] <= 210
    assert 60 <= found["after"] <= 80


def test_the_sampler_sees_a_peak_that_is_gone_when_it_is_asked():
    sampler = memory.Sampler()
    before = sampler.peak
    block = held(64)
    sampler.look()
    del block
    sampler.look()
    assert sampler.peak >= before + 60 * MIB


def test_without_proc_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    assert resident("VmHWM") == 0


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
