"""What the training methods have in common: load, make tokens, check, report, resume, save, reload, rescore.

Heavy: imports torch, transformers and peft, so a recipe imports it only after `contract.open_run` has set the
environment.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from datasets import Dataset
from peft import PeftConfig, PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed

from training.recipes import adapting, contract, keeping, preflight, retention
from training.recipes.memory import Meter, device_bytes
from training.recipes.reporting import Reporter
from training.recipes.rows import SEQUENCES, Encoded, Encoder, columns, read_rows
from training.recipes.smaller import newest_retry, smaller, smallest_words
from training.recipes.trainers import Prepared
from training.shapes import shape_of
from training.sizing import Device, longest_batch, memory
from training.specs import RolloutSpec, SftSpec, SpecRefused, TrainJob, TrainSpec, parse, parse_spec
from training.weights import WeightsDamaged


@dataclass
class Plan:
    """Everything decided before the trainer is built."""

    run: contract.Run
    job: TrainJob
    spec: TrainSpec
    origin: adapting.Origin
    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    encoder: Encoder
    train: Encoded
    held: Encoded | None
    notes: list[str]  # what was repaired on the way
    resume: Path | None
    meter: Meter
    after: PreTrainedModel | PeftModel | None = None  # what was read back from disk at the end
    build_seconds: float = 0.0  # of the trainer; with DPO and KTO the reference's log-probabilities among it
    began: float = field(default_factory=time.monotonic)

    @property
    def adapter(self) -> PeftConfig | None:
        """The adapter to create; None for full training and for going on with an adapter."""
        return (
            None
            if isinstance(self.model, PeftModel)
            else adapting.adapter_config(self.spec, self.origin.root)
        )

    @property
    def bare(self) -> PreTrainedModel:
        """The model below what is put on it."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @property
    def prompts(self) -> list[list[dict[str, Any]]]:
        """The fixed prompts of the samples, held-out ones if there are any."""
        return keeping.sample_prompts((self.held or self.train).rows, self.spec.sample_prompts)


def prepare(run: contract.Run) -> Plan:
    """Read spec, model and rows. Raises what a person can put right."""
    job, spec = read_job(run)
    set_seed(spec.seed)
    origin = adapting.where_to_start(job, spec)
    tokenizer = adapting.load_tokenizer(origin)
    check_template(job, tokenizer)
    meter = Meter(cuda=torch.cuda.is_available())
    meter.start()
    model: PreTrainedModel | PeftModel = adapting.load_model(origin.root, spec, origin.revision)
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit and spec.max_length > limit:
        raise SpecRefused(
            f"max_length {spec.max_length} is above this model's limit of {limit}; "
            "lower it or choose another base model"
        )
    encoder = Encoder(tokenizer, adapting.end_tokens(tokenizer, model), spec)
    train = encoder.encode(read_rows(run.path / job.data.train, spec))
    held = encoder.encode(read_rows(run.path / job.data.eval, spec)) if job.data.eval else None
    notes = []
    given = adapting.padding(tokenizer, spec, used_tokens(train, held) if spec.method == "reward" else set())
    if given is not None:
        notes.append(f"Padding was the end-of-sequence token; it is {given} now, which no row contains.")
    model.config.pad_token_id = tokenizer.pad_token_id
    if origin.adapter is not None and not isinstance(spec, RolloutSpec):
        model = adapting.going_on(model, origin, spec, run)
    return Plan(
        run,
        job,
        spec,
        origin,
        model,
        tokenizer,
        encoder,
        train,
        held,
        notes,
        last_checkpoint(run.path),
        meter,
    )


