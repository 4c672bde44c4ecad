"""PPO on one shared base against TRL 1.12: `benchmarks/ppo.py [--quick] [--part speed|memory|curves|gold]`, CPU.

TRL 1.12, the last release with a PPO trainer, has an environment of its own under var/. Both sides get the same base,
reward model, token ids of prompts and settings, use 2 threads, and take turns. Last line, one JSON object:

- throughput_vs_trl112: answers a second, ours / theirs, the same LoRA policy (speed); throughput_vs_trl112_lora_value
  the same where TRL's value model, which it trains whole, is given LoRA by hand
- memory_vs_trl112, memory_vs_trl112_lora_value: the most that a process held, ours / theirs, on a model of random
  weights that is about the largest that TRL can train in 24 GiB; with both on 2 of 3 updates
- reward_gap, kl_gap: full training of the same models over 5 seeds, in five stretches of the run: the largest
  distance of the two means, in standard deviations between runs of the same side (curves)
- gold_win_rate, gold_low, gold_high, gold_kl, gold_n: SFT, reward model, PPO on the demo's pairs; how often the
  policy's answer to a held-out prompt is better than that of the SFT model, by a gold reward model from whose judgments
  the proxy was trained, as Gao et al. (2210.10760) do it; and the largest mean KL of an answer on the way
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bases import write_base  # noqa: E402
from benchmarks.ppo_gold import gold  # noqa: E402
from benchmarks.training import THREADS, at, conversations, make_base, pairs, ratio, write  # noqa: E402

PEER = ROOT / "benchmarks" / "peers" / "trl_ppo.py"
PEER_PACKAGES = (
    "trl==1.12.0",
    "transformers==5.23.0",
    "peft==0.21.2",
    "accelerate==1.15.0",
    "datasets==5.2.0",
)
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
PARTS = ("speed", "memory", "curves", "gold")
Row = dict[str, Any]
# hidden 2,048 and 16 layers: 0.74 billion parameters, of which TRL holds 24 bytes each
LARGE = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 16}
SMALL = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4}


def peer_python() -> Path:
    """The interpreter of TRL 1.12's environment, made on the first call."""
    folder = ROOT / "var" / "peers" / "trl-1.12"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for packages in (("torch==2.13.0",), PEER_PACKAGES):
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "made").touch()
    return python


def measured(command: list[str], log: Path) -> tuple[int, str]:
    """Run a process to its end; returns the most that it held, in bytes, and what it printed."""
    env = os.environ | {"OMP_NUM_THREADS": THREADS, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    out, peak = log.with_suffix(".out"), 0
    with log.open("a") as errors, out.open("w") as printed:
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=printed, stderr=errors)
        status = Path(f"/proc/{child.pid}/status")
        while child.poll() is None:
            for line in status.read_text().splitlines():
                if line.startswith(("VmHWM", "VmRSS")):  # a process may reset the first
                    peak = max(peak, int(line.split()[1]) * 1024)
            time.sleep(0.05)
    if child.returncode:
        raise SystemExit(f"{command} ended with {child.returncode}; see {log}:\n{log.read_text()[-2000:]}")
    return peak, out.read_text()


