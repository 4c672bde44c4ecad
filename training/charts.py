"""Vega-Lite specs of this app's pages; pure functions of the data."""

from collections.abc import Sequence
from typing import Any

from labeling.charts import SCHEMA
from training.curves import Figure, Line, line_chart
from training.series import Points
from training.specs import ROLLOUTS


def _both(*names: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return (("training", "log", names), ("held out", "eval", names))


GIB = 1 / 2**30
LOSSES = {
    "sft": "nats a token",
    "reward": "-log probability of the preferred order",
    "dpo": "DPO loss",
    "kto": "KTO loss",
    "ppo": "PPO loss",
    "rloo": "REINFORCE loss",
    "best_of_n": "nats a token",
}
OF_REWARDS = ("reward", "win_rate", "kl")  # what is looked at first where answers are rewarded
RUNNING = (
    "learning_rate",
    "grad_norm",
    "speed",
    "sampler_gap",
    "memory",
)  # figures of how it runs, not of what it learns
FIGURES = (
    Figure("loss", "Loss", "loss", _both("loss")),
    Figure("margin", "Reward margin, chosen less rejected", "margin", _both("rewards/margins", "margin")),
    Figure(
        "accuracy",
        "Pairs whose chosen response has the higher reward",
        "share",
        _both("rewards/accuracies", "accuracy"),
        share=True,
    ),
    Figure(
        "logps",
        "Log-probability of whole responses",
        "nats a response",
        (("chosen", "log", ("logps/chosen",)), ("rejected", "log", ("logps/rejected",))),
    ),
    Figure("tokens_right", "Tokens predicted right", "share", _both("mean_token_accuracy"), share=True),
    Figure("entropy", "Entropy of the predictions", "nats a token", _both("entropy")),
    Figure("reward", "Mean reward of the sampled answers", "reward", (("", "log", ("reward",)),)),
    Figure(
        "win_rate",
        "Held-out prompts answered better than by the reference",
        "win rate",
        (("by the reward model", "eval", ("win_rate",)), ("by the second one", "eval", ("gold_win_rate",))),
        share=True,
    ),
    Figure("kl", "KL from the reference", "nats", _both("kl")),
    Figure("length", "Length of the sampled answers", "tokens", (("", "log", ("length",)),)),
    Figure(
        "no_end", "Answers that did not end by themselves", "share", (("", "log", ("no_end",)),), share=True
    ),
    Figure(
        "clipped", "Tokens whose ratio was clipped", "share", (("", "log", ("clip_fraction",)),), share=True
    ),
    Figure("ratio", "Probability ratio, new over old", "ratio", (("", "log", ("ratio",)),)),
    Figure(
        "explained", "Explained variance of the returns", "share", (("", "log", ("explained_variance",)),)
    ),
    Figure("value_loss", "Value loss", "loss", (("", "log", ("value_loss",)),)),
    Figure(
        "kl_weight", "Weight of the KL", "reward per nat", (("", "log", ("kl_coefficient",)),), smooth=False
    ),
    Figure(
        "learning_rate", "Learning rate", "learning rate", (("", "log", ("learning_rate",)),), smooth=False
    ),
    Figure("grad_norm", "Gradient norm before clipping", "norm", (("", "log", ("grad_norm",)),)),
    Figure("speed", "Tokens a second", "tokens a second", (("", "log", ("tokens_per_second",)),)),
    Figure(
        "sampler_gap",
        "How far vLLM's log-probabilities are from the policy's",
        "nats a token",
        (("", "log", ("sampler_gap",)),),
        smooth=False,
    ),
    Figure("memory", "Memory in use", "GiB", (("", "log", ("memory_bytes",)),), smooth=False, scale=GIB),
)


def run_charts(points: Points, *, method: str, total_steps: int | None) -> dict[str, list[dict[str, Any]]]:
    """The charts of one run, those of which there is a series with two points: what it learns, and how it runs."""
    charts: dict[str, list[dict[str, Any]]] = {"learning": [], "running": []}
    figures = sorted(FIGURES, key=lambda figure: method in ROLLOUTS and figure.key not in OF_REWARDS)
    for figure in figures:
        found = [(label, type, points.get(type, *names)) for label, type, names in figure.lines]
        lines = [
            Line(label, series, figure.smooth and type == "log")
            for label, type, series in found
            if series is not None
        ]
        if not any(line.series.n > 1 for line in lines):
            continue
        unit = LOSSES.get(method, figure.unit) if figure.key == "loss" else figure.unit
        labels = [label for label, _, _ in figure.lines]
        group = charts["running" if figure.key in RUNNING else "learning"]
        group.append(line_chart(figure, lines, labels=labels, unit=unit, axis="step", most=total_steps))
    return charts


def comparison_charts(runs: Sequence[tuple[str, Points]], *, by_share: bool) -> list[dict[str, Any]]:
    """One chart for each series that two runs or more have, with a line for each run."""
    charts = []
    for figure in FIGURES:
        for label, type, names in figure.lines:
            found = [(name, points, points.get(type, *names)) for name, points in runs]
            lines = [
                Line(name, series, figure.smooth and type == "log", _span(points) if by_share else 1.0)
                for name, points, series in found
                if series is not None
            ]
            if len(lines) < 2 or not any(line.series.n > 1 for line in lines):
                continue
            title = f"{figure.title}, {label}" if label else figure.title
            one = Figure(
                f"{figure.key}-{label.replace(' ', '-') or 'all'}",
                title,
                figure.unit,
                (),
                share=figure.share,
                scale=figure.scale,
            )
            axis = "share of the run" if by_share else "step"
            labels = [name for name, _ in runs]
            charts.append(
                line_chart(
                    one, lines, labels=labels, unit=figure.unit, axis=axis, most=1 if by_share else None
                )
            )
    return charts


def _span(points: Points) -> float:
    return float(max([1, *points.reached.values()]))


def choice_map(points: list[dict[str, Any]], *, chosen: int, rows: int) -> dict[str, Any] | None:
    """Rows as points of a plane, near where their texts are alike; the chosen ones filled. None with fewer than two."""
    if len(points) < 2:
        return None
    axis = {"type": "quantitative", "axis": None, "scale": {"zero": False}}
    layers = [
        {
            "transform": [{"filter": f"{'' if taken else '!'}datum.chosen"}],
            "mark": {
                "type": "point",
                "filled": taken,
                "size": 26 if taken else 18,
                "opacity": 1 if taken else 0.4,
            },
        }
        for taken in (False, True)
    ]
    spec = {
        "$schema": SCHEMA,
        "title": "Rows by how alike they are; the chosen ones are filled",
        "width": "container",
        "height": 320,
        "data": {"name": "rows", "values": points},
        "layer": layers,
        "encoding": {
            "x": {"field": "x", **axis},
            "y": {"field": "y", **axis},
            "tooltip": [{"field": "row", "title": "row"}, {"field": "chosen", "title": "chosen"}],
        },
    }
    table = [
        [p["row"], f"{p['x']:.3f}", f"{p['y']:.3f}", "yes" if p["chosen"] else "no"] for p in points[:200]
    ]
    shown = (
        f"{len(points):,} of {rows:,} rows, {sum(p['chosen'] for p in points):,} of {chosen:,} chosen ones"
    )
    columns = ["Row", "First component", "Second component", "Chosen"]
    return {"spec": spec, "n_words": shown, "table": {"columns": columns, "rows": table}}


def distance_chart(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """How far each chosen row is from those chosen before it: where the line is flat, more rows add little."""
    if len(rows) < 2:
        return None
    spec = {
        "$schema": SCHEMA,
        "title": "Distance of each chosen row to those chosen before it",
        "width": "container",
        "height": 320,
        "data": {"name": "rows", "values": rows},
        "mark": {"type": "line", "tooltip": True},
        "encoding": {
            "x": {"field": "pick", "type": "quantitative", "title": "chosen as number"},
            "y": {"field": "distance", "type": "quantitative", "title": "distance (1 - cosine)"},
        },
    }
    table = [[row["pick"], f"{row['distance']:.4f}"] for row in rows[:: max(1, len(rows) // 100)]]
    return {"spec": spec, "table": {"columns": ["Chosen as number", "Distance"], "rows": table}}
