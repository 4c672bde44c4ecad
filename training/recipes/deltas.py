"""Measure how far weights are from those they stand on: `python -m training.recipes.deltas RUN_DIR`.

RUN_DIR/spec.json: DeltasJob. Reads safetensors files one tensor at a time, so memory is that of the largest matrix and
no model is built. result.json: content hash, number of parameters, and for each changed tensor its change D = W' - W:

- norm ||D||_F, weight ||W||_F, relative ||D||_F / ||W||_F
- effective_rank exp(H(s / sum s)) over D's singular values s (Roy and Vetterli 2007)
- stable_rank sum s^2 / s_1^2
- k90, how many singular values hold 90 % of sum s^2; use = k90 / r for an adapter of rank r

For LoRA D = scale * B A is never formed: with B = Q_b R_b and A^T = Q_a R_a its singular values are those of the r x r
matrix scale * R_b R_a^T. For DoRA the norms are those of the whole change and the ranks those of scale * B A.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from training.recipes import contract
from training.specs import Strict, parse

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER = "adapter_config.json"
PROMPTS = {"PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "CPT"}
PREFIX = "base_model.model."
LAYER = re.compile(r"\.(?:layers|h|blocks|block)\.(\d+)\.")
EXACT = 1024  # smaller side of a matrix up to which all its singular values are computed
SKETCH = 64  # leading singular values of a larger one
ENERGY = 0.9

Row = dict[str, Any]


class DeltasJob(Strict):
    """The whole spec.json of a measurement."""

    method: Literal["deltas"] = Field(default="deltas", description="The recipe that this file is for.")
    folder: str = Field(min_length=1, description="Directory of the weights: an adapter or a model.")
    against: str | None = Field(
        default=None,
        description="Directory (or hub name) of the model they stand on; null: hash and count only.",
    )
    revision: str | None = Field(default=None, description="Revision of a model on a hub, or null.")


class Tensors:
    """The tensors of a folder of safetensors files, read by name, one at a time."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise contract.RecipeFailed(
                f"{folder} holds no safetensors file; give a folder of saved weights, or save them again"
            )
        self._files: dict[str, Any] = {}
        for path in files:
            try:
                file = safe_open(path, framework="pt")
            except Exception as error:
                raise contract.RecipeFailed(
                    f"{path.name} cannot be read ({error}); the folder is damaged, copy it again"
                ) from error
            self._files |= dict.fromkeys(file.keys(), file)

    def names(self) -> list[str]:
        return sorted(self._files)

    def shape(self, name: str) -> list[int]:
        return list(self._files[name].get_slice(name).get_shape())

    def get(self, name: str) -> Tensor | None:
        """The tensor in float32; None where the folder has none of that name."""
        return self._files[name].get_tensor(name).float() if name in self._files else None

    def parameters(self) -> int:
        return sum(math.prod(self.shape(name)) for name in self._files)


def work(run: contract.Run) -> None:
    """Hash, count, measure, and write result.json."""
    job, began = parse(DeltasJob, run.spec), time.monotonic()
    folder = Path(job.folder)
    config = adapter_config(folder)
    if config is not None and config["peft_type"] in PROMPTS:
        raise contract.RecipeFailed(
            "this adapter is vectors before the prompt and changes no weight; there is nothing to measure"
        )
    tensors = Tensors(folder)
    rows: list[Row] = []
    if job.against is not None:
        base = Tensors(root(job.against, job.revision))
        changes = full_changes(tensors, base) if config is None else adapter_changes(tensors, base, config)
        total = len(tensors.names())
        for done, row in changes:
            run.stop_if_asked()
            rows += [row] if row else []
            run.event("progress", done, done=done, total=total)
    run.stop_if_asked()
    digest = contract.content_hash(folder)
    run.finish(
        status="succeeded", content_hash=digest, parameters=tensors.parameters(), modules=rows, **overall(rows),
        adapter=None if config is None else config["peft_type"].lower(), against=job.against,
        seconds=round(time.monotonic() - began, 1), environment=contract.environment(),
    )  # fmt: skip


def adapter_config(folder: Path) -> dict[str, Any] | None:
    """The config of an adapter; None for a folder of full weights."""
    path = folder / ADAPTER
    return json.loads(path.read_text()) if path.exists() else None


def root(location: str, revision: str | None) -> Path:
    """Where the weights are on this machine. Raises `RecipeFailed` when a hub's were not downloaded yet."""
    if Path(location).is_dir():
        return Path(location)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(location, revision=revision, local_files_only=True))
    except Exception as error:
        raise contract.RecipeFailed(
            f"{location} is not on this machine; start a run with it, which downloads it, then measure again"
        ) from error


def adapter_changes(
    adapter: Tensors, base: Tensors, config: dict[str, Any]
) -> Iterator[tuple[int, Row | None]]:
    """Yield (tensors read, a row or None) for LoRA, DoRA, IA3 and weights that were saved whole."""
    for done, name in enumerate(adapter.names(), 1):
        module, part = place(name)
        if part in ("lora_A", "lora_embedding_A"):
            a, b = adapter.get(name), adapter.get(name.replace("_A", "_B", 1))
            assert a is not None
            assert b is not None
            magnitude = adapter.get(name.replace("lora_A.weight", "lora_magnitude_vector"))
            yield done, lora_row(module, a, b, scale(module, len(a), config), base, magnitude)
        elif part == "ia3_l":
            weight, factors = base.get(f"{module}.weight"), adapter.get(name)
            assert factors is not None
            yield done, None if weight is None else row(module, weight * (factors - 1), weight)
        elif part == "whole":
            now, before = adapter.get(name), base.get(module)
            assert now is not None
            yield done, row(module, now if before is None else now - before, before)
        else:
            yield done, None


