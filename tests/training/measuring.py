"""Real optimizer steps on a random Llama, in a process of their own, to hold beside what `training.sizing` says."""

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.tiny_model import tiny_model

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.training.preload"])
STEPS = 2


@cache
def base() -> Path:
    """A random Llama of 32 M parameters in bfloat16 (as most models are kept), with the tiny model's tokenizer."""
    folder = Path(tempfile.mkdtemp(prefix="random-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    process = CONTEXT.Process(target=_build, args=(str(folder), str(tiny_model())))
    process.start()
    process.join()
    return folder


def _build(folder: str, tokenizer: str) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)


def measured(values: dict[str, Any]) -> dict[str, int]:
    """Train two steps of a spec; returns peak bytes, tokens of the largest forward pass and trainable parameters."""
    mine, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_child, args=(str(base()), values, theirs))
    process.start()
    theirs.close()
    process.join()
    assert process.exitcode == 0
    found: dict[str, int] = mine.recv()
    return found


def _child(folder: str, values: dict[str, Any], answer: Connection) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    with tempfile.TemporaryDirectory(prefix="steps-") as output:
        answer.send(_steps(folder, values, output))


def _steps(folder: str, values: dict[str, Any], output: str) -> dict[str, int]:
    from training.recipes.memory import Meter
    from training.specs import parse_spec

    spec = parse_spec(values["method"], {k: v for k, v in values.items() if k != "method"})
    meter = Meter()
    meter.start()
    trainer = _trainer(folder, spec, output)
    seen: list[int] = []
    loss = trainer.compute_loss

    def watched(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        seen.append(inputs["input_ids"].numel())
        return loss(model, inputs, *rest, **named)

    trainer.compute_loss = watched
    meter.forget_peak()
    trainer.train()
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    return {"peak": meter.peak_bytes(), "longest": max(seen), "trained": trained}


def _trainer(folder: str, spec: Any, output: str) -> Any:
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    name = {"sft": "SFT", "dpo": "DPO", "reward": "Reward"}[spec.method]
    arguments = {
        "output_dir": output,
        "use_cpu": True,
        "bf16": False,
        "per_device_train_batch_size": spec.batch_size,
        "max_length": spec.max_length,
        "max_steps": STEPS,
        "gradient_checkpointing": spec.gradient_checkpointing == "on",
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "dataloader_pin_memory": False,
    }
    if spec.method == "dpo":
        arguments["precompute_ref_log_probs"] = spec.precompute_reference
    task = "SEQ_CLS" if spec.method == "reward" else "CAUSAL_LM"
    adapter = LoraConfig(r=spec.lora_r, target_modules="all-linear", task_type=task)
    return getattr(trl, f"{name}Trainer")(
        model=_model(folder, spec),
        args=getattr(trl, f"{name}Config")(**arguments),
        train_dataset=Dataset.from_list(_rows(tokenizer, spec)),
        processing_class=tokenizer,
        peft_config=None if spec.adaptation == "full" else adapter,
    )


def _model(folder: str, spec: Any) -> Any:
    import torch
    import transformers

    options: dict[str, Any] = {"dtype": torch.float32}
    if spec.adaptation == "qlora":
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    if spec.method == "reward":
        return transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=1, **options
        )
    return transformers.AutoModelForCausalLM.from_pretrained(folder, **options)


def _rows(tokenizer: Any, spec: Any) -> list[dict[str, Any]]:
    """Rows of the full length in random tokens."""
    import torch

    torch.manual_seed(1)

    def tokens() -> list[int]:
        drawn: list[int] = torch.randint(3, 500, (spec.max_length,)).tolist()
        return drawn

    count = STEPS * spec.batch_size
    match spec.method:
        case "sft":
            mask = [0] * (spec.max_length // 4) + [1] * (spec.max_length - spec.max_length // 4)
            return [{"input_ids": tokens(), "completion_mask": mask} for _ in range(count)]
        case "reward":
            return [{"chosen_ids": tokens(), "rejected_ids": tokens()} for _ in range(count)]
    words = [{name: tokenizer.decode(tokens()) for name in ("chosen", "rejected")} for _ in range(count)]
    return [{"prompt": tokenizer.decode(tokens()[: spec.max_length // 4]), **row} for row in words]
