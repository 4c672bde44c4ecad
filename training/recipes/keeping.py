"""What a run leaves behind: weights that were read back and give the same answers, and samples of what they say."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from training.recipes import contract
from training.recipes.adapting import ADAPTER, load_model
from training.recipes.rows import SEQUENCES

if TYPE_CHECKING:
    from training.recipes.tuning import Plan

SAMPLE_TOKENS = 48
TOLERANCE = {"cpu": 1e-3, "cuda": 0.25}  # of a logit: float32 rounding, and that of bfloat16


def save(plan: Plan, model: PreTrainedModel | PeftModel, step: int) -> Path:
    """Write final/ and rename it into place only when what was read back from disk gives the same logits.

    The largest difference is stored with the run; TOLERANCE says what is allowed, in logits. Of several adapters the
    active one is kept.
    """
    batch = probe(plan)
    expected = logits(model, batch)
    final = plan.run.path / "final"
    with contract.new_folder(final) as folder:
        save_weights(model, folder)
        plan.tokenizer.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        sort_adapter_config(folder)
        device = model.device
        if plan.spec.adaptation != "qlora":  # 4-bit weights stay where they are
            give_up(model)
        again = reload(plan, folder)
        again = again if plan.spec.adaptation == "qlora" else again.to(device)
        error = (logits(again, batch) - expected).abs().max().item()
        allowed = TOLERANCE[device.type]
        plan.run.event(
            "check",
            step,
            name="reload",
            ok=error <= allowed,
            error=error,
            allowed=allowed,
        )
        if not error <= allowed:
            raise contract.RecipeFailed(
                f"the saved weights give other logits than the trained ones (difference {error:.3g}, "
                f"allowed {allowed}); nothing was kept, start the run again"
            )
        plan.after = again
        show_samples(plan, again, step)
    return final


def give_up(model: PreTrainedModel | PeftModel) -> None:
    """Free the weights of a model that is not asked again, whoever still holds it: two would not fit where one did."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = torch.empty(0, dtype=tensor.dtype)


def save_weights(model: PreTrainedModel | PeftModel, folder: Path) -> None:
    """Write the model, or its active adapter, which PEFT puts into a folder of its name unless that is "default"."""
    if not isinstance(model, PeftModel):
        model.save_pretrained(folder)
        return
    name = model.active_adapter
    model.save_pretrained(folder, selected_adapters=[name])
    if name != "default":
        for path in (folder / name).iterdir():
            path.rename(folder / path.name)
        (folder / name).rmdir()


def reload(plan: Plan, folder: Path) -> PreTrainedModel | PeftModel:
    """Load what was saved the way a user of it would."""
    if plan.spec.adaptation == "full":
        model = load_model(str(folder), plan.spec)
    else:
        base = load_model(plan.origin.root, plan.spec, plan.origin.revision)
        model = PeftModel.from_pretrained(base, str(folder))
    model.config.pad_token_id = plan.tokenizer.pad_token_id
    return model


def sort_adapter_config(folder: Path) -> None:
    """PEFT writes sets in an order that changes from process to process; equal adapters must have equal
    bytes.
    """
    path = folder / ADAPTER
    if path.exists():
        config = json.loads(path.read_text())
        for name in ("target_modules", "feedforward_modules"):
            if isinstance(config.get(name), list):
                config[name].sort()
        path.write_text(json.dumps(config, indent=2, sort_keys=True))


def probe(plan: Plan) -> dict[str, torch.Tensor]:
    """Return the first rows as right-padded input_ids and attention_mask, [rows, tokens]."""
    names = [name for name in SEQUENCES if name in plan.train.rows[0]]
    sequences = [
        row[name]["ids"] for row in plan.train.rows[: min(4, plan.spec.batch_size)] for name in names
    ]
    width = max(len(sequence) for sequence in sequences)
    pad = plan.tokenizer.pad_token_id or 0
    padded = [sequence + [pad] * (width - len(sequence)) for sequence in sequences]
    mask = [[1] * len(sequence) + [0] * (width - len(sequence)) for sequence in sequences]
    return {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask)}


@torch.no_grad()  # type: ignore[untyped-decorator]
def logits(model: PreTrainedModel | PeftModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return float32 logits on the CPU, dropout off: [real tokens, vocabulary], or [rows, 1] of a reward model."""
    device = model.device
    model.eval()
    cast = torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()
    with cast:
        out = model(**{name: tensor.to(device) for name, tensor in batch.items()}, use_cache=False).logits
    if out.dim() == 2:
        return out.float().cpu()
    mask = batch["attention_mask"].to(device).bool()
    out = out[:, -mask.shape[1] :]  # prompt tuning puts the logits of its virtual tokens before
    return out[mask].float().cpu()


@torch.no_grad()  # type: ignore[untyped-decorator]
def show_samples(plan: Plan, model: PreTrainedModel | PeftModel, step: int) -> None:
    """Report greedy completions of the first different prompts, held-out ones if there are any."""
    if not plan.prompts:
        return
    training = model.training
    model.eval()
    texts = [text for group in groups(plan) for text in answers(plan, model, group)]
    model.train(training)
    prompts = [prompt[-1]["content"] for prompt in plan.prompts]
    samples = [{"prompt": prompt, "completion": text} for prompt, text in zip(prompts, texts, strict=True)]
    plan.run.event("sample", step, samples=samples)


def groups(plan: Plan) -> list[list[list[dict[str, Any]]]]:
    """Return the prompts of the samples as they are answered together: at most as many as rows are learned from.

    Under prompt learning one by one: PEFT puts its vectors before the padding, and drops position ids.
    """
    size = 1 if plan.spec.adaptation in ("prompt", "prefix") else plan.spec.batch_size
    return [plan.prompts[at : at + size] for at in range(0, len(plan.prompts), size)]


def answers(plan: Plan, model: PreTrainedModel | PeftModel, prompts: list[list[dict[str, Any]]]) -> list[str]:
    """Return greedy answers to prompts, which are padded on the left."""
    given = [plan.encoder.render(prompt, add_generation_prompt=True) for prompt in prompts]
    width, pad = max(len(ids) for ids in given), plan.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(one)) + one for one in given], device=model.device)
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in given], device=model.device)
    out = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=SAMPLE_TOKENS, do_sample=False, pad_token_id=pad
    )
    return [plan.tokenizer.decode(one[width:], skip_special_tokens=True).strip() for one in out]


def sample_prompts(rows: list[dict[str, Any]], count: int) -> list[list[dict[str, Any]]]:
    """Return the first different prompts, each a list of messages; none of plain text."""
    seen: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if len(seen) == count:
            break
        if "prompt" in row:
            seen.setdefault(json.dumps(row["prompt"]), row["prompt"])
    return list(seen.values())
