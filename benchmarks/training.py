"""Training against bare TRL on the same rows: `benchmarks/training.py [--quick] [--part same|sft|dpo]`, CPU, 2 threads.

The base is a nano model that is trained first; the rows are bundled conversations (SFT) and those against another
row's answer (DPO), those that fit only, so that nobody drops or cuts any. Runs are interleaved, medians are compared.
Last line of the output, one JSON object:

- time_vs_bare_trl: seconds from the first step to the last, ours / a bare script with the same configuration (no
  packing, TRL's sampling); loss_difference is the largest between the two loss curves
- process_vs_bare_trl: the same of whole processes, with everything that ours does besides (report, samples, read back)
- sft_time_to_loss_vs_trl_defaults, dpo_time_to_loss_vs_trl_defaults: seconds of building and training until the
  held-out loss is at most what a bare script with TRL's defaults (three epochs) ends with, ours with our defaults (SFT
  four epochs, DPO three) / that script; same learning rate and rows a step; null where ours does not get there
- memory_estimate_error: the largest share by which the estimate of these runs' memory was off
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
DATA = ROOT / "training" / "data"
PEER = ROOT / "benchmarks" / "peers" / "bare_trl.py"
SOURCES = ("open-assistant", "vicuna-bench", "self-instruct-seed")
THREADS = "2"
BATCH, LENGTH, RATE = 8, 512, {"sft": 1e-3, "dpo": 1e-4}
EPOCHS, MORE = 3, {"sft": 1, "dpo": 0}  # ours may see the rows once more often: what counts is the time
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
CPU = {"use_cpu": True, "bf16": False, "report_to": "none", "disable_tqdm": True, "save_strategy": "no"}
Row = dict[str, Any]


def run(command: list[str], log: Path) -> tuple[float, str]:
    """Run a process to its end; returns its seconds and what it printed."""
    env = os.environ | {"OMP_NUM_THREADS": THREADS, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    begun = time.monotonic()
    with log.open("a") as errors:
        done = subprocess.run(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}; see {log}:\n{log.read_text()[-2000:]}")
    return time.monotonic() - begun, done.stdout


def make_base(folder: Path, *, steps: int) -> Path:
    """Train the base model: hidden 256, 4 layers, 4,096 words."""
    folder.mkdir(parents=True)
    spec = {
        "method": "nano",
        "seed": 1,
        "budget_seconds": 600.0,
        "max_steps": steps,
        "vocab_size": 4096,
        "hidden_size": 256,
        "layers": 4,
        "block": 256,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    run([sys.executable, "-m", "training.recipes.nano", str(folder)], folder / "log")
    return folder / "final"


def conversations(base: Path, count: int) -> list[Row]:
    """Bundled conversations that fit, the same for everybody."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    found = []
    for source in SOURCES:
        with gzip.open(DATA / f"{source}.jsonl.gz", "rt", encoding="utf-8") as file:
            found += [json.loads(line) for line in file]
    rows = []
    for row in found[:: max(1, len(found) // (2 * count))]:
        turns = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["answer"]}]
        if len(tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"]) <= LENGTH:
            rows.append({"prompt": turns[:1], "completion": turns[1:]})
    return rows[:count]


def pairs(rows: list[Row]) -> list[Row]:
    """Each answer against that of the next row: long enough apart that the loss falls, real in length."""
    return [
        {"prompt": row["prompt"], "chosen": row["completion"], "rejected": other["completion"]}
        for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)
    ]


def write(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def bare(folder: Path, method: str, data: Path, base: Path, config: Row) -> Row:
    """A bare script's run."""
    settings = {
        "method": method,
        "base": str(base),
        "train": str(data / f"{method}.jsonl"),
        "held": str(data / f"{method}-held.jsonl"),
        "out": str(folder / "out"),
        "lora": LORA,
        "config": config | CPU,
    }
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(settings))
    seconds, printed = run([sys.executable, str(PEER), str(folder / "settings.json")], folder / "log")
    return json.loads(printed.splitlines()[-1]) | {"process": seconds}


