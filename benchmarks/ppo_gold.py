"""Does PPO reach what its reward model was meant to say? SFT, reward model and PPO on the demo's pairs, and a judge.

People cannot be asked about new answers here, so a gold reward model stands in for them, as in Gao et al. (2210.10760,
section 2): it is trained on all judgments of PandaLM's annotators, says which of two answers of the SFT model it
prefers, and a proxy learns from that. PPO sees only the proxy. The prompts of the final comparison were in none of the
three steps.
"""

from __future__ import annotations

import gzip
import json
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.training import ROOT, run, write

WHOLE, PART = (
    ROOT.parent / "shared" / "data" / "pandalm",
    ROOT / "evaluation" / "demo" / "pandalm-part.json.gz",
)
SAMPLES = 8  # answers of the SFT model to a prompt, judged by gold in pairs
KL_BUDGET = 8.0  # nats of an answer
LENGTH, ANSWER = 320, 48
Row = dict[str, Any]


def gold(work: Path, _nano: Path, _rows: list[Row], *, quick: bool) -> Row:
    """Carry out the three steps and return how often the policy wins over the SFT model by gold."""
    base = recipe(
        work / "gold-nano", {"method": "nano", "seed": 42, "budget_seconds": 20.0 if quick else 110.0}, None
    )
    judged = human_pairs()
    prompts = sorted({row["prompt"][0]["content"] for row in judged})
    held = set(prompts[::3])
    seen = [row for row in judged if row["prompt"][0]["content"] not in held]
    sft = recipe(
        work / "gold-sft",
        job("sft", base, epochs=2.0, learning_rate=3e-3, batch_size=16),
        [{"prompt": row["prompt"], "completion": row["chosen"]} for row in seen],
    )
    judge = recipe(
        work / "gold-judge",
        job("reward", base, adaptation="full", epochs=2.0, learning_rate=3e-4, batch_size=16),
        judged,
    )
    asked = [{"prompt": says("user", prompt)} for prompt in prompts if prompt not in held]
    pairs = work / "gold-pairs.jsonl"
    process = get_context("spawn").Process(target=sampled_pairs, args=(base, sft, judge, asked, pairs))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the SFT model could not be sampled from")
    labelled = [json.loads(line) for line in pairs.read_text().splitlines()]
    proxy = recipe(
        work / "gold-proxy", job("reward", base, epochs=3.0, learning_rate=1e-3, batch_size=16), labelled
    )
    settings = {
        "epochs": (64 * 3 if quick else 64 * 40) / len(asked),
        "rollout_size": 64,
        "batch_size": 16,
        "response_length": ANSWER,
        "learning_rate": 1e-4,
        "kl_coefficient": 0.1,
        "kl_target": KL_BUDGET / 2,
        "kl_horizon": 1000,
        "max_kl": KL_BUDGET,
        "held_prompts": len(held),
        "held_steps": 10,
    }
    policy = job("ppo", base, **settings) | {"start": str(sft), "reward": str(proxy), "gold": str(judge)}
    policy["data"]["eval"] = "data/eval.jsonl"
    folder = recipe(
        work / "gold-ppo", policy, asked, [{"prompt": says("user", prompt)} for prompt in sorted(held)]
    ).parent
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    for event in events:
        if event["type"] == "eval":
            rates = {name: round(value, 3) for name, value in event["values"].items() if "win_rate" in name}
            print(f"gold, update {event['step']}: {rates}", flush=True)
    kl = [event["values"]["kl"] for event in events if event["type"] == "log"]
    last = json.loads((folder / "result.json").read_text())["win_rates"]
    return {
        "gold_win_rate": round(last["gold_win_rate"], 3),
        "gold_low": round(last["gold_win_rate_low"], 3),
        "gold_high": round(last["gold_win_rate_high"], 3),
        "gold_n": int(last["prompts"]),
        "gold_kl": round(max(kl), 2),
    }


def says(role: str, text: str) -> list[Row]:
    return [{"role": role, "content": text}]


def human_pairs() -> list[Row]:
    """PandaLM's pairs on which most of the three annotators prefer one answer: chosen and rejected."""
    path = WHOLE / "testset-v1.json"
    rows = json.loads(path.read_text() if path.exists() else gzip.decompress(PART.read_bytes()))
    made = []
    for row in rows:
        votes = [row[f"annotator{number}"] for number in (1, 2, 3)]
        for better, worse in ((1, 2), (2, 1)):
            if (
                votes.count(better) >= 2
                and str(row[f"response{better}"]).strip() != str(row[f"response{worse}"]).strip()
            ):
                made.append(
                    {
                        "prompt": says("user", f"{row['instruction']}\n\n{row['input']}".strip()),
                        "chosen": says("assistant", str(row[f"response{better}"])),
                        "rejected": says("assistant", str(row[f"response{worse}"])),
                    }
                )
    return made


def job(method: str, base: Path, **train: Any) -> Row:
    settings = {"max_length": LENGTH, "sample_prompts": 0} | train
    return {
        "method": method,
        "seed": 1,
        "base": str(base),
        "data": {"train": "data/train.jsonl"},
        "train": settings,
    }


def recipe(folder: Path, spec: Row, rows: list[Row] | None, held: list[Row] | None = None) -> Path:
    """Run a recipe to its end and return its weights."""
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec))
    for name, given in (("train", rows), ("eval", held)):
        if given is not None:
            write(folder / "data" / f"{name}.jsonl", given)
    seconds, _ = run(
        [sys.executable, "-m", f"training.recipes.{spec['method']}", str(folder)], folder / "log"
    )
    print(f"{folder.name}: {seconds:.0f} s", flush=True)
    return folder / "final"


def sampled_pairs(base: Path, sft: Path, judge: Path, asked: list[Row], out: Path) -> None:
    """Sample answers of the SFT model and write which of each two gold prefers."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, set_seed

    set_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
    policy = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), sft)
    gold_judge = AutoModelForSequenceClassification.from_pretrained(judge, num_labels=1, dtype=torch.float32)
    policy.eval()
    gold_judge.eval()
    lines = []
    for row in asked:
        ids = tokenizer.apply_chat_template(
            row["prompt"], tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )["input_ids"]
        if ids.shape[1] + ANSWER > LENGTH:
            continue
        with torch.no_grad():
            made = policy.generate(
                input_ids=ids.repeat(SAMPLES, 1),
                attention_mask=torch.ones(SAMPLES, ids.shape[1], dtype=torch.long),
                do_sample=True,
                top_k=0,
                max_new_tokens=ANSWER,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        texts = tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True)
        whole = [
            tokenizer.apply_chat_template([*row["prompt"], *says("assistant", t)], tokenize=False)
            for t in texts
        ]
        inputs = tokenizer(
            whole, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False
        )
        with torch.no_grad():
            scores = gold_judge(**inputs).logits.squeeze(-1).tolist()
        for first in range(0, SAMPLES, 2):
            better, worse = sorted((first, first + 1), key=lambda place: -scores[place])
            if texts[better].strip() and texts[worse].strip() and texts[better] != texts[worse]:
                lines.append(
                    {
                        "prompt": row["prompt"],
                        "chosen": says("assistant", texts[better]),
                        "rejected": says("assistant", texts[worse]),
                    }
                )
    write(out, lines)
