"""What SFT and DPO have in common: load, measure the rows, report, checkpoint, resume, save, reload, rescore.

Heavy: imports torch, transformers and peft, so a recipe imports it only after `contract.open_run` has set the
environment.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    set_seed,
)

from training.recipes import contract
from training.recipes.reporting import Reporter
from training.specs import SpecRefused, TrainJob, TrainSpec, parse, parse_spec

Row = dict[str, Any]
LARGE = 1_000_000_000  # parameters above which activations are recomputed to save memory
SAMPLES, SAMPLE_TOKENS = 3, 48
ADAPTER = "adapter_config.json"


@dataclass
class Plan:
    """Everything decided before the trainer is built."""

    run: contract.Run
    job: TrainJob
    spec: TrainSpec
    root: str  # the model trained, or the one the adapter sits on
    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    rows: list[Row]
    eval_rows: list[Row] | None
    counts: dict[str, int]
    resume: Path | None
    began: float = field(default_factory=time.monotonic)

    @property
    def lora(self) -> LoraConfig | None:
        """The adapter to create; None for full training and for going on with an adapter."""
        if self.spec.adaptation == "full" or isinstance(self.model, PeftModel):
            return None
        return LoraConfig(
            r=self.spec.lora_r,
            lora_alpha=self.spec.lora_alpha,
            lora_dropout=self.spec.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )


def prepare(run: contract.Run, answers: tuple[str, ...]) -> Plan:
    """Read spec, model and rows; `answers` names the columns that follow the prompt.

    Raises what a person can put right.
    """
    job = parse(TrainJob, run.spec)
    given = job.train.get("seed", job.seed)
    if given != job.seed:
        raise SpecRefused(
            f"seed was given as {job.seed} and train.seed as {given}; give it once, or twice the same"
        )
    spec = parse_spec(job.method, {**job.train, "seed": job.seed})
    set_seed(spec.seed)
    root, adapter = where_to_start(job, spec)
    tokenizer = load_tokenizer(root)
    model = load_model(root, spec)
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit and spec.max_length > limit:
        raise SpecRefused(
            f"max_length {spec.max_length} is above this model's limit of {limit}; "
            "lower it or choose another base model"
        )
    if adapter is not None:
        model = continue_adapter(run, model, adapter, job, spec)
    rows, counts = fitting(tokenizer, read_rows(run.path / job.data.train, answers), answers, spec.max_length)
    held = None
    if job.data.eval is not None:
        held, held_counts = fitting(
            tokenizer, read_rows(run.path / job.data.eval, answers), answers, spec.max_length
        )
        counts |= {f"eval_{name}": count for name, count in held_counts.items()}
    return Plan(run, job, spec, root, model, tokenizer, rows, held or None, counts, last_checkpoint(run.path))


def where_to_start(job: TrainJob, spec: TrainSpec) -> tuple[str, str | None]:
    """Return (model directory or hub name, adapter directory to go on with or None)."""
    if job.start is None:
        return job.base, None
    if not Path(job.start).is_dir():
        raise SpecRefused(
            f"start {job.start} is not a directory; give an existing checkpoint or leave start out"
        )
    if not (Path(job.start) / ADAPTER).exists():
        return job.start, None
    if spec.adaptation == "full":
        raise SpecRefused(
            "start is a LoRA adapter and adaptation is full; choose lora, or merge the adapter into a model first"
        )
    return job.base, job.start


def load_tokenizer(root: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer; without a chat template it is refused, because prompts could not be rendered."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(root)
    if not tokenizer.chat_template:
        raise SpecRefused(
            f"{root} has no chat template; choose an instruction-tuned base model or add a template"
        )
    return tokenizer


def load_model(root: str, spec: TrainSpec) -> PreTrainedModel:
    """Load the model by its path, which is also where TRL's DPO finds the reference of full training.

    On CUDA a frozen LoRA base is bfloat16; full training keeps float32 weights under bfloat16 autocast,
    because small steps vanish in bfloat16 weights. On the CPU everything is float32.
    """
    half = torch.cuda.is_available() and spec.adaptation == "lora"
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        root, dtype=torch.bfloat16 if half else torch.float32
    )
    return model


def continue_adapter(
    run: contract.Run, model: PreTrainedModel, path: str, job: TrainJob, spec: TrainSpec
) -> PeftModel:
    """Attach the adapter to go on with.

    Its rank stands; a rank or base that differs from the spec's is a warning.
    """
    config = json.loads((Path(path) / ADAPTER).read_text())
    if config.get("r") != spec.lora_r:
        run.event("warning", message=f"The adapter to go on with has rank {config.get('r')}; it keeps it.")
    trained_on = config.get("base_model_name_or_path")
    if trained_on and Path(trained_on).resolve() != Path(job.base).resolve():
        run.event(
            "warning", message=f"The adapter was trained on {trained_on}, and this run's base is {job.base}."
        )
    return PeftModel.from_pretrained(model, path, is_trainable=True)


def read_rows(path: Path, answers: tuple[str, ...]) -> list[Row]:
    """Read JSONL rows, keeping the prompt and the answers, each a list of {role, content}."""
    if not path.exists():
        raise contract.RecipeFailed(f"{path} does not exist; write the dataset there before starting the run")
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        row = json.loads(line)
        for name in ("prompt", *answers):
            if not isinstance(row.get(name), list) or not row[name]:
                raise contract.RecipeFailed(
                    f"{path.name} line {number} has no {name}; it must be a list of messages"
                )
        rows.append({name: row[name] for name in ("prompt", *answers)})
    return rows


def fitting(
    tokenizer: PreTrainedTokenizerBase, rows: list[Row], answers: tuple[str, ...], limit: int
) -> tuple[list[Row], dict[str, int]]:
    """Return the rows whose prompt leaves room for an answer, and how many were dropped or will be cut at
    `limit` tokens.

    TRL 1.16 does the same without a word; here it is counted.
    """
    kept, truncated = [], 0
    for row in rows:
        if len(ids(tokenizer, row["prompt"], add_generation_prompt=True)) >= limit:
            continue
        kept.append(row)
        truncated += any(len(ids(tokenizer, row["prompt"] + row[name])) > limit for name in answers)
    if not kept:
        raise contract.RecipeFailed(
            f"none of the {len(rows)} rows fits max_length {limit} with its prompt alone; raise max_length or add rows"
        )
    return kept, {"rows": len(kept), "dropped": len(rows) - len(kept), "truncated": truncated}


def ids(tokenizer: PreTrainedTokenizerBase, messages: list[Row], **options: Any) -> list[int]:
    """Return the token ids of rendered messages."""
    rendered = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    return list(rendered["input_ids"])


def last_checkpoint(path: Path) -> Path | None:
    """Return the newest complete checkpoint; trainer_state.json is written last, so without it one is half-
    written.
    """
    complete = [folder for folder in path.glob("checkpoint-*") if is_complete(folder)]
    return max(complete, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def is_complete(folder: Path) -> bool:
    """Say whether a checkpoint can be resumed from."""
    try:
        state = json.loads((folder / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    return str(state.get("global_step")) == folder.name.rpartition("-")[2]


def arguments(plan: Plan) -> dict[str, Any]:
    """Return the fields that SFTConfig and DPOConfig share."""
    spec, cuda = plan.spec, torch.cuda.is_available()
    parameters = sum(p.numel() for p in plan.model.parameters())
    return {
        "output_dir": str(plan.run.path),
        "seed": spec.seed,
        "learning_rate": spec.learning_rate,
        "num_train_epochs": spec.epochs,
        "per_device_train_batch_size": spec.batch_size,
        "per_device_eval_batch_size": spec.batch_size,
        "gradient_accumulation_steps": spec.gradient_accumulation,
        "max_length": spec.max_length,
        "warmup_steps": warmup_steps(spec, len(plan.rows)),
        "lr_scheduler_type": spec.scheduler,
        "logging_steps": spec.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_steps": spec.save_steps,
        "save_total_limit": 2,
        "eval_strategy": "epoch" if plan.eval_rows else "no",
        "eval_on_start": plan.eval_rows is not None and plan.resume is None,
        "gradient_checkpointing": cuda and parameters > LARGE,
        "use_cpu": not cuda,
        "bf16": cuda,
        "dataloader_pin_memory": cuda,
        "report_to": "none",
        "disable_tqdm": True,
    }


def warmup_steps(spec: TrainSpec, rows: int) -> int:
    """Return the share of the steps as whole steps, rounded down: a run of one step must not spend it at rate 0."""
    batches = -(-rows // spec.batch_size)
    steps = math.ceil(-(-batches // spec.gradient_accumulation) * spec.epochs)
    return math.floor(spec.warmup * steps)


def inputs(plan: Plan) -> dict[str, Any]:
    """Return the constructor arguments that SFTTrainer and DPOTrainer share."""
    return {
        "model": plan.model,
        "train_dataset": Dataset.from_list(plan.rows),
        "eval_dataset": Dataset.from_list(plan.eval_rows) if plan.eval_rows else None,
        "processing_class": plan.tokenizer,
        "peft_config": plan.lora,
    }


def carry_out(plan: Plan, trainer: Trainer, first_loss: float | None = None) -> None:
    """Train or resume, then write final/ and result.json.

    Raises `Stopped` after SIGTERM, with a checkpoint on disk.
    """
    run = plan.run
    run.stop_if_asked()
    sizes = {
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "trainable": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
    }
    done = int(plan.resume.name.rpartition("-")[2]) if plan.resume else 0
    run.event(
        "start" if not done else "resume", done, **sizes, **plan.counts, device=str(trainer.args.device)
    )
    if not done:
        show_samples(plan, trainer.model, 0)
    trainer.add_callback(Reporter(run, first_loss))
    trainer.train(resume_from_checkpoint=str(plan.resume) if plan.resume else None)
    step = trainer.state.global_step
    if run.stopping and step < trainer.state.max_steps:
        raise contract.Stopped
    if not run.writes:
        return
    final = save(plan, trainer)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    seconds = round(time.monotonic() - plan.began, 1)
    run.event("end", step, seconds=seconds)
    run.finish(
        status="succeeded",
        final=final.name,
        kind="full" if plan.spec.adaptation == "full" else "adapter",
        base=plan.root,
        steps=step,
        loss_first=losses[0],
        loss_last=losses[-1],
        **sizes,
        content_hash=contract.content_hash(final),
        seconds=seconds,
        environment=contract.environment(),
    )


def save(plan: Plan, trainer: Trainer) -> Path:
    """Write final/ and rename it into place only when what was read back from disk gives the same logits."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    batch = rendered(plan, plan.rows[:4])
    expected = logits(model, batch)
    final = plan.run.path / "final"
    with contract.new_folder(final) as folder:
        options = {"selected_adapters": ["default"]} if isinstance(model, PeftModel) else {}
        model.save_pretrained(folder, **options)
        plan.tokenizer.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        sort_adapter_config(folder)
        trainer.accelerator.free_memory()
        device = model.device
        model.to("cpu")
        again = reload(plan, folder).to(device)
        error = (logits(again, batch) - expected).abs().max().item()
        allowed = 1e-3 if device.type == "cpu" else 0.25
        plan.run.event("check", trainer.state.global_step, name="reload", ok=error <= allowed, error=error)
        if not error <= allowed:
            raise contract.RecipeFailed(
                f"the saved weights give other logits than the trained ones (difference {error:.3g}, "
                f"allowed {allowed}); nothing was kept, start the run again"
            )
        show_samples(plan, again, trainer.state.global_step)
    return final