def ours(folder: Path, method: str, data: Path, base: Path, train: Row, *, held: bool) -> Row:
    """One of our recipes' runs, told by its events."""
    folder.mkdir(parents=True)
    for name in (f"{method}.jsonl", f"{method}-held.jsonl"):
        (folder / "data").mkdir(exist_ok=True)
        shutil.copy(data / name, folder / "data" / name)
    spec = {
        "method": method,
        "seed": 42,
        "base": str(base),
        "data": {"train": f"data/{method}.jsonl", "eval": f"data/{method}-held.jsonl" if held else None},
        "train": {"batch_size": BATCH, "max_length": LENGTH, "learning_rate": RATE[method], **train},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    seconds, _ = run([sys.executable, "-m", f"training.recipes.{method}", str(folder)], folder / "log")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    result = json.loads((folder / "result.json").read_text())
    return {"process": seconds, "events": events, "result": result, "folder": folder, "spec": spec}


def at(event: Row) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def trained_seconds(made: Row) -> float:
    """From the beginning of training to its last step."""
    begun = next(at(event) for event in made["events"] if event["type"] == "begin")
    return max(at(event) for event in made["events"] if event["type"] == "log") - begun


def seconds_to(made: Row, loss: float) -> float | None:
    """Seconds of training, without those of evaluation, until the held-out loss is at most this."""
    begun = next(at(event) for event in made["events"] if event["type"] == "begin")
    told = [event for event in made["events"] if event["type"] in ("log", "eval")]
    evaluating, before = 0.0, begun
    for event in told:
        if event["type"] == "eval":
            evaluating += at(event) - before
            if event["step"] and event["values"]["loss"] <= loss:
                return at(event) - begun - evaluating
        before = at(event)
    return None


def estimate_error(made: Row, base: Path) -> float:
    """By which share the memory estimate of a run was off."""
    from training.shapes import shape_of
    from training.sizing import longest_batch, memory
    from training.specs import parse_spec

    report = json.loads((made["folder"] / "preflight.json").read_text())
    spec = parse_spec(made["spec"]["method"], made["spec"]["train"])
    longest = longest_batch(spec, report["lengths"]["longest"], report["lengths"]["mean"])
    estimate = memory(shape_of(base), spec, device="cpu", longest=longest)
    return abs(estimate.measurable / made["result"]["memory"]["peak_bytes"] - 1)


def same_configuration(work: Path, data: Path, base: Path, repeats: int) -> Row:
    """The overhead of our recipe: SFT with LoRA, everything as TRL does it."""
    config = {
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 1,
        "max_length": LENGTH,
        "learning_rate": RATE["sft"],
        "lr_scheduler_type": "cosine",
        "logging_steps": 1,
        "gradient_checkpointing": False,
        "seed": 42,
    }
    train = {
        "packing": "off",
        "sort_batches": False,
        "warmup": 0.0,
        "gradient_checkpointing": "off",
        "logging_steps": 1,
        "sample_prompts": 0,
        "save_steps": 100_000,
    }
    theirs, mine = [], []
    for number in range(repeats):
        turns = [
            lambda at=number: theirs.append(bare(work / f"same-bare-{at}", "sft", data, base, config)),
            lambda at=number: mine.append(
                ours(work / f"same-ours-{at}", "sft", data, base, train, held=False)
            ),
        ]
        for turn in turns if number % 2 == 0 else reversed(turns):  # neither is always the first
            turn()
        print(
            f"same configuration {number}: bare {theirs[-1]['seconds']:.1f} s, ours {trained_seconds(mine[-1]):.1f} s",
            flush=True,
        )
    losses = {event["step"]: event["values"]["loss"] for event in mine[0]["events"] if event["type"] == "log"}
    difference = max(abs(losses[int(step)] - loss) for step, loss in theirs[0]["losses"].items())
    return {
        "time_vs_bare_trl": ratio([trained_seconds(one) for one in mine], [one["seconds"] for one in theirs]),
        "process_vs_bare_trl": ratio([one["process"] for one in mine], [one["process"] for one in theirs]),
        "loss_difference": difference,
    }


def to_loss(work: Path, method: str, data: Path, base: Path, repeats: int) -> tuple[float | None, float]:
    """(time to TRL's held-out loss against TRL's defaults, error of the memory estimate)."""
    config = {"learning_rate": RATE[method], "num_train_epochs": EPOCHS, "max_length": LENGTH, "seed": 42}
    train = {
        "epochs": float(EPOCHS + MORE[method]),
        "scheduler": "linear",
        "warmup": 0.0,
        "logging_steps": 1,
        "save_steps": 100_000,
    }
    theirs, mine, errors = [], [], []
    for number in range(repeats):
        peer = bare(work / f"{method}-bare-{number}", method, data, base, config)
        made = ours(work / f"{method}-ours-{number}", method, data, base, train, held=True)
        reached = seconds_to(made, peer["held"])
        reached = None if reached is None else reached + build_seconds(made)
        last = [event["values"]["loss"] for event in made["events"] if event["type"] == "eval"][-1]
        seconds = peer["seconds"] + peer["before"]
        print(
            f"{method} {number}: TRL's defaults {seconds:.1f} s to {peer['held']:.4f}, ours {reached} s, {last:.4f}",
            flush=True,
        )
        theirs.append(seconds)
        mine.append(reached)
        errors.append(estimate_error(made, base))
    if any(reached is None for reached in mine):
        return None, max(errors)
    return ratio(mine, theirs), max(errors)


def build_seconds(made: Row) -> float:
    """What building the trainer took; with DPO that includes the reference's log-probabilities."""
    return float(
        next(event["values"]["build_seconds"] for event in made["events"] if event["type"] == "start")
    )


def ratio(mine: list[float], theirs: list[float]) -> float:
    return round(statistics.median(mine) / statistics.median(theirs), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows, one repeat: to see that it runs")
    parser.add_argument("--part", choices=["same", "sft", "dpo"], help="one of the three comparisons only")
    asked = parser.parse_args()
    quick, parts = asked.quick, [asked.part] if asked.part else ["same", "sft", "dpo"]
    work = Path(tempfile.mkdtemp(prefix="training-"))
    try:
        base = make_base(work / "base", steps=40 if quick else 300)
        rows = conversations(base, 80 if quick else 256)
        held = rows[::8]
        rows = [row for number, row in enumerate(rows) if number % 8]
        data = work / "data"
        write(data / "sft.jsonl", rows)
        write(data / "sft-held.jsonl", held)
        write(data / "dpo.jsonl", pairs(rows)[: len(rows) // 2])
        write(data / "dpo-held.jsonl", pairs(held))
        found: Row = {}
        if "same" in parts:
            found = same_configuration(work, data, base, 1 if quick else 4)
        errors = []
        for method in [part for part in parts if part != "same"]:
            found[f"{method}_time_to_loss_vs_trl_defaults"], error = to_loss(
                work, method, data, base, 1 if quick else 2
            )
            errors.append(error)
        if errors:
            found["memory_estimate_error"] = round(max(errors), 3)
        print(json.dumps(found))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
