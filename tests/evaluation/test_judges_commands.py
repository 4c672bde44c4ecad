"""Judges and generated answers from the shell."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from evaluation.models import Generation, Judge
from labeling.models import Item, Project
from tests import world
from tests.evaluation.judged import a_judge, by_quality, decided, judge_by
from tests.evaluation.planned import a_suite, counting
from tests.training.runs import root_checkpoint


def said(*command: str) -> dict[str, Any]:
    out = StringIO()
    call_command(*command, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_a_judge_is_held_against_people(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_by(monkeypatch, by_quality)
    version, data = a_judge(project), decided(project)
    found = said("check_judge", project.slug, version.judge.name, "--limit", "60", "--wait")
    assert found["trusted"] is True
    assert found["result"]["alpha"]["value"] == 1.0
    assert (
        said("check_judge", project.slug, version.judge.name, "--dataset", str(data).replace(" v", ":"))[
            "status"
        ]
        == "queued"
    )
    with pytest.raises(CommandError, match=r"There is no judge 'Nobody' here\. Known: Correctness pairwise"):
        said("check_judge", project.slug, "Nobody")
    with pytest.raises(CommandError, match="may not start training"):
        said("check_judge", project.slug, version.judge.name, "--as", "ben")
    assert Judge.objects.count() == 1


@pytest.mark.parametrize("source", ["items", "unjudged", "suite:Questions", "FILE"])
def test_answers_are_generated_to_prompts_from_anywhere(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    counting(monkeypatch)
    root_checkpoint("tiny")
    world.fill(project, 5)
    a_suite(project, cases=4)
    path = tmp_path / "more.jsonl"
    path.write_bytes(world.json_lines({"prompt": "One?"}, {"prompt": "Two?"}))
    before = Item.objects.count()
    options = ["--checkpoint", "tiny", "--samples", "3", "--temperature", "0.9", "--engine", "fake", "--wait"]
    found = said(
        "generate_candidates", project.slug, "--prompts", source.replace("FILE", str(path)), *options
    )
    assert found["status"] == "succeeded"
    assert found["made"] == Item.objects.count() - before > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--checkpoint", "nobody"], "There is no checkpoint 'nobody' here"),
        (
            ["--checkpoint", "tiny", "--prompts", "suite:None"],
            "There is no suite 'None' here. Known: none yet",
        ),
        (["--checkpoint", "tiny", "--prompts", "/not/there.jsonl"], "is not there; give suite:NAME"),
        (["--checkpoint", "tiny", "--as", "ben"], "may not import items"),
        ([], "0 models were chosen"),
    ],
)
def test_refusals_are_sentences(project: Project, options: list[str], words: str) -> None:
    root_checkpoint("tiny")
    world.fill(project, 2)
    with pytest.raises(CommandError, match=words):
        said("generate_candidates", project.slug, *options)
    assert not Generation.objects.exists()
