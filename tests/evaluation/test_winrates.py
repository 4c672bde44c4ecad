"""Leo sees what a judge's win rate owes to the length of the answers."""

import random
from typing import Any

import pytest
from django.urls import reverse

from evaluation.models import CaseScore, EvalRun
from evaluation.winrates import judged_rates
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import always, finished


def judged(
    project: Project, *, cases: int = 400, likes: float = 0.45, longer: float = 0.7, least: int = 120
) -> EvalRun:
    """Equal models, of which the candidate writes the longer answer on this share of cases; the judge prefers the
    longer one by 0.5 + likes against 0.5 - likes."""
    run = finished(
        project, {"champion": lambda n, m: None, "wordy": always(0.5)}, cases=cases, metrics=["pairwise"]
    )
    rng = random.Random(3)
    scores = list(
        CaseScore.objects.filter(result__run=run, result__target__index=1, metric="pairwise").order_by("pk")
    )
    for score in scores:
        ahead = rng.random() < longer
        won = rng.random() < 0.5 + (likes if ahead else -likes)
        score.value = 0.9 if won else 0.1
        score.detail = detail(won, 200 + rng.randint(least, 150) * (1 if ahead else -1))
    CaseScore.objects.bulk_update(scores, ["value", "detail"], batch_size=100)
    run.facts["targets"]["1"]["win_rates"] = judged_rates(run, run.targets.get(index=1))
    run.save()
    return run


def detail(won: bool, length: int) -> dict[str, Any]:
    return {
        "verdict": "win" if won else "loss",
        "flipped": False,
        "lengths": {"answer": length, "baseline": 200},
        "longer": "answer" if length > 200 else "baseline",
    }


def page_of(run: EvalRun, who: User, name: str = "evaluation", *more: Any) -> Any:
    return world.sign_in(who).get(reverse(f"evaluation:{name}", args=[run.project.slug, run.pk, *more]))


def test_a_win_rate_that_is_only_length_is_even_at_equal_length(project: Project, leo: User) -> None:
    run = judged(project)
    page = page_of(run, leo)
    (rate,) = page.context["screen"].win_rates
    assert rate.raw.value > 0.6
    assert rate.controlled.low < 0.5 < rate.controlled.high
    assert rate.longer > 0.9 * rate.decided
    assert rate.flagged
    assert "Length explains more than 10 points" in page.text
    assert "## pairwise at equal length" in page_of(run, leo, "verdict_file", "md").text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"cases": 40}, "from 100 prompts on; there are 40"),
        ({"longer": 1.0, "least": 1}, "longer on more than 95"),
    ],
)
def test_where_length_cannot_be_told_apart_the_page_says_why(
    project: Project, leo: User, spoil: dict[str, Any], words: str
) -> None:
    page = page_of(judged(project, **spoil), leo)
    (rate,) = page.context["screen"].win_rates
    assert rate.controlled is None
    assert words in page.text


def test_the_api_gives_both_win_rates(project: Project, leo: User) -> None:
    run = judged(project)
    found = world.sign_in(leo).get(reverse("api-evaluation", args=[project.slug, run.pk])).json()["win_rates"]
    assert [(each["target"], each["metric"], each["flagged"]) for each in found] == [
        ("wordy", "pairwise", True)
    ]
    assert found[0]["controlled"]["n"] == 400


def test_without_a_verdict_in_words_nothing_is_said_of_length(project: Project, leo: User) -> None:
    run = finished(project, {"champion": lambda n, m: None, "x": always(0.5)}, metrics=["pairwise"])
    assert page_of(run, leo).context["screen"].win_rates == []
