"""A process that scores by code which is not ours: asked a case at a time, watched by the clock, ended with its group.

It guards a run against mistakes: loops, memory, crashes, noise. That code gets no environment of ours, writes nothing
into files, and has no network where the kernel lets a process give it up (a user namespace; containers often forbid
that). It is no prison: it reads what the worker's user may read, and what leaves its group outlives it. So only whoever
runs this installation may put files there.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

CHILD = Path(__file__).with_name("sandbox_child.py")
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of a set is the same each time
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
START_SECONDS = 30.0  # to start Python and to import
LARGEST_LINE = 64 * 1024  # bytes
MOST_ENDED = 20  # in a row


class Broken(Exception):
    """There is no value for this case; the message says why, and the next case may be asked."""


class Sandbox:
    """Keeps one process for many cases, starts it when it is needed and again after it was ended.

    After 20 cases in a row that ended it, or where the file cannot be loaded, it is not started again.
    """

    def __init__(self, file: Path, function: str, *, seconds: float, memory_mb: int) -> None:
        self._command = [
            sys.executable, "-s", "-P", "-B", str(CHILD), str(file), function, str(memory_mb), str(seconds),
        ]  # fmt: skip
        self._seconds, self._memory_mb = seconds, memory_mb
        self._process: subprocess.Popen[bytes] | None = None
        self._ended, self._asked, self._hopeless = 0, 0, ""

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ask(self, case: Mapping[str, Any], answer: str) -> dict[str, Any]:
        """{"value", "detail"} for an answer to a case. Raises Broken with a sentence."""
        if self._hopeless:
            raise Broken(self._hopeless)
        process = self._process or self._start()
        self._asked += 1
        question = {"id": self._asked, "case": case, "answer": answer}
        try:
            reply = self._talk(process, question["id"], _line(question), self._seconds)
        except Broken:
            self._ended += 1
            if self._ended >= MOST_ENDED:
                self._hopeless = f"{MOST_ENDED} cases in a row ended it; the cases after them were not tried"
            raise
        self._ended = 0
        if "error" in reply:
            raise Broken(str(reply["error"]))
        return reply

    def _start(self) -> subprocess.Popen[bytes]:
        process = self._process = subprocess.Popen(
            self._command, env=ENVIRONMENT, cwd="/", start_new_session=True, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin
        os.set_blocking(process.stdin.fileno(), False)
        try:
            reply = self._talk(process, "start", b"", START_SECONDS)
            if "error" in reply:
                raise Broken(str(reply["error"]))
        except Broken as error:
            self._end()
            self._hopeless = f"it cannot be loaded: {error}"
            raise Broken(self._hopeless) from None
        return process

    def _talk(
        self, process: "subprocess.Popen[bytes]", name: object, line: bytes, seconds: float
    ) -> dict[str, Any]:
        """Send a line and read the reply of this name; whatever else happens, the process is ended."""
        try:
            reply = json.loads(_exchange(process, line, time.monotonic() + seconds))
            if isinstance(reply, dict) and reply.get("id") == name:
                return reply
            words = "it replied to something that it was not asked"
        except TimeoutError:
            words = f"it took more than {seconds:g} s"
        except EOFError:
            self._end()
            words = _why(process.returncode, self._memory_mb)
        except (ValueError, RecursionError):
            words = "it wrote something that is no reply"
        self._end()
        raise Broken(words)

    def _end(self) -> None:
        """The group is killed before its leader is reaped, so that its number is still its own."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _line(question: Mapping[str, Any]) -> bytes:
    return json.dumps(question).encode() + b"\n"


def _exchange(process: "subprocess.Popen[bytes]", line: bytes, deadline: float) -> bytes:
    """Write a line and read one, by the deadline. TimeoutError, EOFError; ValueError where more than a line came."""
    assert process.stdin
    assert process.stdout
    into, out_of = process.stdin.fileno(), process.stdout.fileno()
    poll, left, reply = select.poll(), memoryview(line), bytearray()
    poll.register(out_of, select.POLLIN)
    if left:
        poll.register(into, select.POLLOUT)
    while b"\n" not in reply:
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError
        for descriptor, _ in ready:
            if descriptor == into:
                left = left[_write(into, left) :]
                if not left:
                    poll.unregister(into)
            elif not (data := os.read(out_of, LARGEST_LINE)):
                raise EOFError
            else:
                reply += data
        if len(reply) > LARGEST_LINE:
            raise ValueError("too long")
    if left or not reply.endswith(b"\n") or reply.count(b"\n") > 1:
        raise ValueError("more than a reply")
    return bytes(reply)


def _write(into: int, left: memoryview) -> int:
    try:
        return os.write(into, left)
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        raise EOFError from None


def _why(code: int, memory_mb: int) -> str:
    if code == -signal.SIGXCPU:
        return "it used more processor time than allowed"
    if code < 0:
        return (
            f"its process was killed by signal {-code}, often for want of memory; it may use {memory_mb} MB"
        )
    return f"its process ended with code {code}"
