"""The turns of a conversation, answered one after the other: what is asked comes in by a file that grows, what is
written can be read while it is, and each answer can be stopped at any token.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from training.recipes import contract, servers
from training.recipes.answering.calling import ServiceFailed
from training.recipes.answering.ledger import (
    ANSWERS,
    REQUESTS,
    Answer,
    Impossible,
    Sampling,
    Wanted,
    as_lines,
    diverged,
)
from training.specs import ChatJob

LIVE = "live"
LOOK_SECONDS, SHOW_SECONDS = 0.05, 0.05
Show = Callable[[Callable[[], str]], None]  # is given, once, what makes the text so far
Pause = Callable[[], None]


class Halted(Exception):
    """Whoever asked does not want the rest of the answer."""


class Voice(Protocol):
    """Writes an answer. Raises `Impossible`, `ServiceFailed`, `RecipeFailed` or `FloatingPointError` where it cannot;
    `pause` is called before every token, and may raise.
    """

    def write(self, wanted: Wanted, show: Show, pause: Pause) -> Answer: ...


class Inbox:
    """What is asked, as the file grows; a line that is not ended yet is none."""

    def __init__(self, path: Path) -> None:
        self.path, self.offset = path, 0
        self.todo: deque[Wanted] = deque()
        self.stopped: set[str] = set()
        self.ended = False

    def look(self) -> None:
        """Read what came since."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                lines = [line for line in file if line.endswith(b"\n")]
        except FileNotFoundError:
            return
        for line in lines:
            self.offset += len(line)
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            return  # torn by a kill, and ended by whoever wrote next
        if not isinstance(row, dict):
            return
        self.ended = bool(row.get("end"))  # a question after it keeps the process
        if "stop" in row:
            self.stopped.add(str(row["stop"]))
        elif "messages" in row:
            given = row.get("sampling") or {}
            sampling = Sampling(**given | {"stop": tuple(given.get("stop", ()))})
            self.todo.append(
                Wanted(str(row["id"]), str(row["target"]), "complete", row["messages"], sampling=sampling)
            )


class Live:
    """The file of an answer that is being written."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, ""
        self.make: Callable[[], str] = str
        self.next = 0.0
        path.write_bytes(b"")

    def show(self, make: Callable[[], str]) -> None:
        """From now on this makes the text so far."""
        self.make = make

    def catch_up(self) -> None:
        """Write the text so far, unless that was done a moment ago."""
        if time.monotonic() >= self.next:
            self.flush()

    def flush(self) -> None:
        """Write the text so far. Half of a character is left out until the rest of it is there."""
        self.next = time.monotonic() + SHOW_SECONDS
        text = self.make().rstrip("\ufffd")
        if text == self.text:
            return
        more, mode = (text[len(self.text) :], "ab") if text.startswith(self.text) else (text, "wb")
        with self.path.open(mode) as file:
            file.write(more.encode("utf-8", "replace"))
        self.text = text


class Talk:
    """Everything that is asked of one process; `count` is how many answers it gave."""

    def __init__(self, run: contract.Run, job: ChatJob) -> None:
        self.run, self.job, self.count = run, job, 0
        self.inbox = Inbox(run.path / REQUESTS)
        self.answered = {str(row.get("id")) for row in contract.read_lines(run.path / ANSWERS)}
        self.out = contract.open_for_append(run.path / ANSWERS)
        (run.path / LIVE).mkdir(exist_ok=True)

    def carry_out(self, voices: Mapping[str, Voice]) -> None:
        """Answer until nobody has asked for `idle_seconds`, or an end was asked for. Raises `Stopped`."""
        quiet = time.monotonic()
        while True:
            self.run.stop_if_asked()
            self.inbox.look()
            if self.inbox.todo:
                self._answer(self.inbox.todo.popleft(), voices)
                quiet = time.monotonic()
            elif self.inbox.ended or time.monotonic() - quiet > self.job.idle_seconds:
                return
            else:
                time.sleep(LOOK_SECONDS)

    def _answer(self, wanted: Wanted, voices: Mapping[str, Voice]) -> None:
        if wanted.id in self.answered or not wanted.id.isalnum():
            return
        live, began = Live(self.run.path / LIVE / f"{wanted.id}.txt"), time.monotonic()
        looked = 0.0

        def pause() -> None:
            nonlocal looked
            self.run.stop_if_asked()
            live.catch_up()
            if time.monotonic() - looked > LOOK_SECONDS:
                self.inbox.look()
                looked = time.monotonic()
            if wanted.id in self.inbox.stopped:
                raise Halted

        try:
            pause()
            said = voices[wanted.target].write(wanted, live.show, pause)
            live.flush()
        except Halted:
            live.flush()
            said = wanted.answer(text=live.text, finish="stopped")
        except Exception as error:
            said = wanted.answer(error=reason(wanted, error))
        self._write(said | {"ms": round(1000 * (time.monotonic() - began), 1)})

    def _write(self, answer: Answer) -> None:
        data = as_lines([answer])
        if os.write(self.out, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.answered.add(answer["id"])
        self.count += 1


def reason(wanted: Wanted, error: Exception) -> str:
    """Why this answer alone cannot be given. Raises what concerns the whole process."""
    if isinstance(error, KeyError) and error.args == (wanted.target,):
        return f"Nobody here is called {wanted.target}; begin another conversation."
    if isinstance(error, servers.ServerSilent):
        raise error
    if isinstance(error, FloatingPointError):
        error = diverged(wanted.target)
    if isinstance(error, (Impossible, ServiceFailed, contract.RecipeFailed)):
        words = str(error)
        return f"{words[:1].upper()}{words[1:]}".rstrip(".") + "."
    if contract.is_out_of_memory(error):
        return "The machine ran out of memory; begin another conversation, or ask for a shorter answer."
    raise error
