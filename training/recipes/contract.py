"""The contract between a recipe process and whoever starts it: files in, files out.

`python -m training.recipes.METHOD RUN_DIR` reads RUN_DIR/spec.json, appends RUN_DIR/events.jsonl (one JSON
object a line: type, step, time, values), writes checkpoint-*/ and final/, and RUN_DIR/result.json last, by
rename. Exit codes: 0 done (or done before), 1 failed (the last "error" event says why in one sentence), 73
another process works in this directory, 75 stopped by SIGTERM after a checkpoint: start it again.

This module imports nothing heavy, so a refusal costs milliseconds; a recipe imports torch only after
`open_run` has set the environment. A reader of events.jsonl skips a line that is not JSON (a process was
killed while writing it), and after a "resume" event at step N forgets what it read about later steps: they
are done again.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import math
import os
import platform
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

DONE, FAILED, USAGE, LOCKED, STOPPED = 0, 1, 64, 73, 75
PR_SET_PDEATHSIG = 1  # linux/prctl.h
FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FULL_DISK_WORDS = (  # as libraries that write files themselves wrap it
    "no space left on device",
    "disk quota exceeded",
    "file too large",
    "pytorchstreamwriter failed writing",
    "iostream error",
    "inline_container.cc",  # torch.save, which lost its place in the file
)
NO_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc")
NO_MODEL_WORDS = (  # transformers and huggingface_hub, about a name that is no folder
    "is not a local folder and is not a valid model identifier",
    "we couldn't connect to",
    "outgoing traffic has been disabled",
    "cannot find the requested files in the disk cache",
    "cannot find an appropriate cached snapshot folder",
    "repository not found",
)
OUT_OF_MEMORY = (
    "The machine ran out of memory; lower batch_size or max_length, or choose LoRA or a smaller base model."
)
DISK_FULL = "The disk is full; free some space on the one that holds the run, then start the run again."

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHDYNAMO_DISABLE": "1",  # nothing is compiled here, and bitsandbytes would load the compiler: 1.7 s
}
UNWANTED = ("wandb", "mlflow")  # told by track.py; TRL would import them into every process
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


class RecipeFailed(Exception):
    """The run cannot go on; the message is the sentence shown to a person."""


class Stopped(Exception):
    """SIGTERM was received and what had to be kept is on disk."""


class AlreadyDone(Exception):
    """result.json exists: there is nothing to do."""


class Locked(Exception):
    """Another process holds the run directory."""


class Run:
    """One run directory, held by one process.

    Ranks above 0 of a distributed launch read the spec and write nothing.
    """

    def __init__(self, path: Path, spec: dict[str, Any], *, writes: bool) -> None:
        self.path, self.spec, self.writes = path, spec, writes
        self.stopping = False
        self.events: int | None = open_for_append(path / "events.jsonl") if writes else None

    def event(self, type: str, step: int = 0, **values: object) -> None:
        """Append one line with a single write, so that lines never interleave; not-a-number becomes null."""
        if self.events is None:
            return
        line = {"type": type, "step": step, "time": datetime.now(UTC).isoformat(), "values": plain(values)}
        data = (json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n").encode()
        if os.write(self.events, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def try_event(self, type: str, step: int = 0, **values: object) -> bool:
        """Append a line if that can still be done; False where it cannot."""
        try:
            self.event(type, step, **values)
        except OSError:
            return False
        return self.events is not None

    def finish(self, **result: object) -> None:
        """Write result.json: the last thing a run does, whole or not at all."""
        if self.writes:
            write_whole(self.path / "result.json", json.dumps(plain(result), indent=2, ensure_ascii=False))

    def stop_if_asked(self) -> None:
        """Raise `Stopped` when SIGTERM has been received; call it where nothing is lost by stopping."""
        if self.stopping:
            raise Stopped

    def _ask_to_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True


def open_run(run_dir: str | os.PathLike[str]) -> Run:
    """Take the run directory for this process, set the environment and listen for SIGTERM.

    Raises `Locked` when another process works there, `AlreadyDone` when result.json exists, `RecipeFailed`
    when spec.json cannot be read.
    """
    path = Path(run_dir).resolve()
    if not path.is_dir():
        raise RecipeFailed(f"{path} is not a directory; create it with a spec.json before starting a recipe")
    writes = int(os.environ.get("RANK", "0")) == 0
    if writes:
        take_lock(path)
    if (path / "result.json").exists():
        raise AlreadyDone
    spec = read_spec(path)
    set_environment(spec)
    run = Run(path, spec, writes=writes)
    signal.signal(signal.SIGTERM, run._ask_to_stop)
    if os.environ.get("PREFLOOP_DIE_WITH_PARENT") == "1":
        die_with_parent()
    return run


def take_lock(path: Path) -> None:
    """Lock RUN_DIR/lock until this process ends, however it ends. Raises `Locked`."""
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        raise Locked(
            f"{path} is in use by process {holder or 'unknown'}; wait for it to end or stop it, then start again"
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)


def read_spec(path: Path) -> dict[str, Any]:
    """Return spec.json as a dict. Raises `RecipeFailed` when it is absent or not a JSON object."""
    try:
        spec = json.loads((path / "spec.json").read_text())
    except (OSError, ValueError) as error:
        raise RecipeFailed(
            f"{path / 'spec.json'} cannot be read ({error}); write the run's spec there first"
        ) from error
    if not isinstance(spec, dict):
        raise RecipeFailed(f"{path / 'spec.json'} holds a {type(spec).__name__}; it must be one JSON object")
    return spec


def set_environment(spec: dict[str, Any]) -> None:
    """No telemetry ever; no network either, unless the base model is a hub name; no package that is not for training.

    Must run before torch or transformers is imported.
    """
    base = spec.get("base")
    wanted = QUIET if isinstance(base, str) and not Path(base).is_dir() else QUIET | OFFLINE
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    for name in UNWANTED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def die_with_parent() -> None:
    """Ask Linux for SIGTERM when the thread that started this process ends, so that a killed worker leaves no
    orphan.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def process(argv: list[str], method: str, work: Callable[[Run], None]) -> int:
    """Run `work` on the directory named in argv and return the exit code.

    Every recipe's main is this one call.
    """
    if len(argv) != 2:
        print(f"usage: python -m training.recipes.{method} RUN_DIR", file=sys.stderr)
        return USAGE
    try:
        run = open_run(argv[1])
    except AlreadyDone:
        return DONE
    except Locked as refusal:
        print(refusal, file=sys.stderr)
        return LOCKED
    except (RecipeFailed, OSError) as refusal:
        print(sentence(refusal), file=sys.stderr)
        return FAILED
    try:
        if run.spec.get("method") != method:
            raise RecipeFailed(
                f"spec.json is for method {run.spec.get('method')!r}; start it with that recipe, not {method}"
            )
        work(run)
    except Stopped:
        run.try_event(
            "stopped", message="Stopped on request; start the run again to go on from the last checkpoint."
        )
        return STOPPED
    except Exception as error:
        return failed(run, error)
    return DONE


