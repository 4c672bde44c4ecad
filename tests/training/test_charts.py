"""Curves of runs: thinned without losing what stands out, saying what was done to them."""

import json
import math
from typing import Any

import pytest

from training.charts import FIGURES, comparison_charts, run_charts
from training.curves import COLORS, DASHES, SMOOTHED_FROM, TABLE_ROWS
from training.series import MOST, Points, Series, smoothed


def measured(count: int, *, every: int = 1, **more: Any) -> Points:
    points = Points()
    for n in range(1, count + 1):
        points.add("log", n * every, {"loss": 3 / n, **more})
    return points


def of_run(points: Points, method: str = "sft") -> dict[str, Any]:
    charts = run_charts(points, method=method, total_steps=None)
    return {chart["id"]: chart for group in charts.values() for chart in group}


def test_a_hundred_thousand_points_become_a_few_groups_that_keep_the_extremes() -> None:
    series = Series()
    for step in range(100_000):
        series.add(step, 50.0 if step == 77_777 else -50.0 if step == 12_345 else math.sin(step))
    groups = list(series)
    assert MOST / 2 <= len(groups) <= MOST
    assert (max(g.high for g in groups), min(g.low for g in groups)) == (50.0, -50.0)
    assert sum(g.n for g in groups) == series.n == 100_000
    assert [g.step for g in groups] == sorted(g.step for g in groups)
    assert groups[-1].step == 99_999
    assert sum(g.total for g in groups) == pytest.approx(sum(math.sin(n) for n in range(100_000)), abs=2)


def test_points_that_are_far_apart_stay_as_they_are() -> None:
    series = Series()
    for step in range(0, 100_000, 1000):
        series.add(step, 1.0)
    assert not series.is_thinned
    assert len(list(series)) == 100


def test_the_size_of_a_chart_does_not_grow_with_the_run() -> None:
    small, large = (len(json.dumps(of_run(measured(count))["loss"])) for count in (2 * MOST, 200 * MOST))
    assert large < 2 * small


def test_smoothing_is_the_exponential_mean_that_the_words_name() -> None:
    values = [1.0, 3.0, 2.0]
    weight = 2 / 11
    second = 1 + weight * 2
    assert smoothed(values) == pytest.approx([1.0, second, second + weight * (2 - second)])
    assert "exponential mean over 10 points" in of_run(measured(SMOOTHED_FROM))["loss"]["n_words"]
    assert "exponential" not in of_run(measured(SMOOTHED_FROM - 1))["loss"]["n_words"]


def test_the_words_beside_a_chart_say_how_many_points_and_how_they_were_grouped() -> None:
    assert of_run(measured(5))["loss"]["n_words"] == "5 training points"
    words = of_run(measured(300))["loss"]["n_words"]
    assert "300 training points" in words
    assert "groups of 2 steps: mean, and a band from least to greatest" in words


def test_a_chart_is_there_only_where_its_series_is() -> None:
    assert set(of_run(measured(3))) == {"loss"}
    assert set(of_run(measured(3, grad_norm=1.0, memory_bytes=2**30))) == {"loss", "grad_norm", "memory"}
    assert of_run(measured(1)) == {}
    assert of_run(Points()) == {}


@pytest.mark.parametrize(("method", "margin"), [("dpo", "rewards/margins"), ("reward", "margin")])
def test_margin_and_accuracy_go_by_the_names_of_either_trainer(method: str, margin: str) -> None:
    accuracy = {"rewards/margins": "rewards/accuracies", "margin": "accuracy"}[margin]
    charts = of_run(measured(3, **{margin: 0.5, accuracy: 0.75}), method)
    assert charts["margin"]["table"]["rows"][0] == ["1", "0.5"]
    assert charts["accuracy"]["table"]["rows"][0] == ["1", "0.75"]


def test_held_out_loss_is_a_line_of_its_own_with_another_dash_and_its_name() -> None:
    points = measured(4)
    points.add("eval", 2, {"loss": 2.5})
    points.add("eval", 4, {"loss": 2.0})
    chart = of_run(points)["loss"]
    rows = chart["spec"]["data"]["values"]
    assert {row["s"] for row in rows} == {"training", "held out"}
    assert sorted(row["name"] for row in rows if "name" in row) == ["held out", "training"]
    assert chart["table"]["columns"] == ["Step", "Training", "Held out"]
    assert chart["table"]["rows"][1] == ["2", "1.5", "2.5"]
    dash = chart["spec"]["layer"][2]["encoding"]["strokeDash"]["scale"]
    assert dash["range"][0] != dash["range"][1]


def test_new_points_change_the_rows_and_nothing_else_of_a_drawing() -> None:
    def shape(points: Points) -> dict[str, Any]:
        spec = dict(of_run(points)["loss"]["spec"])
        return {**spec, "data": None}

    later = measured(900)
    later.add("eval", 900, {"loss": 1.0})
    assert shape(measured(5)) == shape(later)


def test_memory_is_in_gib_and_the_table_has_a_hundred_rows_at_most() -> None:
    chart = of_run(measured(1000, memory_bytes=3 * 2**30))["memory"]
    assert chart["spec"]["data"]["values"][0]["y"] == 3.0
    assert len(chart["table"]["rows"]) <= TABLE_ROWS
    assert chart["table"]["rows"][-1][0] == "1,000"


def test_runs_are_laid_over_each_other_by_step_or_by_share() -> None:
    runs = [("A", measured(10, grad_norm=1.0)), ("B", measured(10, every=10))]
    by_step = comparison_charts(runs, by_share=False)
    by_share = comparison_charts(runs, by_share=True)
    assert [chart["id"] for chart in by_step] == ["loss-training"], "gradient norm is not of both"
    last = [
        max(row["x"] for row in chart["spec"]["data"]["values"] if row["s"] == "B")
        for chart in (by_step[0], by_share[0])
    ]
    assert last == [100, 1.0]
    assert by_share[0]["table"]["columns"] == ["Share of the run", "A", "B"]


def test_eight_runs_have_eight_colours_and_eight_dashes() -> None:
    assert len(set(COLORS)) == len({tuple(dash) for dash in DASHES}) == 8


def test_every_figure_has_a_key_of_its_own() -> None:
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)
