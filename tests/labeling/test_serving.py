"""`manage.py serve`: both processes together, with stand-ins for them."""

import signal
import sys
from pathlib import Path

import pytest

from labeling import processes
from labeling.errors import Refused
from tests.ended import all_ended

UNTIL = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.05)"


@pytest.fixture
def end_web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The web server ends when this file is there."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    file = tmp_path / "end web"
    monkeypatch.setattr(processes, "web_command", lambda *_: [sys.executable, "-c", UNTIL.format(str(file))])
    return file


def test_something_is_done_meanwhile_and_a_worker_that_cannot_begin_ends_all(
    end_web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[int] = []
    end = tmp_path / "end worker"

    def meanwhile() -> bool:
        called.append(1)
        if len(called) == 2:
            end.touch()
        return len(called) < 2

    monkeypatch.setattr(processes, "worker_command", lambda: [sys.executable, "-c", UNTIL.format(str(end))])
    said: list[str] = []
    with pytest.raises(Refused, match="The worker ended by itself"):
        processes.serve(bind="127.0.0.1:1", say=said.append, meanwhile=meanwhile)
    assert len(called) == 2, "it is not asked again after it said that it is done"
    assert said == ["Prefloop is at http://127.0.0.1:1/ (stop with Ctrl+C)"]


def test_a_worker_that_was_killed_is_followed_by_another(
    end_web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"

    def meanwhile() -> bool:
        if begun.exists() and begun.read_text().count("x") >= 3:
            end_web.touch()
        return True

    killed = (
        "import os, signal, subprocess\n"
        f"child = subprocess.Popen(['sleep', '600'])\nopen({str(begun)!r}, 'a').write(f'x {{child.pid}} ')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    monkeypatch.setattr(processes, "worker_command", lambda: [sys.executable, "-c", killed])
    monkeypatch.setattr(processes, "SETTLED_SECONDS", 0)
    said: list[str] = []
    with pytest.raises(Refused, match="The web server ended by itself"):
        processes.serve(bind="127.0.0.1:1", say=said.append, meanwhile=meanwhile)
    assert sum("Another takes up its jobs" in words for words in said) >= 2
    children = [int(word) for word in begun.read_text().split() if word != "x"]
    assert children
    assert all_ended(children), "what a worker started ends with it"
