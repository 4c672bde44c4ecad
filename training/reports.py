"""The report before a run, as a page shows it: verdict, findings, lengths, examples token by token, time."""

from typing import Any

from labeling.charts import SCHEMA
from training.gpus import TimeEstimate, time_estimate
from training.specs import ROLLOUTS

LEVELS = {"blocked": "danger", "warning": "warn", "repaired": "info", "ok": "good"}
ORDER = list(LEVELS)
SPREAD = 0.3  # of a few timed steps: the machine may be busier or idler later
ANSWERS = {
    "text": "Text",
    "completion": "Prompt and response",
    "chosen": "Prompt and chosen response",
    "rejected": "Prompt and rejected response",
    "query": "Prompt",
}


def report_context(
    report: dict[str, Any], *, spec: dict[str, Any], calibration: dict[str, Any] | None
) -> dict[str, Any]:
    """What the template takes of a report of training/recipes/preflight.py."""
    findings = sorted(report["findings"], key=lambda finding: ORDER.index(finding["level"]))
    return {
        "report": report,
        "findings": [
            finding | {"kind": LEVELS[finding["level"]], "words": _sentence(finding)} for finding in findings
        ],
        "counted": {level: sum(finding["level"] == level for finding in findings) for level in LEVELS},
        "lengths": length_chart(report["lengths"]),
        "examples": [
            {
                "answers": [answer | {"title": ANSWERS[answer["name"]]} for answer in example["answers"]],
                "label": example.get("label"),
                "margin": example.get("margin"),
            }
            for example in report["examples"]
        ],
        "is_reward": report["method"] == "reward",
        "is_prompts": report["method"] in ROLLOUTS,
        "time_words": time_words(calibration, epochs=spec["epochs"]) if calibration else "",
    }


def _sentence(finding: dict[str, str]) -> str:
    words = finding["words"]
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def time_words(calibration: dict[str, Any], *, epochs: float) -> str:
    """How long the steps of a run would take, as a range; empty where too few steps were timed."""
    if updates := calibration.get("updates"):  # of a policy that samples its answers
        time = time_estimate(calibration["seconds_per_update"], updates, spread=SPREAD)
        return _range(time)
    speed = calibration.get("seconds_per_token")
    if not speed:
        return ""
    return _range(time_estimate(speed, calibration["tokens"], epochs=epochs, spread=SPREAD))


def _range(time: TimeEstimate) -> str:
    low, high = _duration(time.low), _duration(time.high)
    return low if low == high else f"{low} to {high}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def length_chart(lengths: dict[str, Any]) -> dict[str, Any]:
    """Rows by their length in tokens, before any is left out or cut, with the limit as a line."""
    bins = lengths["bins"]
    total = sum(part["rows"] for part in bins)
    values = [{"from": part["from"], "to": part["to"] + 1, "rows": part["rows"]} for part in bins]
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "bar", "tooltip": True},
            "encoding": {
                "x": {"field": "from", "type": "quantitative", "title": "tokens", "bin": {"binned": True}},
                "x2": {"field": "to"},
                "y": {"field": "rows", "type": "quantitative", "title": "rows"},
            },
        }
    ]
    if lengths["longest"] > 0.5 * lengths["limit"]:
        limit = [{"limit": lengths["limit"], "words": f"limit {lengths['limit']}"}]
        layers += [
            {
                "data": {"values": limit},
                "mark": {"type": "rule", "strokeDash": [4, 3]},
                "encoding": {"x": {"field": "limit", "type": "quantitative"}},
            },
            {
                "data": {"values": limit},
                "mark": {"type": "text", "align": "right", "dx": -4, "y": 8},
                "encoding": {"x": {"field": "limit", "type": "quantitative"}, "text": {"field": "words"}},
            },
        ]
    spec = {
        "$schema": SCHEMA,
        "title": f"Length of {total:,} rows, in tokens",
        "width": "container",
        "height": 180,
        "data": {"name": "rows", "values": values},
        "layer": layers,
    }
    table = [[f"{part['from']:,} to {part['to']:,}", f"{part['rows']:,}"] for part in bins]
    return {"spec": spec, "table": {"columns": ["Tokens", "Rows"], "rows": table}}
