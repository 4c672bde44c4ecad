"""The record of a decision stands by itself, whatever names and reasons hold."""

import pytest

from evaluation.deciding import decide
from evaluation.findings import gate_of
from evaluation.records import plain
from labeling.models import Project, User
from labeling.rendering import render
from tests.evaluation.finished import suite_of
from tests.evaluation.gating import EVEN, UP, pair, promoted

pytestmark = pytest.mark.django_db


def record(project: Project, person: User | None, **options: str) -> str:
    promoted(project, "champion")
    run, target = pair(project, EVEN, UP, metrics=("exact", "perplexity"))
    return decide(run=run, target=target, promote=True, person=person, **options).record


def test_it_says_who_decided_what_against_what_on_which_numbers(project: Project, emma: User) -> None:
    text = record(project, emma, reason="Better on refunds")
    for words in (
        "# Decision: promoted candidate",
        "candidate is better than champion in exact.",
        "UTC by emma |",
        "| Reason | Better on refunds |",
        "| In production before | champion |",
        "| Better in exact | holds | +25.0 points, at least",
        "+25.0 points [+",
        "| perplexity |",
        "n 200",
        "Gate: alpha 0.05",
    ):
        assert words in text, words


def test_a_decision_of_the_shell_names_no_person(project: Project) -> None:
    assert "by the operator of the machine" in record(project, None)


def test_every_row_has_the_columns_of_its_table(project: Project, emma: User) -> None:
    text = record(project, emma, reason="a | b || c \\| d \\")
    for table in [block for block in text.split("\n\n") if block.startswith("|")]:
        widths = {row.count(" | ") for row in table.splitlines()}
        assert len(widths) == 1, table


@pytest.mark.parametrize(
    "text",
    ["<script>x</script>", "[a](javascript:x)", "![a](https://e.example/x.png)", "`a` *b* **c**", "a\n\n# b"],
)
def test_names_and_reasons_stay_plain_text(project: Project, emma: User, text: str) -> None:
    shown = render(record(project, emma, reason=text))
    assert "<script" not in shown
    assert "<img" not in shown
    assert 'javascript:x"' not in shown
    assert "<strong>c" not in shown
    assert shown.count("Decision: promoted") == 1
    assert shown.count("<h3") == 1


def test_plain_text_of_names_with_underscores_is_left_alone() -> None:
    assert plain("sft_v2_x [0.1, 0.2]") == "sft_v2_x [0.1, 0.2]"


def test_a_gate_that_nobody_set_has_the_defaults(project: Project) -> None:
    gate = gate_of(suite_of(project, 5).suite)
    assert (gate.pk, gate.alpha, gate.guardrails) == (None, 0.05, [])
