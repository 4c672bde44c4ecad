"""Charts are pure functions: intervals before points, n in the title, the same numbers as a table and as files."""

import csv
import io
from typing import Any

import pytest

from evaluation.charts import Chart, Mark, causes_chart, curve_chart, dots_chart, forest_chart
from evaluation.charts_files import as_file, colours, still
from evaluation.charts_parts import BASELINE, BETTER, OPEN, SPOKEN, Line
from evaluation.scorers.base import Scale
from evaluation.sheets import Metric
from evaluation.verdicts_cases import share
from labeling.estimates import Estimate

EXACT = Metric("exact", "Exact", Scale.BINARY, True)
PERPLEXITY = Metric("perplexity", "Perplexity", Scale.PERPLEXITY, False)


def dots(**changes: Any) -> Chart:
    marks = [
        Mark("champion", Estimate(0.61, 0.57, 0.65, 412), BASELINE, "/failing"),
        Mark("=HYPERLINK(1)", Estimate(0.68, 0.64, 0.72, 400), SPOKEN, "/different"),
    ]
    found = dots_chart(marks, EXACT, title="Exact match", **changes)
    assert found is not None
    return found


def kinds(chart: Chart) -> list[str]:
    return [layer["mark"]["type"] for layer in chart.spec["layer"]]


def test_intervals_are_drawn_before_points_and_the_baseline_before_both() -> None:
    assert kinds(dots(lines=[Line(0.61, "champion")])) == ["rule", "text", "rule", "point", "text"]


def test_a_chart_says_its_n_and_its_table_leads_to_the_cases() -> None:
    chart = dots()
    assert chart.n_words == "n 400 to 412"
    assert chart.rows[0].cells == ("champion", "61.0 %", "57.0 %", "65.0 %", "412")
    assert [row.url for row in chart.rows] == ["/failing", "/different"]


def test_a_role_is_told_by_shape_and_colour() -> None:
    points = next(layer for layer in dots().spec["layer"] if layer["mark"]["type"] == "point")
    assert len(set(points["encoding"]["shape"]["scale"]["range"])) > 1
    assert len(set(points["encoding"]["color"]["scale"]["range"])) == 3


@pytest.mark.parametrize(
    "chart",
    [
        dots_chart([], EXACT, title="none"),
        forest_chart([], EXACT, title="none"),
        causes_chart([], title="none", of="cases"),
        curve_chart([Mark("one", Estimate(0.5, 0.4, 0.6, 9), at=100)], EXACT, title="none"),
    ],
)
def test_without_numbers_there_is_no_chart(chart: Chart | None) -> None:
    assert chart is None


def test_a_forest_has_its_line_of_no_difference_at_zero_and_at_one_for_a_ratio() -> None:
    marks = [
        Mark("refunds", Estimate(0.9, 0.8, 1.1, 40), OPEN),
        Mark("billing", Estimate(0.7, 0.6, 0.8, 40), BETTER),
    ]
    for metric, even in ((EXACT, 0.0), (PERPLEXITY, 1.0)):
        chart = forest_chart(marks, metric, title="By slice")
        assert chart is not None
        assert chart.spec["layer"][0]["encoding"]["x"]["datum"] == even


def test_a_forest_draws_the_surest_slices_and_lists_all() -> None:
    marks = [Mark(f"slice {n}", Estimate(0.1, -0.1, 0.2, 40), OPEN) for n in range(30)]
    chart = forest_chart(marks, EXACT, title="By slice")
    assert chart is not None
    assert (len(chart.values), len(chart.rows)) == (12, 30)


def test_causes_have_wilsons_interval_and_the_share_that_chance_would_give() -> None:
    chart = causes_chart(
        [Mark("german", share(30, 40), at=30, expected=0.5)], title="Failures", of="failing cases"
    )
    assert chart is not None
    assert chart.rows[0].cells == ("german", "30", "75.0 %", "59.8 %", "85.8 %", "50.0 %")


def test_a_curve_goes_through_the_newest_checkpoint_of_each_amount() -> None:
    marks = [Mark(f"run {n}", Estimate(0.5, 0.4, 0.6, 40), at=at) for n, at in enumerate([0, 500, 500])]
    chart = curve_chart(marks, EXACT, title="By data")
    assert chart is not None
    assert [row["line"] for row in chart.spec["data"]["values"]] == [True, False, True]


def test_a_csv_has_the_numbers_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(as_file(dots(), "csv").decode())))
    assert rows[0] == {"target": "champion", "value": "0.61", "low": "0.57", "high": "0.65", "n": "412"}
    assert rows[1]["target"] == "'=HYPERLINK(1)"


def test_a_picture_is_drawn_with_the_colours_of_the_light_page_and_without_links() -> None:
    spec = still(dots(lines=[Line(0.61, "champion")]))
    assert "var(" not in str(spec)
    assert colours()["accent"] in str(spec)
    assert not any("href" in layer["encoding"] for layer in spec["layer"])


def test_svg_and_png_come_from_the_same_drawing() -> None:
    svg, png = as_file(dots(), "svg"), as_file(dots(), "png")
    assert svg.startswith(b"<svg")
    assert b"Exact match" in svg
    assert b"n 400 to 412" in svg
    assert png.startswith(b"\x89PNG")
