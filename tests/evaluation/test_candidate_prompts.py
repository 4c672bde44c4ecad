"""Where prompts come from."""

from pathlib import Path

import pytest

from evaluation.prompts import from_file, from_items, from_suite, with_system
from evaluation.suites import create_suite, seal_share
from labeling.errors import Refused
from labeling.models import Project, Task
from tests import world
from tests.evaluation.planned import a_suite


def test_items_that_nobody_has_judged_come_once_for_each_prompt(project: Project) -> None:
    world.put(project, world.draft(1), world.draft(1, first="Another answer"), world.draft(2), world.draft(3))
    world.judge_next(project, world.person("ben"))
    assert len(from_items(project=project, which="all").found) == 3
    unjudged = from_items(project=project)
    assert len(unjudged.found) == 3  # the first prompt has a second item, which is not judged
    world.judge_all(project, world.person("ben"))
    with pytest.raises(Refused, match="no prompt among unjudged items"):
        from_items(project=project)


def test_as_many_as_are_asked_for_and_always_the_same_ones(project: Project) -> None:
    world.fill(project, 30)
    some = from_items(project=project, count=7)
    assert len(some.found) == 7
    assert some == from_items(project=project, count=7)
    assert some.found[0].source.startswith("item ")


def test_sealed_cases_of_a_suite_stay_under_seal(project: Project) -> None:
    suite = a_suite(project, cases=20)
    seal_share(suite=suite, share=0.3, person=None)
    found = from_suite(suite=suite)
    assert len(found.found) + found.sealed == 20
    assert found.sealed >= 5
    sealed = set(suite.cases.filter(sealed=True, removed=None).values_list("uid", flat=True))
    assert not sealed & {prompt.source.removeprefix("case ") for prompt in found.found}
    assert found.protected(project) == len(found.found)


def test_a_suite_without_cases_has_no_prompt(project: Project) -> None:
    with pytest.raises(Refused, match="has no case yet"):
        from_suite(suite=create_suite(project=project, name="Empty", person=None))


def test_a_file_of_prompts_is_read_in_any_format_and_bad_rows_are_reported(
    project: Project, tmp_path: Path
) -> None:
    rows = [
        {"prompt": "One?"},
        {"prompt": "Two?", "chosen": "yes", "rejected": "no"},
        {"messages": [{"role": "user", "content": "Three?"}, {"role": "assistant", "content": "Yes."}]},
        {"prompt": "one? "},
        {"nothing": 1},
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(world.json_lines(*rows) + b"{broken\n")
    found = from_file(project=project, path=path, name="prompts.jsonl")
    assert [prompt.messages[-1]["content"] for prompt in found.found] == ["One?", "Two?", "Three?"]
    assert found.refused == 2
    assert [line for line, _ in found.errors] == [5, 6]
    assert found.words == "prompts.jsonl"


def test_where_rag_answers_are_reviewed_prompts_come_with_what_was_retrieved(
    project: Project, tmp_path: Path
) -> None:
    rows = [
        {"prompt": "Why?", "contexts": ["One.", {"text": "Two.", "title": "T"}]},
        {"prompt": "?", "contexts": [" "]},
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(world.json_lines(*rows))
    suite = a_suite(project, cases=2, contexts=["Some passage", " "])
    assert from_file(project=project, path=path, name="x.jsonl").found[0].contexts == []
    assert from_suite(suite=suite).found[0].contexts == []
    project.task = suite.project.task = Task.RAG
    found = from_file(project=project, path=path, name="x.jsonl")
    assert [(each["text"], each["title"]) for each in found.found[0].contexts] == [
        ("One.", ""),
        ("Two.", "T"),
    ]
    assert found.found[0].asked[0]["content"].endswith("[1] One.\n\n[2] Two.\n\nQuestion: Why?")
    assert found.errors == [(2, "context 1 is empty; leave it out, or give its text")]
    assert [each["text"] for each in from_suite(suite=suite).found[0].contexts] == ["Some passage"]


def test_a_file_without_any_prompt_is_refused_with_its_first_fault(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(world.json_lines({"nothing": 1}))
    with pytest.raises(Refused, match=r"No row of x\.jsonl has a prompt\. Line 1:"):
        from_file(project=project, path=path, name="x.jsonl")
    path.write_bytes(b"\x89PNG....")
    with pytest.raises(Refused, match="a PNG picture"):
        from_file(project=project, path=path, name="x.jsonl")


def test_a_system_message_goes_before_prompts_that_have_none(project: Project) -> None:
    world.put(project, world.draft(1))
    plain = from_items(project=project)
    said = with_system(plain, " Be brief. ")
    assert [message["role"] for message in said.found[0].messages] == ["system", "user"]
    assert with_system(said, "Be long.") == said
    assert with_system(plain, " ") is plain


@pytest.mark.parametrize(("which", "count"), [("some", 5), ("all", 0), ("all", 10_001)])
def test_what_cannot_be_asked_for_is_refused(project: Project, which: str, count: int) -> None:
    with pytest.raises(Refused, match="choose"):
        from_items(project=project, which=which, count=count)
