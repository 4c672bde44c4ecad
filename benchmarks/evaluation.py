"""Evaluation's speed: `benchmarks/evaluation.py [--quick] [--part vllm|lm_eval|adapters|pages]`, CPU. One JSON object.

- throughput_vs_bare_vllm: answers a second of an evaluation's engine, from the server's first word to the last answer
  on disk, against a bare script that calls vLLM with the same token ids in its process; a model of random weights
- throughput_vs_lm_eval: log-likelihoods a second on the same transformers model and pairs, against
  lm-evaluation-harness 0.4.13 in an environment of its own; generation_vs_lm_eval the same for greedy answers
- four_adapters_vs_one: time of a whole vLLM evaluation of the base and four adapters against one, start included
- dashboard_p95_ms, verdict_p95_ms, compare_p95_ms: pages of a project with 100 evaluations of 2,000 cases

Sides take turns. The prompts are bundled conversations, all different.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bases import write_base  # noqa: E402
from benchmarks.training import make_base  # noqa: E402

PEERS = ROOT / "benchmarks" / "peers"
LM_EVAL = (
    "lm_eval[hf]==0.4.13",
    "transformers==5.23.0",
    "accelerate==1.15.0",
)
PARTS = ("vllm", "lm_eval", "adapters", "pages")
# Of a size at which the model, and not the way to it, takes the time: 0.1 billion parameters.
MIDDLE = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12}
Row = dict[str, Any]


def vllm_python() -> Path:
    """The interpreter of vLLM's environment (`make vllm`)."""
    command = os.environ.get("PREFLOOP_VLLM") or str(ROOT / ".venv-vllm" / "bin" / "vllm")
    python = Path(command).parent / "python"
    if not python.exists():
        raise SystemExit(f"{command} is not there; `make vllm` makes its environment")
    os.environ["PREFLOOP_VLLM"] = command
    return python


def lm_eval_python() -> Path:
    """The interpreter of the harness's environment, made on the first call."""
    folder = ROOT / "var" / "peers" / "lm-eval-0.4.13"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for packages in (("torch==2.13.0",), LM_EVAL):
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "made").touch()
    return python


def script(python: Path, peer: str, settings: Row, folder: Path) -> Row:
    """What a peer's script prints."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings))
    out = folder / "out"
    with (folder / "log").open("w") as log, out.open("w") as printed:
        process = subprocess.Popen(
            [str(python), str(PEERS / peer), str(folder / "settings.json")],
            stdout=printed, stderr=log, start_new_session=True,
        )  # fmt: skip
        code = process.wait()
        with suppress(ProcessLookupError):  # what it started may outlive it
            os.killpg(process.pid, signal.SIGKILL)
    if code:
        raise SystemExit(f"{peer} ended with {code}: {(folder / 'log').read_text()[-2000:]}")
    found: Row = json.loads(out.read_text().strip().splitlines()[-1])
    return found


def answered(folder: Path, spec: Row, requests: list[Row]) -> tuple[list[Row], float]:
    """The events of training/recipes/answer.py over these requests, and its whole time in seconds."""
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps({"method": "answer", **spec}))
    (folder / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in requests))
    began = time.perf_counter()
    with (folder / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-m", "training.recipes.answer", str(folder)],
            cwd=ROOT, stdout=log, stderr=log, check=False,
        )  # fmt: skip
    whole = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"the recipe ended with {done.returncode}: {(folder / 'log').read_text()[-2000:]}")
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()], whole


def at(event: Row) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def seconds_of(events: list[Row]) -> float:
    """From when the engine was ready to the last answer on disk."""
    ready = next((at(e) for e in events if e["type"] in ("serving", "loaded")), None)
    if ready is None:
        ready = next(at(event) for event in events if event["type"] == "start")
    return max(at(event) for event in events if event["type"] == "progress") - ready


def prompts(count: int) -> list[Row]:
    """Prompts with an answer, all different: what is asked twice is cached by some and not by others."""
    found: dict[str, Row] = {}
    for path in sorted((ROOT / "training" / "data").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if 0 < len(row.get("prompt", "")) < 600 and 40 < len(row["answer"]) < 800:
                    found.setdefault(row["prompt"], {"prompt": row["prompt"], "answer": row["answer"]})
    kept = list(found.values())
    step = len(kept) // count
    return [kept[n * step] | {"n": n} for n in range(count)]


def complete(number: int, target: str, text: str, most: int) -> Row:
    return {
        "id": f"{target}-{number}",
        "target": target,
        "kind": "complete",
        "messages": [{"role": "user", "content": text}],
        "sampling": {"max_tokens": most, "temperature": 0.0},
    }


def build(folder: str, shape: Row | None, nano: str, adapters: int) -> None:
    """Write base/, of random weights of a shape or the nano model, and adapters whose weights are not zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    place = Path(folder)
    write_base(place / "base", shape, nano)
    for number in range(adapters):
        model = AutoModelForCausalLM.from_pretrained(place / "base", dtype=torch.float32)
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, target_modules="all-linear"))
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)
        adapted.save_pretrained(place / f"adapter-{number}")