def reload(plan: Plan, folder: Path) -> PreTrainedModel | PeftModel:
    """Load what was saved the way a user of it would."""
    if plan.spec.adaptation == "full":
        return load_model(str(folder), plan.spec)
    return PeftModel.from_pretrained(load_model(plan.root, plan.spec), str(folder))


def sort_adapter_config(folder: Path) -> None:
    """PEFT writes sets in an order that changes from process to process; equal adapters must have equal
    bytes.
    """
    path = folder / ADAPTER
    if path.exists():
        config = json.loads(path.read_text())
        if isinstance(config.get("target_modules"), list):
            config["target_modules"].sort()
        path.write_text(json.dumps(config, indent=2, sort_keys=True))


def rendered(plan: Plan, rows: list[Row]) -> dict[str, torch.Tensor]:
    """Return rows as right-padded input_ids and attention_mask, [rows, tokens]."""
    answer = "completion" if "completion" in rows[0] else "chosen"
    sequences = [ids(plan.tokenizer, row["prompt"] + row[answer])[: plan.spec.max_length] for row in rows]
    width = max(len(sequence) for sequence in sequences)
    padded = [sequence + [0] * (width - len(sequence)) for sequence in sequences]
    mask = [[1] * len(sequence) + [0] * (width - len(sequence)) for sequence in sequences]
    return {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask)}