def theirs(folder: Path, world: Row, train: Row, *, lora: bool, lora_value: bool = False) -> Row:
    """A run of TRL 1.12 with the settings `train` of ours."""
    folder.mkdir(parents=True)
    rollout = train["rollout_size"]
    config = {
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "gradient_checkpointing": False,
        "seed": train["seed"],
        "total_episodes": train["updates"] * rollout,
        # A rollout is what TRL calls a batch, and it cuts minibatches out of that. With gradient accumulation its
        # optimizer would step once an epoch whatever the minibatches are.
        "per_device_train_batch_size": rollout,
        "gradient_accumulation_steps": 1,
        "num_mini_batches": rollout // train["batch_size"],
        "local_rollout_forward_batch_size": 4 * train["batch_size"],
        "num_sample_generations": 0,
        "response_length": train["response_length"],
        "stop_token": "eos",
        "temperature": 1.0,
        "num_ppo_epochs": train["ppo_epochs"],
        "kl_coef": train["kl_coefficient"],
        "learning_rate": train["learning_rate"],
        "lr_scheduler_type": "constant",
        "adam_epsilon": 1e-5,
    }
    settings = {
        "base": str(world["base"]),
        "reward": str(world["reward_whole"]),
        "prompts": str(world["ids"]),
        "out": str(folder / "out"),
        "config": config,
        "lora": LORA if lora else None,
        "lora_value": lora_value,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    peak, printed = measured([str(peer_python()), str(PEER), str(folder / "settings.json")], folder / "log")
    made = json.loads(printed.splitlines()[-1])
    times = [made["begun"], *[update["at"] for update in made["updates"]]]
    return {"peak": peak, "updates": made["updates"], "seconds": gaps(times)}


def ours(folder: Path, world: Row, train: Row, *, lora: bool) -> Row:
    """A run of training/recipes/ppo.py."""
    (folder / "data").mkdir(parents=True)
    shutil.copy(world["prompts"], folder / "data" / "train.jsonl")
    rows = len(Path(world["prompts"]).read_text().splitlines())
    settings = {
        "adaptation": "lora" if lora else "full",
        "epochs": train["updates"] * train["rollout_size"] / rows,
        "max_length": 128 + train["response_length"],
        "no_end_penalty": 0.0,
        "value_rate": 1.0,
        "scheduler": "constant_with_warmup",
        "warmup": 0.0,
        "max_grad_norm": 100.0,  # TRL's PPO has no clipping of gradients
        "gradient_checkpointing": "off",
        "save_steps": 100_000,
        "held_prompts": 0,
        "sample_prompts": 0,
        **{name: value for name, value in train.items() if name != "updates"},
    }
    if lora:
        settings |= {"lora_r": LORA["r"], "lora_alpha": LORA["lora_alpha"]}
    spec = {
        "method": "ppo",
        "seed": train["seed"],
        "base": str(world["base"]),
        "reward": str(world["reward_adapter" if lora else "reward_whole"]),
        "data": {"train": "data/train.jsonl"},
        "train": settings,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    peak, _ = measured([sys.executable, "-m", "training.recipes.ppo", str(folder)], folder / "log")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    logs = [event for event in events if event["type"] == "log"]
    times = [next(at(event) for event in events if event["type"] == "begin"), *map(at, logs)]
    return {"peak": peak, "updates": [event["values"] for event in logs], "seconds": gaps(times)}


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def build(folder: str, shape: Row | None, nano: str) -> None:
    """Write base/ (random weights of a shape, or the nano model), adapter/ (a reward model's) and whole/ (merged)."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    place = Path(folder)
    write_base(place / "base", shape, nano)
    tokenizer = AutoTokenizer.from_pretrained(nano)
    scoring = AutoModelForSequenceClassification.from_pretrained(
        place / "base", num_labels=1, dtype=torch.float32
    )
    adapted = get_peft_model(scoring, LoraConfig(task_type="SEQ_CLS", **LORA))
    adapted.save_pretrained(place / "adapter")
    adapted.merge_and_unload().save_pretrained(place / "whole")
    for name in ("adapter", "whole"):
        tokenizer.save_pretrained(place / name)


def world_of(work: Path, shape: Row | None, name: str, nano: Path, rows: list[Row]) -> Row:
    """Base, reward model and prompts for both sides."""
    from transformers import AutoTokenizer

    process = get_context("spawn").Process(target=build, args=(str(work / name), shape, str(nano)))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the model {name} could not be built")
    made = {"base": work / name / "base", "reward_adapter": work / name / "adapter"}
    return made | {"reward_whole": work / name / "whole"} | prompts_of(work / name, AutoTokenizer, nano, rows)


def prompts_of(folder: Path, tokenizers: Any, base: Path, rows: list[Row]) -> Row:
    """The prompts as rows for ours and as token ids for theirs."""
    tokenizer = tokenizers.from_pretrained(base)
    kept, ids = [], []
    for row in rows:
        tokens = tokenizer.apply_chat_template(
            row["prompt"], tokenize=True, add_generation_prompt=True, return_dict=True
        )["input_ids"]
        if len(tokens) <= 100 and json.dumps(tokens) not in ids:  # ours leaves repeated prompts out
            kept.append({"prompt": row["prompt"]})
            ids.append(json.dumps(tokens))
    write(folder / "prompts.jsonl", kept)
    (folder / "ids.jsonl").write_text("\n".join(ids) + "\n")
    return {"prompts": folder / "prompts.jsonl", "ids": folder / "ids.jsonl"}


def turns(number: int, *sides: Any) -> None:
    """Call all sides; who is first changes from turn to turn."""
    for side in sides if number % 2 == 0 else reversed(sides):
        side()


def speed(work: Path, nano: Path, rows: list[Row], *, quick: bool) -> Row:
    """Answers a second with the same LoRA policy, first updates apart."""
    world = world_of(work, None, "speed", nano, rows)
    train = {
        "seed": 1,
        "updates": 2 if quick else 5,
        "rollout_size": 16 if quick else 64,
        "batch_size": 16,
        "response_length": 16 if quick else 64,
        "ppo_epochs": 4,
        "kl_coefficient": 0.05,
        "learning_rate": 1e-4,
    }
    mine, peer, peer_lora = [], [], []
    for number in range(1 if quick else 3):
        turns(
            number,
            lambda n=number: mine.append(ours(work / f"speed-ours-{n}", world, train, lora=True)),
            lambda n=number: peer.append(theirs(work / f"speed-trl-{n}", world, train, lora=True)),
            lambda n=number: peer_lora.append(
                theirs(work / f"speed-trl-lora-{n}", world, train, lora=True, lora_value=True)
            ),
        )
        said = [round(statistics.median(side[-1]["seconds"][1:]), 2) for side in (mine, peer, peer_lora)]
        length = round(mine[-1]["updates"][-1]["length"])
        print(
            f"speed {number}: seconds an update, ours, TRL, TRL with LoRA on values: {said}; {length} tokens an answer",
            flush=True,
        )
    typical = [[statistics.median(run["seconds"][1:]) for run in side] for side in (mine, peer, peer_lora)]
    return {
        "throughput_vs_trl112": ratio(typical[1], typical[0]),
        "throughput_vs_trl112_lora_value": ratio(typical[2], typical[0]),
    }


def memory(work: Path, nano: Path, rows: list[Row], *, quick: bool) -> Row:
    """The most that a process holds, on a large model."""
    world = world_of(work, SMALL if quick else LARGE, "large", nano, rows)
    train = {
        "seed": 1,
        "updates": 2,
        "rollout_size": 4,
        "batch_size": 4,
        "response_length": 16,
        "ppo_epochs": 1,
        "kl_coefficient": 0.05,
        "learning_rate": 1e-4,
    }
    mine = ours(work / "memory-ours", world, train, lora=True)
    print(f"memory: ours {mine['peak'] / 2**30:.2f} GiB", flush=True)
    peer_lora = theirs(work / "memory-trl-lora", world, train, lora=True, lora_value=True)
    print(f"memory: TRL with LoRA on values {peer_lora['peak'] / 2**30:.2f} GiB", flush=True)
    peer = theirs(work / "memory-trl", world, train, lora=True)
    print(f"memory: TRL {peer['peak'] / 2**30:.2f} GiB", flush=True)
    return {
        "memory_vs_trl112": round(mine["peak"] / peer["peak"], 3),
        "memory_vs_trl112_lora_value": round(mine["peak"] / peer_lora["peak"], 3),
    }


def curves(work: Path, nano: Path, rows: list[Row], *, quick: bool) -> Row:
    """Reward and KL over a run, all weights trained on both sides, over seeds."""
    from transformers import AutoTokenizer

    reward = work / "curves-reward"
    (reward / "data").mkdir(parents=True)
    write(reward / "data" / "train.jsonl", pairs(rows))
    settings = {
        "adaptation": "full",
        "epochs": 2.0,
        "learning_rate": 2e-4,
        "max_length": 512,
        "batch_size": 8,
    }
    spec = {"method": "reward", "seed": 1, "base": str(nano), "data": {"train": "data/train.jsonl"}}
    (reward / "spec.json").write_text(json.dumps(spec | {"train": settings | {"sample_prompts": 0}}))
    measured([sys.executable, "-m", "training.recipes.reward", str(reward)], reward / "log")
    world = {"base": nano, "reward_whole": reward / "final"}
    world |= prompts_of(reward, AutoTokenizer, nano, rows)
    train = {
        "updates": 5 if quick else 30,
        "rollout_size": 32,
        "batch_size": 16,
        "response_length": 16,
        "ppo_epochs": 2,
        "kl_coefficient": 0.05,
        "learning_rate": 1e-4,
    }
    mine, peer = [], []
    for seed in range(1, 3 if quick else 6):
        one = train | {"seed": seed}
        turns(
            seed,
            lambda s=seed, t=one: mine.append(ours(work / f"curves-ours-{s}", world, t, lora=False)),
            lambda s=seed, t=one: peer.append(theirs(work / f"curves-trl-{s}", world, t, lora=False)),
        )
        said = [
            tuple(
                round(side[-1]["updates"][place][name], 3) for place in (0, -1) for name in ("reward", "kl")
            )
            for side in (mine, peer)
        ]
        print(f"curves, seed {seed}: first and last reward and KL, ours {said[0]}, TRL {said[1]}", flush=True)
    return {f"{name}_gap": gap(mine, peer, name) for name in ("reward", "kl")}


def gap(mine: list[Row], peer: list[Row], name: str) -> float:
    """The largest distance between two sides in a fifth of the run, in standard deviations between runs of one side."""
    width = len(mine[0]["updates"]) // 5
    found = []
    for begins in range(0, 5 * width, width):
        sides = [
            [
                statistics.fmean(update[name] for update in run["updates"][begins : begins + width])
                for run in side
            ]
            for side in (mine, peer)
        ]
        spread = statistics.fmean(statistics.variance(side) for side in sides) ** 0.5
        means = [statistics.fmean(side) for side in sides]
        print(
            f"{name} of updates {begins + 1} to {begins + width}: ours {means[0]:.4f}, TRL {means[1]:.4f}, "
            f"spread of a run {spread:.4f}",
            flush=True,
        )
        found.append(abs(means[0] - means[1]) / spread)
    return round(max(found), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and once: to see that it runs")
    parser.add_argument("--part", choices=PARTS, action="append", help="some of the comparisons only")
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="ppo-"))
    try:
        parts = asked.part or PARTS
        nano, rows = work / "nano" / "final", []
        if set(parts) != {"gold"}:  # which has a model of its own, that of the demo
            make_base(work / "nano", steps=40 if asked.quick else 300)
            rows = conversations(nano, 80 if asked.quick else 320)
        found: Row = {}
        for name in parts:
            carry_out = {"speed": speed, "memory": memory, "curves": curves, "gold": gold}[name]
            found |= carry_out(work, nano, rows, quick=asked.quick)
        print(json.dumps(found))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