def made(work: Path, name: str, shape: Row | None, nano: Path, adapters: int = 0) -> Path:
    """A folder with a base and adapters."""
    process = get_context("spawn").Process(target=build, args=(str(work / name), shape, str(nano), adapters))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the model {name} could not be built")
    return work / name


def rendered(base: Path, texts: list[str]) -> tuple[list[list[int]], list[str], list[int]]:
    """Prompts as token ids and as text, and the tokens that end an answer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    chats = [[{"role": "user", "content": text}] for text in texts]
    options = {"add_generation_prompt": True}
    ids = [
        list(tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True, **options)["input_ids"])
        for chat in chats
    ]
    return (
        ids,
        [tokenizer.apply_chat_template(chat, tokenize=False, **options) for chat in chats],
        [tokenizer.eos_token_id],
    )


def against_bare_vllm(work: Path, nano: Path, *, quick: bool) -> Row:
    """Answers a second, ours / the bare script's."""
    python, place = vllm_python(), made(work, "middle", MIDDLE, nano)
    rows, most = prompts(48 if quick else 128), 64
    ids, _, ends = rendered(place / "base", ["Say something.", *(row["prompt"] for row in rows)])
    settings = {
        "model": str(place / "base"), "prompts": ids[1:], "warm": ids[0], "max_tokens": most,
        "max_model_len": 513, "stop_token_ids": ends,
    }  # fmt: skip
    spec = {
        "engine": "vllm", "base": str(place / "base"), "max_length": 512, "concurrency": 128,
        "targets": [{"id": "base"}],
    }  # fmt: skip
    requests = [complete(row["n"], "base", row["prompt"], most) for row in rows]
    ours, theirs = [], []
    for turn in range(1 if quick else 3):
        theirs.append(script(python, "bare_vllm.py", settings, work / f"bare-{turn}")["seconds"])
        events, _ = answered(work / f"served-{turn}", spec, requests)
        ours.append(seconds_of(events))
        print(f"vllm: ours {ours[-1]:.2f} s, bare {theirs[-1]:.2f} s", file=sys.stderr)
    return {
        "throughput_vs_bare_vllm": paired(theirs, ours),
        "vllm_answers_per_s": round(len(rows) / statistics.median(ours), 2),
    }


def paired(theirs: list[float], ours: list[float]) -> float:
    """The median over turns of theirs / ours: the machine's speed wanders between turns, less within one."""
    return round(statistics.median(a / b for a, b in zip(theirs, ours, strict=True)), 3)


