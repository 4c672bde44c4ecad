"""What a run took is measured from a zero of its own, whatever the process held or took before."""

from pathlib import Path

import pytest

from training.recipes import memory
from training.recipes.memory import Meter, resident

MIB = 2**20


def held(size: int) -> bytearray:
    """Memory of `size` MiB that is really written to."""
    return bytearray(b"x") * (size * MIB)


@pytest.fixture(params=["the kernel keeps the peak", "the kernel cannot be asked"])
def meter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    if "cannot" in request.param:
        monkeypatch.setattr(memory, "CLEAR", tmp_path / "absent" / "clear_refs")
    elif not memory.CLEAR.exists():
        pytest.skip("this system keeps no peak of the resident set")
    meter = Meter()
    yield meter
    meter.stop()


def test_memory_held_since_the_start_is_counted(meter: Meter):
    meter.start()
    block = held(64)
    assert 60 * MIB <= meter.peak_bytes() <= 80 * MIB
    assert len(block) == 64 * MIB


def test_a_peak_before_the_start_is_forgotten(meter: Meter):
    block = held(128)
    del block
    meter.start()
    assert meter.peak_bytes() < 32 * MIB


def test_a_peak_while_loading_is_forgotten_and_what_stays_is_counted(meter: Meter):
    meter.start()
    kept = held(48)
    while_loading = held(128)
    del while_loading
    meter.forget_peak()
    assert 44 * MIB <= meter.peak_bytes() <= 80 * MIB
    assert len(kept) == 48 * MIB


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
