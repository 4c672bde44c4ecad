"""Recipe processes forked from one server that has imported torch and trl once, and rows for them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.tiny_model import ROOT, tiny_model
from training.recipes import contract

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.training.preload"])
WORDS = ["red", "green", "blue", "stone", "river", "paper", "lamp", "chair", "cloud", "bread"]


def says(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def sft_rows(count: int = 24) -> list[dict]:
    return [
        {
            "prompt": says("user", f"Name thing {i}."),
            "completion": says("assistant", f"{WORDS[i % 10]} {WORDS[i % 7]}"),
        }
        for i in range(count)
    ]


def text_rows(count: int = 24) -> list[dict]:
    return [{"text": f"Thing {i} is {WORDS[i % 10]} as the {WORDS[i % 7]}."} for i in range(count)]


def reward_rows(count: int = 24) -> list[dict]:
    return [row | {"margin": float(i % 3)} for i, row in enumerate(dpo_rows(count))]


def kto_rows(count: int = 24) -> list[dict]:
    return [
        row if row["label"] else row | {"completion": says("assistant", "no no")}
        for row in ({**row, "label": i % 2 == 1} for i, row in enumerate(sft_rows(count)))
    ]


def dpo_rows(count: int = 24) -> list[dict]:
    return [
        {
            "prompt": row["prompt"],
            "chosen": row["completion"],
            "rejected": says("assistant", "no " * (1 + i % 3)),
        }
        for i, row in enumerate(sft_rows(count))
    ]


def write_run(
    path: Path, method: str, rows: list[dict], *, held=None, start=None, base=None, **train
) -> Path:
    (path / "data").mkdir(parents=True)
    (path / "data" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": "data/train.jsonl", "eval": None, "hash": "h"}
    if held is not None:
        (path / "data" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
        data["eval"] = "data/test.jsonl"
    settings = {
        "batch_size": 4,
        "max_length": 64,
        "save_steps": 2,
        "logging_steps": 1,
        "sample_prompts": 0,
    } | train
    spec = {
        "method": method,
        "seed": 7,
        "base": str(base or tiny_model()),
        "start": start and str(start),
        "data": data,
        "train": settings,
    }
    (path / "spec.json").write_text(json.dumps(spec))
    return path


def enter(method: str, run_dir: str, fault: tuple[str, int, int | Callable[[], None]] | None) -> None:
    """Run a recipe in a forked process; `fault` = (event, step, what) sends itself that signal at that event, or makes
    that call.
    """
    sys.stdout = sys.stderr = (Path(run_dir) / "log").open("a")
    module = __import__(f"training.recipes.{method}", fromlist=["train"])
    if fault:
        event = contract.Run.event

        def faulty(run, type, step=0, **values):
            event(run, type, step, **values)
            if (type, step) == fault[:2]:
                fault[2]() if callable(fault[2]) else os.kill(os.getpid(), fault[2])

        contract.Run.event = faulty
    work = module.train if hasattr(module, "train") else module.work
    os._exit(contract.process([method, run_dir], method, work))


def run(path: Path, fault=None, method: str = "") -> int:
    method = method or json.loads((path / "spec.json").read_text())["method"]
    process = CONTEXT.Process(target=enter, args=(method, str(path), fault))
    process.start()
    process.join()
    return process.exitcode


def answer(sender: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        sender.send((True, function(*args)))
    except BaseException as error:
        sender.send((False, repr(error)))
        raise


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function gives in a forked process, where torch and trl are imported already."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=answer, args=(sender, function, args))
    process.start()
    sender.close()
    try:
        ok, value = receiver.recv()
    finally:
        process.join()
    assert ok, value
    return value


def no_room_for_four() -> None:
    """From now on memory runs out with more than two rows at a time."""
    import torch

    forward = torch.nn.Embedding.forward

    def limited(layer: Any, ids: Any) -> Any:
        if ids.shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(layer, ids)

    torch.nn.Embedding.forward = limited


def no_room_at_all() -> None:
    """From now on memory runs out whatever is tried."""
    import torch

    def refuse(layer: Any, ids: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")

    torch.nn.Embedding.forward = refuse


def not_a_number() -> None:
    """From now on what the model computes is not a number."""
    import torch

    forward = torch.nn.Embedding.forward
    torch.nn.Embedding.forward = lambda layer, ids: forward(layer, ids) * float("nan")


def command(path: Path, method: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"training.recipes.{method}", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def events(path: Path, type: str | None = None) -> list[dict]:
    return [e for e in contract.read_lines(path / "events.jsonl") if type in (None, e["type"])]


def result(path: Path) -> dict:
    return json.loads((path / "result.json").read_text())


def trained(path: Path, method: str, rows: list[dict], fault=None, **options) -> Path:
    write_run(path, method, rows, **options)
    code = run(path, fault)
    assert code == (0 if fault is None else {signal.SIGKILL: -9, signal.SIGTERM: 75}.get(fault[2], 0)), (
        path / "log"
    ).read_text()
    return path
