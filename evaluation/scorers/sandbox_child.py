"""The process of a project's own scorer: a case on each line in, its value on a line out. Standard library only.

`python sandbox_child.py FILE FUNCTION MEMORY_MB SECONDS`. What the scorer prints goes nowhere. What it is kept from
stands in sandbox.py.
"""

import ctypes
import importlib.util
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LARGEST_LINE = 64 * 1024  # bytes
NEW_USER, NEW_NETWORK, DIE_WITH_PARENT = 0x10000000, 0x40000000, 1

Score = Callable[[dict[str, Any], str], object]


def main(file: str, function: str, memory_mb: int, seconds: float) -> int:
    source, sink = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    _leave_network()
    _limit(memory_mb)
    _allow_cpu(seconds + 10)  # it also loads what it imports
    try:
        score = _load(file, function)
    except BaseException as error:  # also SystemExit
        _tell(sink, {"id": "start", "error": _words(error)})
        return 1
    _tell(sink, {"id": "start"})
    for line in source:
        question = json.loads(line)
        _allow_cpu(seconds)
        _tell(sink, {"id": question["id"], **_answered(score, question)})
    return 0


def _leave_network() -> None:
    """Without network, where that is allowed; then this process cannot look into its parent's environment either."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "unshare"):
        libc.unshare(NEW_USER | NEW_NETWORK)
    if hasattr(libc, "prctl"):  # after unshare, which would undo it
        libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)


def _limit(memory_mb: int) -> None:
    memory = memory_mb * 1024**2
    wanted = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 128,
    }
    for limit, value in wanted.items():
        with suppress(OSError, ValueError):  # macOS knows not all of them
            resource.setrlimit(limit, (value, value))


def _allow_cpu(seconds: float) -> None:
    """From now on this process may use so much processor time; the kernel ends it then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _load(file: str, function: str) -> Score:
    spec = importlib.util.spec_from_file_location("own_scorer", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["own_scorer"] = module
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not callable(found):
        raise TypeError(f"it has no function {function}")
    return found  # type: ignore[no-any-return]


def _answered(score: Score, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return _read(score(question["case"], question["answer"]))
    except BaseException as error:  # also SystemExit and MemoryError
        return {"error": f"it raised {_words(error)}"}


def _read(returned: object) -> dict[str, Any]:
    """What came back, as {"value", "detail"}; {"error"} with a sentence where it is none of what is allowed."""
    if isinstance(returned, dict):
        detail = {str(key): one for key, one in returned.items() if key != "value"}
        return {**_read(returned.get("value")), "detail": detail}
    if returned is None:
        return {"value": None}
    if not isinstance(returned, bool | int | float) and hasattr(returned, "item"):
        returned = returned.item()  # a number of NumPy
    if not isinstance(returned, bool | int | float):
        kind = type(returned).__name__
        return {
            "error": f"it returned a {kind}; return a number, true or false, or a dictionary with a value"
        }
    if not math.isfinite(returned):
        return {"error": f"it returned {returned}, which is no number"}
    return {"value": float(returned)}


def _words(error: BaseException) -> str:
    with suppress(Exception):  # an exception may fail to say what it is
        return f"{type(error).__name__}: {error}"[:300]
    return type(error).__name__


def _tell(sink: int, message: dict[str, Any]) -> None:
    try:
        line = json.dumps(message, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        line = json.dumps({"id": message["id"], "error": f"its detail is no JSON: {_words(error)}"}).encode()
    if len(line) >= LARGEST_LINE:
        line = json.dumps({"id": message["id"], "error": "it returned more than 64 KB"}).encode()
    line += b"\n"
    while line:
        line = line[os.write(sink, line) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
