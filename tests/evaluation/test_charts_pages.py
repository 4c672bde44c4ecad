"""Leo takes every chart with him: as a picture or as numbers, from whichever page it stands on."""

import re
from typing import Any

import pytest
from django.urls import reverse

from evaluation.engines import ENGINES
from evaluation.engines.fake import FakeEngine
from evaluation.studies.looking import take_look
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import better_than, checkpoint, finished, passing, suite_of
from tests.evaluation.judged import a_judge
from tests.evaluation.studying import answering, begun, judge
from tests.evaluation.test_errors_pages import analysed, read_some
from tests.evaluation.test_judges_pages import checked

FILE = re.compile(r'<a href="(\?[^"]*file=(svg|png|csv))" download>')
BEGINS = {"svg": b"<svg", "png": b"\x89PNG", "csv": b""}
FIRST = passing(0.5)


def of_run(project: Project, ada: User) -> list[str]:
    targets = {"champion": FIRST, "tuned": better_than(FIRST, 0.4)}
    world.fill(project, 2)
    world.judge_all(project, world.person("ben"))
    known = {"tuned": checkpoint(project, "tuned", rows=500)}
    run = finished(project, targets, cases=80, checkpoints=known, tags=lambda n: ["even" if n % 2 else "odd"])
    sides = f"s={run.pk}.0&s={run.pk}.1"
    analysis = analysed(run)
    read_some(analysis, ada, *[["wrong_citation"], ["incomplete"]] * 12)
    return [
        at(project, "dashboard"),
        at(project, "evaluation", run.pk),
        at(project, "compare") + f"?{sides}&metric=exact",
        at(project, "leaderboard"),
        at(project, "analysis", analysis.pk),
    ]


def of_ratings(project: Project, ada: User) -> list[str]:
    version = suite_of(project, 60)
    values = {"champion": lambda n, m: None, "x": passing(0.6, 3)}
    finished(project, values, version=version, metrics=["pairwise"])
    return [at(project, "leaderboard") + "?view=bt&ties=davidson"]


def of_card(project: Project, ada: User) -> list[str]:
    return [at(project, "agreement_card", checked(a_judge(project)).pk)]


def of_study(project: Project, ada: User) -> list[str]:
    study = begun(project)
    judge(study, "ben", "win", most=25)
    take_look(study=study, person=None)
    return [at(project, "study", study.pk)]


def at(project: Project, name: str, *numbers: Any) -> str:
    return reverse(f"evaluation:{name}", args=[project.slug, *numbers])


@pytest.mark.parametrize(("pages", "charts"), [(of_run, 10), (of_ratings, 2), (of_card, 1), (of_study, 2)])
def test_every_chart_is_given_as_svg_png_and_csv(
    project: Project, ada: User, monkeypatch: pytest.MonkeyPatch, pages: Any, charts: int
) -> None:
    monkeypatch.setitem(ENGINES, "fake", FakeEngine)
    if pages is of_study:
        answering(monkeypatch)
    client, found = world.sign_in(ada), 0
    for address in pages(project, ada):
        page = client.get(address)
        assert page.status_code == 200
        files = FILE.findall(page.text)
        assert page.text.count('class="chart"') == len(files) / 3, address
        found += len(files)
        for link, format in files:
            file = client.get(address.partition("?")[0] + link.replace("&amp;", "&"))
            assert file.status_code == 200
            assert file.content.startswith(BEGINS[format])
            assert file.headers["Content-Disposition"].endswith(f'.{format}"')
        for nothing in ("nothing&file=svg", "primary&file=exe"):
            assert client.get(f"{address}{'&' if '?' in address else '?'}chart={nothing}").status_code == 404
    assert found == 3 * charts


def test_charts_lead_to_the_cases_behind_them(project: Project, ada: User) -> None:
    client = world.sign_in(ada)
    links = {
        "compare": "slice=odd&amp;show=different#cases-title",
        "leaderboard": "cases/?show=different",
        "analysis": "categories/wrong_citation/",
        "dashboard": "cases/?show=different",
    }
    pages = {
        address.split("/")[3] or "dashboard": client.get(address).text for address in of_run(project, ada)
    }
    pages["analysis"] = pages.pop("errors")
    for name, link in links.items():
        table = pages[name].split("Show as a table")[1].split("</table>")[0]
        assert link in table, name
