"""What a run would need, without any process: parameters, memory by term, whether it fits, what is known to hurt."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from labeling.models import DatasetVersion
from training.advice import warnings
from training.counting import total_parameters, trainable_parameters
from training.gpus import CardFit, card_table
from training.models import Checkpoint, Device, TrainingRun
from training.shapes import ModelShape, shape_of
from training.sizing import Device as Kind
from training.sizing import longest_batch, memory
from training.specs import TrainSpec
from training.weights import WeightsDamaged

TERMS = {
    "weights": "Weights",
    "quantization": "Scales of 4-bit weights",
    "gradients": "Gradients",
    "optimizer": "Optimizer",
    "activations": "Activations",
    "logits": "Output head",
    "reference": "Reference and reward model",
    "overhead": "Libraries and allocator",
}


@dataclass(frozen=True)
class Needs:
    """What a run trains and holds; memory in bytes, on the device at hand."""

    parameters: int
    trainable: int
    terms: list[tuple[str, int]]
    in_turn: int
    total: int
    measurable: int
    checkpointing: bool
    devices: list[tuple[Device, bool]]
    cards: list[CardFit]
    warnings: list[str]

    @property
    def share(self) -> str:
        """Trainable over all parameters, in words with two figures."""
        return f"{self.trainable / self.parameters * 100:.2g}\u00a0%"


def needs(
    *, start: Checkpoint, spec: TrainSpec, version: DatasetVersion, report: dict[str, Any] | None = None
) -> Needs | None:
    """What a run from `start` on `version` would need; with the report of a check, by the lengths that its rows have.

    None where the shape of the model is not known here: it is on a hub, or its folder cannot be read.
    """
    shape = shape_from(start)
    if shape is None:
        return None
    lengths = report["lengths"] if report else {}
    longest = longest_batch(spec, lengths.get("longest"), lengths.get("mean"))
    devices = list(Device.objects.all())
    here = devices[0] if devices else None
    kind: Kind = "cuda" if here is not None and here.kind == Device.Kind.GPU else "cpu"
    estimate = memory(shape, spec, device=kind, longest=longest, available=here.memory if here else None)
    counted_rows = (version.splits.get("train") or {"rows": 0})["rows"]
    rows = report["counts"]["rows"] if report else counted_rows
    counted = report["tokens"] if report else {}
    trainable = trainable_parameters(shape, spec)
    return Needs(
        parameters=total_parameters(shape, spec),
        trainable=trainable,
        terms=[(TERMS[name], size) for name, size in estimate.terms.items() if size],
        in_turn=estimate.in_turn,
        total=estimate.total,
        measurable=estimate.measurable,
        checkpointing=estimate.checkpointing,
        devices=[(device, device.memory is None or estimate.total <= device.memory) for device in devices],
        cards=card_table(shape, spec, tokens_per_row=-(-longest // spec.batch_size)),
        warnings=warnings(
            spec,
            rows=rows,
            supervised_tokens=counted.get("learned"),
            tokens=counted.get("total"),
            parameters=shape.parameters,
            trainable=trainable,
        ),
    )


def shape_from(start: Checkpoint) -> ModelShape | None:
    """The shape of the model that a run from here trains; None where it cannot be told without a download."""
    root = Path(start.path if start.kind == Checkpoint.Kind.FULL else start.base.location)
    try:
        changed = (root / "config.json").stat().st_mtime_ns
    except OSError:
        return None
    return _shape(root, changed)


@lru_cache(maxsize=32)
def _shape(root: Path, changed: int) -> ModelShape | None:
    try:
        return shape_of(root)
    except WeightsDamaged:
        return None


def against_measured(run: TrainingRun, estimate: Needs | None) -> dict[str, Any] | None:
    """The estimate beside what the run's process measured, in bytes, and how far off; None without either."""
    measured = (run.result.get("memory") or {}).get("peak_bytes")
    if not measured or estimate is None:
        return None
    return {
        "estimate": estimate.measurable,
        "bytes": measured,
        "off": f"{(estimate.measurable / measured - 1) * 100:+.0f}\u00a0%",
    }