def against_lm_eval(work: Path, nano: Path, *, quick: bool) -> Row:
    """Log-likelihoods and greedy answers a second, ours / the harness's, on the same model."""
    python, place = lm_eval_python(), made(work, "harness", MIDDLE, nano)
    rows, most = prompts(64 if quick else 192), 32
    asked = rows[: len(rows) // 4]
    _, texts, _ = rendered(place / "base", [row["prompt"] for row in rows])
    settings = {
        "model": str(place / "base"), "batch_size": 16, "max_length": 512, "max_tokens": most,
        "pairs": [[text, row["answer"]] for text, row in zip(texts, rows, strict=True)],
        "prompts": texts[: len(asked)],
    }  # fmt: skip
    spec = {
        "engine": "transformers", "base": str(place / "base"), "max_length": 512, "batch_size": 16,
        "targets": [{"id": "base"}],
    }  # fmt: skip
    scored = [
        complete(row["n"], "base", row["prompt"], most) | {"kind": "likelihood", "completion": row["answer"]}
        for row in rows
    ]
    wanted = [complete(row["n"], "base", row["prompt"], most) for row in asked]
    times: dict[str, list[float]] = {name: [] for name in ("ours", "theirs", "our_answers", "their_answers")}

    def harness(turn: int) -> None:
        peer = script(python, "lm_eval_hf.py", settings, work / f"lm-eval-{turn}")
        times["theirs"].append(peer["likelihood"])
        times["their_answers"].append(peer["generation"])

    def engine(turn: int) -> None:
        for name, requests in (("ours", scored), ("our_answers", wanted)):
            events, _ = answered(work / f"{name}-{turn}", spec, requests)
            times[name].append(seconds_of(events))

    for turn in range(1 if quick else 5):
        for side in (harness, engine) if turn % 2 == 0 else (engine, harness):
            side(turn)
        print(f"lm_eval: { ({name: round(each[-1], 2) for name, each in times.items()}) }", file=sys.stderr)
    return {
        "throughput_vs_lm_eval": paired(times["theirs"], times["ours"]),
        "generation_vs_lm_eval": paired(times["their_answers"], times["our_answers"]),
        "likelihoods_per_s": round(len(rows) / statistics.median(times["ours"]), 2),
    }


def four_adapters(work: Path, nano: Path, *, quick: bool) -> Row:
    """Whole time of an evaluation with four adapters / with one, base included in both."""
    vllm_python()
    place = made(work, "adapters", None, nano, 4)
    rows = prompts(16 if quick else 64)
    times: dict[int, list[float]] = {1: [], 4: []}
    for turn in range(1 if quick else 3):
        for count in (1, 4) if turn % 2 == 0 else (4, 1):
            names = ["base", *(f"adapter-{n}" for n in range(count))]
            spec = {
                "engine": "vllm", "base": str(place / "base"), "max_length": 512, "concurrency": 64,
                "targets": [
                    {"id": name, "adapter": str(place / name), "content_hash": name.encode().hex() * 3}
                    if name != "base" else {"id": name}
                    for name in names
                ],
            }  # fmt: skip
            requests = [complete(row["n"], name, row["prompt"], 32) for name in names for row in rows]
            _, whole = answered(work / f"adapters-{count}-{turn}", spec, requests)
            times[count].append(whole)
            print(f"adapters: {count} in {whole:.1f} s", file=sys.stderr)
    one, four = (statistics.median(times[count]) for count in (1, 4))
    return {
        "four_adapters_vs_one": round(four / one, 3),
        "one_adapter_s": round(one, 1),
        "four_adapters_s": round(four, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", action="append", choices=PARTS)
    options = parser.parse_args()
    wanted, found = options.part or PARTS, {}
    with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
        work = Path(folder)
        parts = {"vllm": against_bare_vllm, "lm_eval": against_lm_eval, "adapters": four_adapters}
        if set(wanted) & set(parts):
            nano = make_base(work / "nano", steps=60 if options.quick else 200)
        for name in wanted:
            if name in parts:
                found |= parts[name](work, nano, quick=options.quick)
        if "pages" in wanted:
            from benchmarks.evaluation_pages import pages

            found |= pages(work, quick=options.quick)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