def failed(run: Run, error: Exception) -> int:
    """Say in the log and in an event why the run failed, as far as these can still be written."""
    words = sentence(error, run.spec.get("base"))
    with suppress(OSError):
        traceback.print_exception(error)
    if not run.try_event("error", message=words):
        with suppress(OSError):
            print(words, file=sys.stderr, flush=True)
    return FAILED


def sentence(error: BaseException, base: object = None) -> str:
    """Return what went wrong as one sentence for a person, who learns what to change; `base` is the spec's base."""
    text = " ".join(str(error).split())
    if isinstance(error, RecipeFailed):
        return text
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    if is_full_disk(error):
        return DISK_FULL
    if base is not None and isinstance(error, (OSError, ValueError)) and _says(error, NO_MODEL_WORDS):
        return (
            f"The base model {str(base)!r} is no folder on this machine, and the model hub does not give it (it is not "
            "there, needs a login, or cannot be reached); give the folder of a saved model, or download it first."
        )
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says, in whatever words, that memory of the machine or of its accelerator ran out."""
    return any(isinstance(one, MemoryError) for one in chain(error)) or _says(error, NO_MEMORY_WORDS)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that a file could not be written for want of space, or of what a quota leaves of it."""
    codes = {one.errno for one in chain(error) if isinstance(one, OSError)}
    return bool(codes & FULL_DISK) or _says(error, FULL_DISK_WORDS)


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    texts = [" ".join(str(one).split()).lower() for one in chain(error)]
    return any(word in text for word in words for text in texts)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        seen.append(one)
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def plain(value: object) -> Any:
    """Return `value` as JSON can hold it: non-finite floats become None, paths and unknown objects become
    text.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def open_for_append(path: Path) -> int:
    """Open a JSONL file for appending; a last line torn by a kill is ended, so that the next one begins on
    its own line.
    """
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")
    return fd


def append_line(path: Path, line: str) -> None:
    """Append one line to a JSONL file from outside of the process that writes it, when that has ended."""
    fd = open_for_append(path)
    try:
        os.write(fd, (line + "\n").encode())
    finally:
        os.close(fd)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a JSONL file in order; a torn line is skipped, an absent file is empty."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or all of the new one: temporary file, fsync, rename,
    fsync of the folder.
    """
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's renames, survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield PATH.tmp to write in, and rename it to PATH when the block ends well: PATH is whole or absent."""
    temporary = path.with_name(path.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    yield temporary
    for file in temporary.rglob("*"):
        sync(file)
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)
    sync(path.parent)


def environment() -> dict[str, str]:
    """Return the versions that made a result; packages that are absent are left out."""
    found = {"python": platform.python_version()}
    for name in ("torch", "transformers", "trl", "peft"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of a model folder's weights, configs, tokenizer and template, in
    sorted order.
    """
    kept = {".safetensors", ".json", ".jinja", ".txt", ".model"}
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in kept):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{inner}\n".encode())
    return digest.hexdigest()