def read_job(run: contract.Run) -> tuple[TrainJob, TrainSpec]:
    """Return what the run was told, as it is to be done now: in smaller batches after memory ran out.

    Raises `SpecRefused`, or `RecipeFailed` when a data file is not the one that was written for the run.
    """
    job = parse(TrainJob, run.spec)
    given = job.train.get("seed", job.seed)
    if given != job.seed:
        raise SpecRefused(
            f"seed was given as {job.seed} and train.seed as {given}; give it once, or twice the same"
        )
    spec = parse_spec(job.method, {**job.train, "seed": job.seed, **newest_retry(run.path)})
    for name, expected in job.data.files.items():
        with (run.path / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise contract.RecipeFailed(
                f"{name} has the hash {found[:12]} and {expected[:12]} was written for this run; "
                "somebody changed it, so start a new run"
            )
    return job, spec


def check_template(job: TrainJob, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise `RecipeFailed` when the chat template is another than the one that was checked before launch."""
    found = template_hash(tokenizer)
    if job.template_hash and found != job.template_hash:
        raise contract.RecipeFailed(
            f"the chat template of {job.base} has the hash {found[:12]} and {job.template_hash[:12]} was checked "
            "before launch; the base model was changed, so check and start again"
        )


def template_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 of the chat template's text; of nothing where there is none."""
    return hashlib.sha256((tokenizer.chat_template or "").encode()).hexdigest()


def used_tokens(*parts: Encoded | None) -> set[int]:
    """Return every token that occurs in the rows."""
    return {
        token
        for part in parts
        if part is not None
        for row in part.rows
        for name in SEQUENCES
        if name in row
        for token in row[name]["ids"]
    }


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
    """Return the fields that the configs of all methods share."""
    spec, cuda = plan.spec, torch.cuda.is_available()
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(plan.run.path / "tensorboard")
    return {
        "output_dir": str(plan.run.path),
        "seed": spec.seed,
        "learning_rate": spec.learning_rate,
        "num_train_epochs": spec.epochs,
        "per_device_train_batch_size": spec.batch_size,
        "per_device_eval_batch_size": spec.batch_size,
        "gradient_accumulation_steps": spec.gradient_accumulation,
        "max_length": spec.max_length,
        "lr_scheduler_type": spec.scheduler,
        "weight_decay": spec.weight_decay,
        "max_grad_norm": spec.max_grad_norm,
        "logging_steps": spec.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_steps": spec.save_steps,
        "save_total_limit": spec.keep_checkpoints,
        "eval_strategy": "epoch" if plan.held else "no",
        "eval_on_start": plan.held is not None and plan.resume is None,
        "gradient_checkpointing": recomputes(plan, cuda=cuda),
        "use_cpu": not cuda,
        "bf16": cuda,
        "dataloader_pin_memory": cuda,
        "report_to": "tensorboard",
        "disable_tqdm": True,
    }


def recomputes(plan: Plan, *, cuda: bool) -> bool:
    """Say whether activations are recomputed instead of kept; never under prefix tuning, which needs the cache.

    Where that is left open, by the estimate that the form shows, with the lengths that the rows have. Of a model whose
    shape cannot be read, they are recomputed on a GPU.
    """
    spec = plan.spec
    if spec.adaptation == "prefix" or spec.gradient_checkpointing != "auto":
        return spec.gradient_checkpointing == "on"
    try:
        shape = shape_of(adapting.folder_of(plan.origin))
    except (OSError, WeightsDamaged):
        return cuda
    longest = longest_batch(spec, max(plan.train.lengths), mean(plan.train.lengths))
    device: Device = "cuda" if cuda else "cpu"
    return memory(
        shape, spec, device=device, longest=longest, available=device_bytes(cuda=cuda)
    ).checkpointing


def build(plan: Plan, trainer: type[Trainer], config: TrainingArguments) -> Trainer:
    """Return the trainer of a method on this plan's tokens."""
    begun = time.monotonic()
    packed = isinstance(plan.spec, SftSpec) and plan.spec.packs
    kind = type(trainer.__name__, (Prepared, trainer), {"sorts": plan.spec.sort_batches and not packed})
    made: Trainer = kind(
        model=plan.model,
        args=config,
        train_dataset=Dataset.from_list(columns(plan.train, plan.spec)),
        eval_dataset=Dataset.from_list(columns(plan.held, plan.spec)) if plan.held else None,
        processing_class=plan.tokenizer,
        peft_config=plan.adapter,
    )
    adapting.in_float32(made.model)
    plan.build_seconds = time.monotonic() - begun
    made.args.warmup_steps = warmup_steps(plan.spec, len(made.train_dataset), made.args)
    return made


def warmup_steps(spec: TrainSpec, rows: int, args: TrainingArguments) -> int:
    """Return the share of the steps as whole steps, rounded down: a run of one step must not spend it at rate 0."""
    batches = -(-rows // args.per_device_train_batch_size)
    steps = math.ceil(-(-batches // args.gradient_accumulation_steps) * spec.epochs)
    return math.floor(spec.warmup * steps)


def carry_out(
    plan: Plan,
    trainer: Trainer,
    first_loss: float | None = None,
    measure: Callable[[Plan], dict[str, Any]] | None = None,
) -> None:
    """Train or resume, then write final/ and result.json; `measure` adds what a method knows of its own at the end.

    Raises `Stopped` after SIGTERM, with a checkpoint on disk, and when memory ran out and smaller batches can be tried.
    """
    with smaller_after_memory(plan):
        sizes = learn(plan, trainer, first_loss)
    if plan.run.writes:
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        model = trainer.accelerator.unwrap_model(trainer.model)
        trainer.accelerator.free_memory()
        finish(plan, model, trainer.state.global_step, losses, sizes, measure)


@contextmanager
def smaller_after_memory(plan: Plan) -> Iterator[None]:
    """Where memory runs out, note that the run goes on with less at a time. Raises `Stopped` then."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not contract.is_out_of_memory(error):
            raise
        retry_smaller(plan, error)
        raise contract.Stopped from error


def finish(
    plan: Plan,
    model: PreTrainedModel | PeftModel,
    step: int,
    losses: list[float],
    sizes: dict[str, int],
    measure: Callable[[Plan], dict[str, Any]] | None = None,
) -> None:
    """Write final/, checked by reading it back, and result.json; `sizes` of the model, and the peak of memory."""
    run, device = plan.run, str(model.device)
    peak = sizes.pop("peak_bytes")
    final = keeping.save(plan, model, step)
    extra = retention.look_after(plan) | (measure(plan) if measure is not None else {})
    seconds = round(time.monotonic() - plan.began, 1)
    run.event("end", step, seconds=seconds)
    run.finish(
        status="succeeded",
        final=final.name,
        kind="full" if plan.spec.adaptation == "full" else "adapter",
        base=plan.origin.root,
        steps=step,
        loss_first=losses[0],
        loss_last=losses[-1],
        **sizes,
        content_hash=contract.content_hash(final),
        template_hash=template_hash(plan.tokenizer),
        memory={"peak_bytes": peak, "device": device},
        seconds=seconds,
        environment=contract.environment(),
        **extra,
    )
    forget_checkpoints(run.path)


def learn(plan: Plan, trainer: Trainer, first_loss: float | None) -> dict[str, int]:
    """Check, then train to the end; returns the sizes of the model, and the peak of memory in bytes."""
    run = plan.run
    run.stop_if_asked()
    total, trainable = adapting.sizes(trainer.model)
    sizes = {"parameters": total, "trainable": trainable}
    preflight.check(plan, trainer.model)
    done = int(plan.resume.name.rpartition("-")[2]) if plan.resume else 0
    run.event(
        "start" if not done else "resume",
        done,
        **sizes,
        **counts(plan),
        device=str(trainer.args.device),
        build_seconds=round(plan.build_seconds, 3),
    )
    if not done:
        keeping.show_samples(plan, trainer.model, 0)
        retention.look_before(plan, trainer.model)
    trainer.add_callback(
        Reporter(run, first_loss, lambda model, step: keeping.show_samples(plan, model, step))
    )
    plan.meter.forget_peak()
    trainer.train(resume_from_checkpoint=str(plan.resume) if plan.resume else None)
    sizes["peak_bytes"] = plan.meter.peak_bytes()
    plan.meter.stop()
    if run.stopping and trainer.state.global_step < trainer.state.max_steps:
        raise contract.Stopped
    return sizes


def counts(plan: Plan) -> dict[str, int]:
    """Rows trained on, dropped, cut and split, and the same of the held-out ones."""
    held = {f"eval_{name}": count for name, count in plan.held.counts.items()} if plan.held else {}
    return {**plan.train.counts, **held}


def retry_smaller(plan: Plan, error: Exception) -> None:
    """Note that the run goes on with less at a time. Raises `RecipeFailed` when that cannot be."""
    values = smaller(plan.spec.method, plan.spec.batch_size, plan.spec.gradient_accumulation)
    if values is None:
        raise contract.RecipeFailed(smallest_words(plan.spec.method)) from error
    plan.run.event("retry", **values)


def forget_checkpoints(path: Path) -> None:
    """Remove what a run resumes from: it is over, and its weights are in final/."""
    for folder in path.glob("checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)
    (path / "README.md").unlink(missing_ok=True)  # the trainer's own, about checkpoints that are gone
