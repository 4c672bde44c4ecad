"""The turns of a conversation: what is asked comes in by a file that grows, and what is written can be read while it
is. Everyone who was asked writes at once, by turns of a moment each, and can be stopped at any token.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

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
TURN_SECONDS, REST_SECONDS = 0.05, 0.01  # how long one writes while others wait; and all, where nothing came
Show = Callable[[Callable[[], str]], None]  # is given, once, what makes the text so far
Writing: TypeAlias = Generator[bool, None, Answer]  # gives, after each step, whether anything came


class Voice(Protocol):
    """Writes an answer step by step, and can be left after any of them. Raises `Impossible`, `ServiceFailed`,
    `RecipeFailed` or `FloatingPointError` where it cannot.
    """

    def write(self, wanted: Wanted, show: Show) -> Writing: ...


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


@dataclass
class Speech:
    """An answer on its way."""

    wanted: Wanted
    writing: Writing
    live: Live
    began: float = field(default_factory=time.monotonic)

    def go_on(self) -> bool:
        """Write for a moment, or until nothing comes; returns whether anything came. Raises `StopIteration` with the
        answer where it has ended."""
        over, came = time.monotonic() + TURN_SECONDS, False
        while next(self.writing):
            came = True
            if time.monotonic() >= over:
                break
        self.live.catch_up()
        return came


class Talk:
    """Everything that is asked of one process; `count` is how many answers it gave."""

    def __init__(self, run: contract.Run, job: ChatJob) -> None:
        self.run, self.job, self.count = run, job, 0
        self.inbox = Inbox(run.path / REQUESTS)
        self.answered = {str(row.get("id")) for row in contract.read_lines(run.path / ANSWERS)}
        self.out = contract.open_for_append(run.path / ANSWERS)
        self.speaking: list[Speech] = []
        (run.path / LIVE).mkdir(exist_ok=True)

    def carry_out(self, voices: Mapping[str, Voice]) -> None:
        """Answer until nobody has asked for `idle_seconds`, or an end was asked for. Raises `Stopped`."""
        try:
            self._carry_out(voices)
        finally:
            for speech in self.speaking:
                speech.writing.close()

    def _carry_out(self, voices: Mapping[str, Voice]) -> None:
        quiet = looked = time.monotonic()
        self.inbox.look()
        while True:
            self.run.stop_if_asked()
            if time.monotonic() - looked > LOOK_SECONDS:
                self.inbox.look()
                looked = time.monotonic()
            while self.inbox.todo:
                self._begin(self.inbox.todo.popleft(), voices)
            came = [self._go_on(speech) for speech in list(self.speaking)]
            if came:
                quiet = time.monotonic()
            elif self.inbox.ended or time.monotonic() - quiet > self.job.idle_seconds:
                return
            if not any(came):
                time.sleep(REST_SECONDS if came else LOOK_SECONDS)

    def _begin(self, wanted: Wanted, voices: Mapping[str, Voice]) -> None:
        if wanted.id in self.answered or not wanted.id.isalnum():
            return
        if wanted.target not in voices:
            words = f"Nobody here is called {wanted.target}; begin another conversation."
            self._write(wanted.answer(error=words, ms=0.0))
            return
        live = Live(self.run.path / LIVE / f"{wanted.id}.txt")
        self.speaking.append(Speech(wanted, voices[wanted.target].write(wanted, live.show), live))

    def _go_on(self, speech: Speech) -> bool:
        """One turn of an answer; returns whether anything came."""
        wanted, live = speech.wanted, speech.live
        try:
            if wanted.id not in self.inbox.stopped:
                return speech.go_on()
            speech.writing.close()
            live.flush()
            said = wanted.answer(text=live.text, finish="stopped")
        except StopIteration as end:
            live.flush()
            said = end.value
        except Exception as error:
            said = wanted.answer(error=reason(wanted, error))
        self.speaking.remove(speech)
        self._write(said | {"ms": round(1000 * (time.monotonic() - speech.began), 1)})
        return True

    def _write(self, answer: Answer) -> None:
        data = as_lines([answer])
        if os.write(self.out, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.answered.add(answer["id"])
        self.count += 1


def reason(wanted: Wanted, error: Exception) -> str:
    """Why this answer alone cannot be given. Raises what concerns the whole process."""
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
