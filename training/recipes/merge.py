"""Merge an adapter into the model it stands on: `python -m training.recipes.merge RUN_DIR`.

RUN_DIR/spec.json: MergeJob. RUN_DIR/probe.jsonl: {"messages": [...]} or {"text": "..."}, rows on which the adapter and
the merged model must say the same. Writes RUN_DIR/final (weights, tokenizer with its template) by rename, only after
the check, and result.json. A stopped or killed merge starts again and ends with the same bytes.

Weights are added in float32 and rounded once, to the type that the base's weights have. Two checks, on the CPU and in
float32, over all real tokens of the probe:

- exact: adapter beside the base against adapter added, before rounding. Largest difference of logits at most EXACT.
- saved: adapter beside the base against what was read back from disk. For float32 weights the same limit holds; for
  half-precision ones mean KL(adapter || merged) at most KL nats a token; for rewards a difference of at most REWARD.

A QLoRA adapter learned beside 4-bit weights; it is merged into those of the base as it came, and result.json tells the
KL between the adapter on 4 bits and what was saved.
"""

from __future__ import annotations

import gc
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from training.recipes import contract
from training.recipes.deltas import PROMPTS, adapter_config
from training.specs import Strict, parse

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EXACT, KL, REWARD = 1e-3, 0.01, 0.1
PROBE_TOKENS = 256
HALVES = ("torch.bfloat16", "torch.float16")

Probe = list[list[int]]


class MergeJob(Strict):
    """The whole spec.json of a merge."""

    method: Literal["merge"] = Field(default="merge", description="The recipe that this file is for.")
    base: str = Field(
        min_length=1, description="Directory (or hub name) of the model that the adapter stands on."
    )
    revision: str | None = Field(default=None, description="Revision of a model on a hub, or null.")
    adapter: str = Field(min_length=1, description="Directory of the adapter.")
    adaptation: str = Field(
        default="lora", description="What the run called it; qlora is compared on 4 bits too."
    )


def work(run: contract.Run) -> None:
    """Load, merge, check, save, check what was saved, and write result.json."""
    job, began = parse(MergeJob, run.spec), time.monotonic()
    config = adapter_config(Path(job.adapter))
    refuse_what_cannot_be_merged(job, config)
    assert config is not None
    rewards = config["task_type"] == "SEQ_CLS"
    tokenizer = load_tokenizer(job)
    probe = read_probe(run.path / "probe.jsonl", tokenizer)
    base, dtype = load_base(job, rewards, tokenizer)
    refuse_full_disk(run.path, base, dtype)
    run.event("start", rows=len(probe), tokens=sum(map(len, probe)), dtype=dtype)
    wanted, exact, merged = merge(run, base, job.adapter, probe)
    final = run.path / "final"
    with contract.new_folder(final) as folder:
        rounded(merged, dtype).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        parameters = merged.num_parameters()
        del base, merged
        gc.collect()
        run.stop_if_asked()
        said = logits(load(str(folder), rewards), probe)
        saved = compare(wanted, said)
        check(run, exact, saved, dtype)
    quantized = on_four_bits(run, job, rewards, tokenizer, probe, said)
    digest = contract.content_hash(final)
    run.finish(
        status="succeeded", final="final", kind="full", content_hash=digest, parameters=parameters, dtype=dtype,
        rows=len(probe), tokens=sum(map(len, probe)), exact=exact, saved=saved, quantized=quantized,
        limits={"exact": EXACT, "kl": KL, "reward": REWARD}, seconds=round(time.monotonic() - began, 1),
        environment=contract.environment(),
    )  # fmt: skip


def refuse_what_cannot_be_merged(job: MergeJob, config: dict[str, Any] | None) -> None:
    """Raise `RecipeFailed` for a folder without adapter, and for adapters that change no weight."""
    if config is None:
        raise contract.RecipeFailed(f"{job.adapter} holds no adapter; give the folder of a saved adapter")
    if config["peft_type"] in PROMPTS:
        raise contract.RecipeFailed(
            "this adapter is vectors before the prompt and changes no weight, so it cannot be merged; "
            "use it beside its base, or train LoRA"
        )


def load_tokenizer(job: MergeJob) -> PreTrainedTokenizerBase:
    """The tokenizer that the adapter was trained with, else that of its base."""
    from transformers import AutoTokenizer

    own = (Path(job.adapter) / "tokenizer_config.json").exists()
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        job.adapter if own else job.base, revision=None if own else job.revision
    )
    return tokenizer


def read_probe(path: Path, tokenizer: PreTrainedTokenizerBase) -> Probe:
    """Token ids of the probe's rows, each up to PROBE_TOKENS of them."""
    rows = []
    for row in contract.read_lines(path):
        if row.get("messages") and tokenizer.chat_template:
            text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        else:
            text = row.get("text") or "\n".join(turn["content"] for turn in row.get("messages") or ())
        ids = tokenizer(text, add_special_tokens=not row.get("messages"))["input_ids"][:PROBE_TOKENS]
        rows += [list(ids)] if ids else []
    if not rows:
        raise contract.RecipeFailed(f"{path.name} holds no text; without one the merge cannot be checked")
    return rows


