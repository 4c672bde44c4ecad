"""What a finished run measured of itself: agreement with people, what it forgot, the memory that it took."""

import json
from contextlib import suppress
from typing import Any

from labeling.charts import SCHEMA
from training.models import TrainingRun
from training.needs import against_measured, needs
from training.specs import SpecRefused, parse_spec


def outcomes(run: TrainingRun) -> dict[str, Any]:
    """The parts of the page of a run that come from its result; empty while there is none."""
    if not run.result:
        return {}
    held = run.result.get("held_out")
    return {
        "held_out": held,
        "calibration": calibration_chart(held) if held and held.get("bins") else None,
        "retention": run.result.get("retention"),
        "memory": _memory(run),
    }


def _memory(run: TrainingRun) -> dict[str, Any] | None:
    """Estimate and measured peak of a run that went through in one piece; None where either is not known."""
    report = None
    with suppress(OSError, ValueError):
        report = json.loads((run.path / "preflight.json").read_text(encoding="utf-8"))
    try:
        spec = parse_spec(run.method, run.spec)
    except SpecRefused:  # of an earlier release
        return None
    estimate = needs(start=run.start, spec=spec, version=run.dataset_version, report=report)
    return against_measured(run, estimate)


def calibration_chart(held: dict[str, Any]) -> dict[str, Any]:
    """How often a reward model is right where it is so sure; on the dashed line it is as sure as it is right."""
    rows = [
        {"confidence": part["confidence"], "accuracy": part["accuracy"], "pairs": part["n"]}
        for part in held["bins"]
    ]
    share = {"type": "quantitative", "scale": {"domain": [0.4, 1]}, "axis": {"format": "%"}}
    spec = {
        "$schema": SCHEMA,
        "title": f"Agreement with people by confidence, {held['pairs']:,} held-out pairs",
        "width": "container",
        "height": 200,
        "data": {"name": "rows", "values": rows},
        "layer": [
            {
                "data": {"values": [{"confidence": 0.5, "accuracy": 0.5}, {"confidence": 1, "accuracy": 1}]},
                "mark": {"type": "line", "strokeDash": [4, 3], "opacity": 0.6},
                "encoding": {
                    "x": {"field": "confidence", **share},
                    "y": {"field": "accuracy", **share},
                },
            },
            {
                "mark": {"type": "line", "point": {"filled": True, "size": 50}, "tooltip": True},
                "encoding": {
                    "x": {"field": "confidence", "title": "confidence of the model", **share},
                    "y": {"field": "accuracy", "title": "share that people agree on", **share},
                },
            },
        ],
    }
    table = [[f"{row['confidence']:.0%}", f"{row['accuracy']:.0%}", f"{row['pairs']:,}"] for row in rows]
    return {"spec": spec, "table": {"columns": ["Confidence", "Agreement", "Pairs"], "rows": table}}
