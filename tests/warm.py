"""Recipe processes that start in a moment: forked from one that has imported torch and its libraries once.

A start costs ten seconds of imports otherwise, and the suite makes dozens of them. The recipe that runs is the real
one, under the environment, folder and output that the worker gave it. Tests of kills use the real interpreter.
"""

from __future__ import annotations

import array
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
SOCKET = "warm.sock"


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the server in the background, and have the workers of this run of the suite ask it."""
    os.environ["PREFLOOP_TESTS_PYTHON"] = sys.executable
    os.environ["PREFLOOP_RECIPE_PYTHON"] = str(HERE / "warm_python")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.warm", str(folder / SOCKET)],
        cwd=HERE.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,  # closed when the suite ends, however it ends
    )


def serve(path: str) -> None:
    """Answer until the suite has ended. The libraries are loaded when the first recipe is wanted."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    threading.Thread(target=leave_with_the_suite, daemon=True).start()
    loaded = False
    while True:
        connection, _ = listener.accept()
        if not loaded:
            load()
            loaded = True
        if os.fork() == 0:
            listener.close()
            attend(connection)
        connection.close()


def leave_with_the_suite() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def load() -> None:
    from training.recipes import contract

    contract.set_environment({})

    import training.recipes.tuning  # noqa: F401


def attend(connection: socket.socket) -> None:
    """Run one recipe in a process of its own, and tell how it ended."""
    head, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * 4))
    files = array.array("i")
    files.frombytes(ancillary[0][2])
    size, told = int.from_bytes(head, "big"), b""
    while len(told) < size:
        told += connection.recv(size - len(told))
    asked = json.loads(told)
    recipe = os.fork()
    if recipe == 0:
        run(asked, list(files))
    threading.Thread(target=hand_on, args=(connection, recipe), daemon=True).start()
    _, status = os.waitpid(recipe, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def hand_on(connection: socket.socket, recipe: int) -> None:
    """SIGTERM where it is asked for; SIGKILL where whoever asked is gone."""
    with suppress(ProcessLookupError, OSError):
        while connection.recv(1):
            os.kill(recipe, signal.SIGTERM)
        os.kill(recipe, signal.SIGKILL)


def run(asked: dict[str, object], files: list[int]) -> None:
    os.setsid()
    for place, file in enumerate(files):
        os.dup2(file, place)
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    os.environ.pop("PREFLOOP_DIE_WITH_PARENT", None)  # the process that waits for it is its parent here
    os.chdir(str(asked["cwd"]))
    sys.argv = [str(word) for word in asked["argv"]]  # type: ignore[attr-defined]
    code = 1
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