def load(location: str, rewards: bool, **options: Any) -> PreTrainedModel:
    """A model that answers or rewards, in float32 unless told otherwise."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = AutoModelForSequenceClassification if rewards else AutoModelForCausalLM
    one = {"num_labels": 1} if rewards else {}
    model: PreTrainedModel = kind.from_pretrained(location, **{"dtype": torch.float32, **one, **options})
    return model.eval()


def load_base(
    job: MergeJob, rewards: bool, tokenizer: PreTrainedTokenizerBase
) -> tuple[PreTrainedModel, str]:
    """(the base in float32, the type that its weights have on disk). Raises `RecipeFailed` for quantized ones."""
    import torch

    torch.manual_seed(0)
    model = load(job.base, rewards, dtype="auto", revision=job.revision)
    if getattr(model.config, "quantization_config", None) is not None:
        raise contract.RecipeFailed(
            f"{job.base} is quantized, and an adapter cannot be added to such weights without loss; "
            "register the model it was made of and train on that"
        )
    dtype = str(model.dtype)
    if rewards:
        model.config.pad_token_id = tokenizer.pad_token_id
    return model.float(), dtype


def refuse_full_disk(path: Path, model: PreTrainedModel, dtype: str) -> None:
    """Raise `RecipeFailed` before writing what would not fit."""
    needed = model.num_parameters() * (2 if dtype in HALVES else 4)
    free = shutil.disk_usage(path).free
    if needed > free:
        raise contract.RecipeFailed(
            f"the merged weights take {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left; free some space"
        )


def merge(
    run: contract.Run, base: PreTrainedModel, adapter: str, probe: Probe
) -> tuple[list[Tensor], dict[str, Any], PreTrainedModel]:
    """(logits of the adapter, how exactly merging keeps them, the merged model)."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(base, adapter).eval()
    wanted = logits(model, probe)
    run.event("progress", 1, done=1, total=3)
    run.stop_if_asked()
    merged: Any = model.merge_and_unload(safe_merge=True)
    exact = compare(wanted, logits(merged, probe))
    run.event("progress", 2, done=2, total=3)
    run.stop_if_asked()
    return wanted, exact, merged


def rounded(model: PreTrainedModel, dtype: str) -> PreTrainedModel:
    """The model in the type of the base's weights; `dtype` is written as torch.bfloat16."""
    import torch

    return model.to(getattr(torch, dtype.removeprefix("torch.")))


def logits(model: Any, probe: Probe) -> list[Tensor]:
    """For each row the float32 logits [tokens, vocabulary], or [1, 1] of a reward model. No padding, no dropout."""
    import torch

    found = []
    for ids in probe:
        with torch.no_grad():
            said = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits
        found.append(said.float().cpu().reshape(-1, said.shape[-1]))
    return found


def compare(wanted: list[Tensor], found: list[Tensor]) -> dict[str, Any]:
    """Largest absolute difference of logits, and mean KL(wanted || found) in nats a token; no KL for rewards."""
    import torch

    largest, total, tokens = 0.0, 0.0, 0
    for want, have in zip(wanted, found, strict=True):
        difference = (want - have).abs().max().item()
        largest = max(largest, difference if difference == difference else float("inf"))
        p, q = want.double().log_softmax(-1), have.double().log_softmax(-1)
        total += torch.sum(p.exp() * (p - q)).item()
        tokens += len(want)
    rewards = wanted[0].shape[-1] == 1
    return {"difference": largest, "kl": None if rewards else max(0.0, total / tokens)}


def check(run: contract.Run, exact: dict[str, Any], saved: dict[str, Any], dtype: str) -> None:
    """Raise `RecipeFailed` where the merged weights do not say what the adapter says."""
    half, kl, kind = dtype in HALVES, saved["kl"], dtype.removeprefix("torch.")
    limit = REWARD if half else EXACT
    ok = exact["difference"] <= EXACT and (
        kl <= KL if half and kl is not None else saved["difference"] <= limit
    )
    run.event("check", 3, name="merge", ok=ok, exact=exact, saved=saved)
    if not ok:
        raise contract.RecipeFailed(
            f"the merged weights give other logits than the adapter: difference {exact['difference']:.3g} before and "
            f"{saved['difference']:.3g} after saving as {kind}, allowed {EXACT}"
            f"{'' if kl is None else f', KL {kl:.3g} nats, allowed {KL}'}; "
            "nothing was kept, use the adapter beside its base"
        )


def on_four_bits(
    run: contract.Run,
    job: MergeJob,
    rewards: bool,
    tokenizer: PreTrainedTokenizerBase,
    probe: Probe,
    said: list[Tensor],
) -> dict[str, Any] | None:
    """For QLoRA: how far what was saved is from the adapter beside the 4-bit weights that it learned with."""
    if job.adaptation != "qlora":
        return None
    import torch
    from peft import PeftModel
    from transformers import BitsAndBytesConfig

    from training.recipes.adapting import leave_in_4_bits

    run.stop_if_asked()
    four = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    base = load(job.base, rewards, revision=job.revision, quantization_config=four)
    leave_in_4_bits(base)
    if rewards:
        base.config.pad_token_id = tokenizer.pad_token_id
    return compare(logits(PeftModel.from_pretrained(base, job.adapter).eval(), probe), said)


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "merge", work))