def place(name: str) -> tuple[str, str]:
    """Return (module, part) of an adapter's tensor: lora_A, lora_B, lora_magnitude_vector, ia3_l, or whole."""
    bare = name.removeprefix(PREFIX)
    for part in (
        "lora_embedding_A",
        "lora_embedding_B",
        "lora_A",
        "lora_B",
        "lora_magnitude_vector",
        "ia3_l",
    ):
        module, found, _ = bare.partition(f".{part}")
        if found:
            return module, part
    return bare, "whole"


def scale(module: str, rank: int, config: dict[str, Any]) -> float:
    """alpha / r, or alpha / sqrt(r) for rsLoRA, with the exceptions that the config makes for some modules."""
    patterns = config.get("alpha_pattern") or {}
    own = [value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)]
    alpha = float(own[0] if own else config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def lora_row(
    module: str, a: Tensor, b: Tensor, factor: float, base: Tensors, magnitude: Tensor | None
) -> Row:
    """The row of D = factor * B A; `a` is [r, in], `b` is [out, r], `magnitude` is DoRA's [out] or None."""
    weight = base.get(f"{module}.weight")
    values, rank = low_rank(a, b, factor), len(a)
    norm = math.sqrt(sum(value**2 for value in values))
    if magnitude is not None and weight is not None:
        moved = weight + factor * (b @ a)
        lengths = moved.norm(dim=1, keepdim=True)
        norm = (magnitude.reshape(-1, 1) / lengths * moved - weight).norm().item()
    k90 = leading(values)
    return head(module, norm, weight) | {
        "rank": rank,
        "effective_rank": effective_rank(values),
        "stable_rank": stable_rank(values),
        "k90": k90,
        "use": None if k90 is None else k90 / rank,
    }


def low_rank(a: Tensor, b: Tensor, factor: float) -> list[float]:
    """Singular values of factor * b @ a, largest first, from an r x r matrix. Shapes: a [r, in], b [out, r]."""
    import torch

    _, of_b = torch.linalg.qr(b.double(), mode="r")
    _, of_a = torch.linalg.qr(a.double().T, mode="r")
    return [abs(factor) * value for value in torch.linalg.svdvals(of_b @ of_a.T).tolist()]


def full_changes(after: Tensors, before: Tensors) -> Iterator[tuple[int, Row | None]]:
    """Yield (tensors read, the row of a tensor that both have)."""
    for done, name in enumerate(after.names(), 1):
        now, was = after.get(name), before.get(name)
        assert now is not None
        same = was is not None and was.shape == now.shape
        yield done, row(name, now - was, was) if same and was is not None else None


def row(name: str, change: Tensor, weight: Tensor | None) -> Row:
    """The row of a change that is at hand as a tensor of any shape; only matrices have ranks."""
    values, whole = spectrum(change) if change.dim() == 2 else ([], False)
    found = head(name.removesuffix(".weight"), change.norm().item(), weight)
    energy = change.double().square().sum().item()
    return found | {
        "rank": None,
        "effective_rank": effective_rank(values) if whole else None,
        "stable_rank": stable_rank(values, energy),
        "k90": leading(values, energy),
        "use": None,
    }


def head(module: str, norm: float, weight: Tensor | None) -> Row:
    """What every row has."""
    found, size = LAYER.search(f".{module}."), None if weight is None else weight.norm().item()
    return {
        "module": module,
        "layer": int(found[1]) if found else None,
        "part": module.rpartition(".")[2],
        "norm": norm,
        "weight": size,
        "relative": norm / size if size else None,
    }


def spectrum(change: Tensor) -> tuple[list[float], bool]:
    """Singular values of a matrix, largest first, and whether these are all of them.

    Above EXACT the leading SKETCH ones by randomised subspace iteration (Halko et al. 0909.4061), seeded.
    """
    import torch

    if min(change.shape) <= EXACT:
        return torch.linalg.svdvals(change.float()).tolist(), True
    draw = torch.randn(change.shape[1], SKETCH + 8, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(change @ draw).Q
    for _ in range(4):
        basis = torch.linalg.qr(change @ torch.linalg.qr(change.T @ basis).Q).Q
    return torch.linalg.svdvals(basis.T @ change).tolist()[:SKETCH], False


def effective_rank(values: list[float]) -> float | None:
    """exp of the entropy of the singular values as shares of their sum; None where all are zero."""
    total = sum(values)
    if total <= 0:
        return None
    shares = [value / total for value in values if value > 0]
    return math.exp(-sum(share * math.log(share) for share in shares))


def stable_rank(values: list[float], energy: float | None = None) -> float | None:
    """Squared Frobenius norm (`energy`, else that of the values) over the squared largest singular value."""
    if not values or values[0] <= 0:
        return None
    return (sum(value**2 for value in values) if energy is None else energy) / values[0] ** 2


def leading(values: list[float], energy: float | None = None) -> int | None:
    """How many of the largest singular values hold ENERGY of the energy; None where those given do not reach it."""
    wanted = ENERGY * (sum(value**2 for value in values) if energy is None else energy)
    held = 0.0
    for count, value in enumerate(values, 1):
        held += value**2
        if wanted > 0 and held >= wanted:
            return count
    return None


def overall(rows: list[Row]) -> Row:
    """The change as a whole: norms over all rows, and the mean use of an adapter's rank."""
    known = [each for each in rows if each["weight"]]
    size = math.sqrt(sum(each["weight"] ** 2 for each in known))
    used = [each["use"] for each in rows if each["use"] is not None]
    return {
        "norm": math.sqrt(sum(each["norm"] ** 2 for each in rows)),
        "relative": math.sqrt(sum(each["norm"] ** 2 for each in known)) / size if size else None,
        "use": sum(used) / len(used) if used else None,
    }


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "deltas", work))
