"""The next server waits until the GPU has its memory back from the last one, a minute at most."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training.recipes.answering import memory

BEFORE = 80_000
SCRIPT = """#!/bin/sh
echo "$@" >> {place}/asked
head -n 1 {place}/free
[ "$(wc -l < {place}/free)" -gt 1 ] && sed -i 1d {place}/free
exit 0
"""


class Run:
    """A run of which one sees what it said."""

    def __init__(self) -> None:
        self.stopping = False
        self.said: list[dict[str, Any]] = []

    def try_event(self, type: str, **values: Any) -> None:
        self.said.append({"type": type, **values})


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what nvidia-smi is to say is free, a line each time, the last one for good; and a clock that waits
    move."""
    program, now = tmp_path / "bin" / "nvidia-smi", [0.0]
    program.parent.mkdir()
    program.write_text(SCRIPT.format(place=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.delenv(memory.VISIBLE, raising=False)
    sleep = lambda seconds: now.append(now[-1] + seconds)  # noqa: E731
    monkeypatch.setattr(memory, "time", SimpleNamespace(monotonic=lambda: now[-1], sleep=sleep))
    return tmp_path


def asked(gpu: Path) -> int:
    return len((gpu / "asked").read_text().splitlines()) if (gpu / "asked").exists() else 0


def waited(gpu: Path, *free: object, before: int | None = BEFORE) -> Run:
    (gpu / "free").write_text("".join(f"{each}\n" for each in free))
    run: Any = Run()
    memory.wait_until_back(run, before)
    found: Run = run
    return found


def test_it_is_waited_until_as_much_is_free_as_before(gpu: Path) -> None:
    assert waited(gpu, 10_000, 50_000, BEFORE - memory.SLACK - 1, BEFORE - memory.SLACK, 0).said == []
    assert asked(gpu) == 4


def test_what_does_not_come_back_is_said_after_a_minute(gpu: Path) -> None:
    (warning,) = waited(gpu, 10_000).said
    assert warning["type"] == "warning"
    assert "The GPU has 70000 MiB less than before the server, a minute after it ended" in warning["message"]
    assert asked(gpu) == 2 + 2 * memory.BACK_SECONDS


def test_nothing_is_waited_for_without_a_gpu_or_when_the_run_stops(
    gpu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert waited(gpu, 10_000, before=None).said == []
    run: Any = Run()
    run.stopping = True
    memory.wait_until_back(run, BEFORE)
    assert asked(gpu) == 0
    assert waited(gpu, "no devices were found").said == [], "a driver that tells nothing is not waited for"
    monkeypatch.setenv(memory.VISIBLE, "")
    assert memory.free() is None
    assert asked(gpu) == 1
    monkeypatch.setenv(memory.VISIBLE, "0,2")
    (gpu / "free").write_text("7\n")
    assert memory.free() == 7
    assert "--id=0,2" in (gpu / "asked").read_text()