@torch.no_grad()  # type: ignore[untyped-decorator]
def logits(model: PreTrainedModel | PeftModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return float32 logits [real tokens, vocabulary] on the CPU, dropout off."""
    device = model.device
    model.eval()
    cast = torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()
    with cast:
        out = model(**{name: tensor.to(device) for name, tensor in batch.items()}, use_cache=False).logits
    return out[batch["attention_mask"].to(device).bool()].float().cpu()


@torch.no_grad()  # type: ignore[untyped-decorator]
def show_samples(plan: Plan, model: PreTrainedModel | PeftModel, step: int) -> None:
    """Report greedy completions of the first different prompts, held-out ones if there are any."""
    seen: dict[str, list[Row]] = {}
    for row in plan.eval_rows or plan.rows:
        seen.setdefault(json.dumps(row["prompt"]), row["prompt"])
        if len(seen) == SAMPLES:
            break
    training = model.training
    model.eval()
    samples = []
    for prompt in seen.values():
        given = torch.tensor([ids(plan.tokenizer, prompt, add_generation_prompt=True)], device=model.device)
        out = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=SAMPLE_TOKENS,
            do_sample=False,
            pad_token_id=plan.tokenizer.pad_token_id or plan.tokenizer.eos_token_id,
        )
        text = plan.tokenizer.decode(out[0, given.shape[1] :], skip_special_tokens=True)
        samples.append({"prompt": prompt[-1]["content"], "completion": text.strip()})
    model.train(training)
    plan.run.event("sample", step, samples=samples)
