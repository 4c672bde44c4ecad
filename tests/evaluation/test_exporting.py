"""Emma takes a result home: every mark as CSV, the first screen as Markdown and as a PDF."""

import csv
import io
from typing import Any

import pytest
from django.urls import reverse

from evaluation.exporting import markdown_of
from evaluation.models import EvalRun, Split
from evaluation.verdicts import screen
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import better_than, finished, passing


@pytest.fixture
def run(project: Project) -> EvalRun:
    first = passing(0.5)
    some = lambda n, m: None if n == 3 else better_than(first, 0.6)(n, m)  # noqa: E731
    return finished(project, {"champion": first, "tuned": some}, cases=60, metrics=["exact", "perplexity"])


def get(who: User, run: EvalRun, name: str, *args: str, query: str = "") -> Any:
    return world.sign_in(who).get(
        reverse(f"evaluation:{name}", args=[run.project.slug, run.pk, *args]) + query
    )


def rows(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_every_answer_has_its_line_with_values_and_states(run: EvalRun, emma: User) -> None:
    found = rows(get(emma, run, "result_csv"))
    assert len(found) == 120
    assert [row["target"] for row in found[:2]] == ["champion", "tuned"]
    missing = [row for row in found if row["exact state"] == "error"]
    assert [(row["target"], row["exact"]) for row in missing] == [("tuned", "")]
    assert "prompt" not in found[0]


def test_texts_come_only_where_they_are_asked_for(run: EvalRun, leo: User) -> None:
    first = rows(get(leo, run, "result_csv", query="?texts=1"))[0]
    assert first["prompt"] == "How do I return order 0?"
    assert first["answer"] == "champion says: open order 0, then return it."


def test_texts_of_sealed_cases_are_for_owners(project: Project, leo: User, ada: User) -> None:
    run = finished(project, {"a": passing(0.5), "b": passing(0.6)}, split=Split.SEALED, name="Sealed")
    assert get(leo, run, "result_csv", query="?texts=1").status_code == 403
    assert get(leo, run, "result_csv").status_code == 200
    assert get(ada, run, "result_csv", query="?texts=1").status_code == 200


def test_a_formula_in_an_answer_stays_a_text(run: EvalRun, emma: User) -> None:
    output = run.results.filter(output__isnull=False).earliest("pk").output
    output.text = "=HYPERLINK(1)"
    output.save()
    assert rows(get(emma, run, "result_csv", query="?texts=1"))[0]["answer"] == "'=HYPERLINK(1)"


def test_the_markdown_stands_by_itself(run: EvalRun) -> None:
    text = markdown_of(screen(run, {}))
    assert text.startswith("# Better: Support, weekly\n\ntuned is better than champion in exact")
    assert "| perplexity |" in text
    assert "| Suite | Support v1, open cases, hash" in text
    assert "## Got better" in text


def test_leo_reads_the_verdict_as_a_pdf(run: EvalRun, leo: User) -> None:
    response = get(leo, run, "verdict_file", "pdf")
    assert response.content.startswith(b"%PDF")
    assert get(leo, run, "verdict_file", "md").content.startswith(b"# Better")
    assert get(leo, run, "verdict_file", "docx").status_code == 404


@pytest.mark.parametrize("name", ["result_csv", "verdict_file"])
def test_ben_and_mallory_get_no_file(run: EvalRun, ben: User, mallory: User, name: str) -> None:
    args = ["pdf"] if name == "verdict_file" else []
    assert get(ben, run, name, *args).status_code == 403
    assert get(mallory, run, name, *args).status_code == 404
