"""What a trainer does, as events: losses, checks of the first steps, checkpoints, and the stop on request."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.recipes import contract

SHOWN = 4  # parts of a run after which samples are shown


class Reporter(TrainerCallback):
    """Turns what the trainer does into events, checks the first steps, and stops on request."""

    def __init__(
        self,
        run: contract.Run,
        first_loss: float | None,
        show: Callable[[torch.nn.Module, int], None],
    ) -> None:
        self.run, self.first_loss, self.show = run, first_loss, show
        self.tokens, self.clock = 0.0, time.monotonic()
        self.before: dict[str, tuple[float, float]] = {}
        self.check_at = 0
        self.showing: set[int] = set()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell how long it will be; note every tensor's fingerprint, unless a checkpoint is being resumed."""
        self.run.event("begin", state.global_step, total_steps=state.max_steps)
        self.showing = {state.max_steps * part // SHOWN for part in range(1, SHOWN)} - {0}
        if state.global_step == 0:
            self.before = fingerprints(kwargs["model"])
            self.check_at = min(args.get_warmup_steps(state.max_steps) + 2, state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check that weights move; on SIGTERM checkpoint and stop; log the last step."""
        if self.before and state.global_step == self.check_at:
            self.check_moved(fingerprints(kwargs["model"]), state.global_step)
        if state.global_step in self.showing:
            self.show(kwargs["model"], state.global_step)
        if state.global_step >= state.max_steps:
            control.should_log = True
        elif self.run.stopping:
            control.should_save = control.should_training_stop = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A stop ends the epoch early; evaluating then would only delay it."""
        if self.run.stopping and state.global_step < state.max_steps:
            control.should_evaluate = False

    def check_moved(self, after: dict[str, tuple[float, float]], step: int) -> None:
        """Raise when a trainable tensor is where it was.

        After fewer than two steps a LoRA A matrix may still be: B began at zero.
        """
        still = [name for name, before in self.before.items() if after[name] == before]
        total, self.before = len(self.before), {}
        ok = not still or (step < 2 and len(still) < total)
        self.run.event("check", step, name="trainable_moved", ok=ok, moved=total - len(still), total=total)
        if not ok:
            raise contract.RecipeFailed(
                f"{len(still)} of {total} trainable tensors did not change by step {step} (first: {still[0]}); "
                "raise learning_rate or choose another adaptation"
            )

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Report finite numbers; a loss that is not a number ends the run."""
        logs = {
            name: float(value) for name, value in kwargs["logs"].items() if isinstance(value, (int, float))
        }
        if "loss" in logs:
            self.run.event("log", state.global_step, **logs, **self.speed(logs))
            if not math.isfinite(logs["loss"]):
                raise contract.RecipeFailed(
                    f"the loss is not a number at step {state.global_step}; lower learning_rate and start a new run"
                )
            if self.first_loss is not None and state.global_step == 1:
                self.check_first(logs["loss"], self.first_loss)
        elif "eval_loss" in logs:
            self.run.event(
                "eval", state.global_step, **{name.removeprefix("eval_"): v for name, v in logs.items()}
            )

    def speed(self, logs: dict[str, float]) -> dict[str, float]:
        """Return tokens a second since the last log, and the bytes that the process holds now, on its device."""
        now, seen = time.monotonic(), logs.get("num_tokens", 0.0)
        found = {"memory_bytes": float(held_bytes())}
        if seen > self.tokens and now > self.clock and self.tokens:
            found["tokens_per_second"] = (seen - self.tokens) / (now - self.clock)
        self.tokens, self.clock = seen, now
        return found

    def check_first(self, loss: float, expected: float) -> None:
        """Raise when the first loss is not what policy = reference gives: then the reference is not the model
        we started from.
        """
        ok = abs(loss - expected) < 1e-3 * max(1.0, expected)
        self.run.event("check", 1, name="first_loss", ok=ok, loss=loss, expected=expected)
        if not ok:
            raise contract.RecipeFailed(
                f"the first loss is {loss:.4f} and must be {expected:.4f}: policy and reference differ "
                "before training; check that start and base belong together"
            )

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say that a checkpoint can be resumed from."""
        self.run.event("checkpoint", state.global_step, path=f"checkpoint-{state.global_step}")


def held_bytes() -> int:
    """Return the memory in use: of the GPU where there is one, else what the process has resident."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def fingerprints(model: torch.nn.Module) -> dict[str, tuple[float, float]]:
    """Return (sum, norm) in float64 of every trainable tensor: no copy of the weights, and any real change
    shows.
    """
    return {
        name: (p.detach().sum(dtype=torch.float64).item(), p.detach().norm(dtype=torch.float64).item())
        for name, p in model.named_parameters()
        if p.requires_grad
    }
