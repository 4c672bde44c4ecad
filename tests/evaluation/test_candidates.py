"""Answers of models become items that people judge."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse

from evaluation.candidates import carry_generation, items_made, start_generation
from evaluation.engines import ENGINES
from evaluation.engines.fake import Died, FakeEngine
from evaluation.engines.protocol import Answer, Request
from evaluation.grouping import origin_of
from evaluation.models import Endpoint, Generation, Output
from evaluation.outlook import Wanted, outlook
from evaluation.prompts import Prompts, from_items, from_suite
from labeling.errors import Refused
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft
from labeling.lifecycle import Status
from labeling.models import Assignment, Item, Project, ProtectedFingerprint, Response, Task, User
from labeling.rag.prompting import with_contexts
from tests import world
from tests.evaluation.planned import Bill, a_suite, tuned, warning
from tests.training.runs import root_checkpoint


def wanted(project: Project, **changes: Any) -> Wanted:
    both = {"checkpoints": [root_checkpoint("tiny"), tuned(project)], "engine": "fake", "samples": 2}
    return Wanted(**{**both, "temperatures": (0.8,), **changes})


def made(project: Project, prompts: Prompts, **changes: Any) -> Generation:
    generation = start_generation(
        project=project, prompts=prompts, wanted=wanted(project, **changes), person=world.person("emma")
    )
    carry_generation(generation)
    generation.refresh_from_db()
    return generation


def test_two_models_answer_and_ben_is_given_pairs_of_theirs(project: Project, bill: Bill) -> None:
    world.fill(project, 6)
    generation = made(project, from_items(project=project))
    items = list(items_made(generation))
    assert generation.status == Status.SUCCEEDED, generation.error
    assert generation.prompts == 6
    assert len(bill.asked) == 6 * 2 * 2
    assert generation.made == len(items) > 6
    assert {item.source_kind for item in items} == {"generated"}
    assert all(item.synthetic and item.n_responses == 2 for item in items)
    assert Assignment.objects.filter(item__in=items).count() == len(items) * project.overlap
    origins = Response.objects.filter(item__in=items).values_list("origin", flat=True)
    assert {origin.partition("#")[0] for origin in origins} == {"tiny", "tuned"}
    assert all(";t=0.8;p=1;k=0;n=256;s=" in origin and len(origin) <= 120 for origin in origins)
    assert generation.facts["cost"] is None
    assert generation.facts["failed"] == 0
    assert origin_of("dpo", "1a2b3c4d" * 8, t=0.7, p=1.0, s=1_234_567) == "dpo#1a2b3c4d;t=0.7;p=1;s=1234567"


def test_what_an_engine_warns_of_stands_with_the_answers(
    project: Project, bill: Bill, leo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = warning(monkeypatch, "1")
    world.fill(project, 6)
    generation = made(project, from_items(project=project))
    assert generation.facts["warnings"] == [f"tuned: {words}"]
    page = world.sign_in(leo).get(reverse("evaluation:generation", args=[project.slug, generation.pk])).text
    assert "tuned: The adapter gives the base model" in page


def test_pairs_are_of_two_models_wherever_that_is_possible(project: Project, bill: Bill) -> None:
    world.fill(project, 10)
    generation = made(project, from_items(project=project))
    mixed = Counter(
        len({r.origin.partition("#")[0] for r in item.responses.all()})
        for item in items_made(generation).prefetch_related("responses")
    )
    assert mixed[2] >= 0.8 * generation.made


def test_ben_sees_nothing_of_who_answered(project: Project, bill: Bill) -> None:
    world.fill(project, 1)
    generation = made(project, from_items(project=project))
    ben = world.person("ben")
    world.judge_next(project, ben)
    page = world.sign_in(ben).get(f"/p/{project.slug}/rank/").content.decode()
    item = items_made(generation).first()
    assert item is not None
    texts = list(item.responses.values_list("text", flat=True))
    assert all(text in page for text in texts)
    for secret in ("tiny", "tuned", "generation", "generated", "t=0.8", "prompt_from"):
        assert secret not in page


def test_the_same_text_twice_is_one_answer_and_prompts_with_one_are_dropped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Parrot(FakeEngine):
        def answer(self, request: Request) -> Answer:
            says = "the same" if "Question 1?" in str(request.messages) else f"{request.sampling}"
            return replace(super().answer(request), text=says)

    monkeypatch.setitem(ENGINES, "fake", Parrot)
    world.fill(project, 3)
    generation = made(project, from_items(project=project))
    assert (generation.prompts, generation.dropped, generation.made) == (3, 1, 2)
    assert generation.facts["same"] == 3 + 2 + 2
    assert generation.facts["answers"] == 12
    assert not items_made(generation).filter(preview="Question 1?").exists()


@pytest.mark.parametrize(
    ("task", "grouping", "sizes"),
    [
        (Task.PAIRWISE, "once", {2}),
        (Task.PAIRWISE, "every", {2}),
        (Task.RANKING, "together", {3, 4}),
        (Task.RANKING, "once", {2}),
        (Task.RATING, "together", {3, 4}),
    ],
)
def test_answers_are_grouped_as_the_task_takes_them(
    project: Project, bill: Bill, task: str, grouping: str, sizes: set[int]
) -> None:
    attributes = [{"key": "help", "words": "Helpful", "low": 1, "high": 5}] if task == Task.RATING else []
    Project.objects.update(task=task, attributes=attributes)
    project.refresh_from_db()
    world.fill(project, 4)
    generation = made(project, from_items(project=project), grouping=grouping)
    found = set(items_made(generation).values_list("n_responses", flat=True))
    assert generation.status == Status.SUCCEEDED, generation.error
    assert found
    assert found <= sizes
    if grouping == "every":
        assert generation.made > 4 * 2


def test_answers_to_be_reviewed_are_items_of_their_own_with_the_passages_that_models_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Reader(FakeEngine):
        def answer(self, request: Request) -> Answer:
            seen.append(request.messages[-1]["content"])
            return super().answer(request)

    monkeypatch.setitem(ENGINES, "fake", Reader)
    Project.objects.update(task=Task.RAG)
    project.refresh_from_db()
    passages = [ContextDraft("A fact.", title="Manual", ref="doc-1", score=0.5), ContextDraft("Another.")]
    question: Any = [{"role": "user", "content": "Question?"}]
    world.put(project, ItemDraft(question, [ResponseDraft("Old answer")], contexts=passages))
    prompts = from_items(project=project, which="all")
    assert outlook(project=project, prompts=prompts, wanted=wanted(project)).items == 4
    generation = made(project, prompts)
    items = list(items_made(generation))
    assert generation.status == Status.SUCCEEDED, generation.error
    assert generation.made == len(items) == 4 - generation.facts["same"]
    assert {item.n_responses for item in items} == {1}
    assert all(item.messages == question for item in items)
    assert [(chunk.text, chunk.title, chunk.ref, chunk.score) for chunk in items[0].chunks.all()] == [
        ("A fact.", "Manual", "doc-1", 0.5),
        ("Another.", "", "", None),
    ]
    assert set(seen) == {with_contexts(question, ["A fact.", "Another."])[0]["content"]}
    with pytest.raises(Refused, match="grouped as alone, not as 'together'"):
        made(project, prompts, grouping="together")


def test_a_generation_that_was_killed_goes_on_and_asks_nothing_twice(project: Project, bill: Bill) -> None:
    world.fill(project, 10)
    bill.options = {"dies_after": 14}
    generation = start_generation(
        project=project, prompts=from_items(project=project), wanted=wanted(project), person=None
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Generation, "carry", lambda self, work: work())
        with pytest.raises(Died):
            carry_generation(generation)
    assert Output.objects.count() == 14
    assert not items_made(generation).exists()
    bill.options = {}
    Generation.objects.update(status=Status.QUEUED)
    carry_generation(generation)
    generation.refresh_from_db()
    assert generation.status == Status.SUCCEEDED
    assert len(bill.asked) == len(set(bill.asked)) == 40


def test_the_same_again_asks_nothing_and_makes_no_item_twice(project: Project, bill: Bill) -> None:
    world.fill(project, 5)
    prompts = from_items(project=project)
    first = made(project, prompts)
    count = Item.objects.count()
    again = made(project, prompts)
    assert len(bill.asked) == 20
    assert (Item.objects.count(), again.made, again.duplicate) == (count, 0, first.made)


def test_what_a_model_did_not_answer_is_counted_with_its_reason(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(FakeEngine):
        def answer(self, request: Request) -> Answer:
            if request.target == "1":
                return Answer(request.id, request.target, request.kind, error="The service is closed.")
            return super().answer(request)

    monkeypatch.setitem(ENGINES, "fake", Deaf)
    world.fill(project, 3)
    generation = made(project, from_items(project=project))
    assert generation.status == Status.SUCCEEDED
    assert generation.facts["failed"] == 6
    assert generation.facts["errors"] == {"The service is closed.": 6}


def test_a_budget_ends_it_with_a_sentence_and_nothing_is_lost(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dear(FakeEngine):
        def answer(self, request: Request) -> Answer:
            return replace(super().answer(request), cost=1.0)

    monkeypatch.setitem(ENGINES, "fake", Dear)
    world.fill(project, 10)
    generation = made(project, from_items(project=project), limits={"budget": 10.0})
    assert generation.status == Status.FAILED
    assert "the budget is 10.00" in generation.error
    assert Output.objects.count() == 14
    enough = made(project, from_items(project=project), limits={"budget": 40.0})
    assert enough.status == Status.SUCCEEDED
    assert enough.facts["cost"] == 26.0


def test_judgments_of_a_suites_prompts_never_become_training_data(project: Project, bill: Bill) -> None:
    suite = a_suite(project, cases=6)
    prompts = from_suite(suite=suite)
    assert outlook(project=project, prompts=prompts, wanted=wanted(project)).protected == 6
    made(project, prompts, system="Be brief.")
    assert ProtectedFingerprint.objects.count() == 12
    world.judge_all(project, world.person("ben"))
    with pytest.raises(Refused, match="used for evaluation and would be trained on: 12"):
        world.frozen(project, near_duplicates=None, test_share=0.0, validation_share=0.0)


def test_people_see_the_system_message_that_the_model_saw(project: Project, bill: Bill) -> None:
    world.fill(project, 1)
    generation = made(project, from_items(project=project), system="Be brief.")
    item = items_made(generation).first()
    assert item is not None
    assert item.messages[0] == {"role": "system", "content": "Be brief."}


def test_what_it_would_take_is_told_before(project: Project, bill: Bill) -> None:
    world.fill(project, 10)
    prompts = from_items(project=project, count=8)
    priced = Endpoint(
        pk=1, project=project, name="E", url="https://x/v1", model="m", price_in=1.0, price_out=2.0
    )
    free = Endpoint(pk=2, project=project, name="F", url="https://x/v1", model="m")
    want = wanted(
        project, endpoints=[priced, free], temperatures=(0.0, 0.8), samples=3, sampling={"max_tokens": 100}
    )
    found = outlook(project=project, prompts=prompts, wanted=want)
    assert (found.prompts, found.answers, found.items) == (8, 8 * 4 * 4, 8 * 8)
    assert found.priceless == ["F"]
    assert found.cost == pytest.approx(4 * (8 * 11 / 4 * 1.0 + 8 * 100 * 2.0) / 1e6, rel=0.2)
    assert outlook(project=project, prompts=prompts, wanted=wanted(project)).cost is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkpoints": []}, "0 models were chosen"),
        ({"engine": "telepathy"}, "choose one of"),
        ({"temperatures": (0.0,)}, "2 samples at temperature 0 would all be alike"),
        ({"temperatures": (3.0,)}, "temperature"),
        ({"temperatures": ()}, "temperature"),
        ({"checkpoints": "one", "samples": 1}, "Each prompt would get 1 answer; an item needs 2"),
        ({"grouping": "together"}, "grouped as once or every"),
        ({"samples": 99}, "samples"),
        ({"limits": {"budget": -1.0}}, "budget"),
    ],
)
def test_what_cannot_be_generated_is_refused(
    project: Project, bill: Bill, changes: dict[str, Any], words: str
) -> None:
    world.fill(project, 2)
    if changes.get("checkpoints") == "one":
        changes = {**changes, "checkpoints": [root_checkpoint("tiny")]}
    with pytest.raises(Refused, match=words):
        made(project, from_items(project=project), **changes)
    assert not Generation.objects.exists()


def test_reward_models_and_what_belongs_to_others_do_not_answer(project: Project, bill: Bill) -> None:
    world.fill(project, 2)
    other = world.make_project("Other")
    theirs, reward = tuned(other, "theirs"), tuned(project, "rm")
    reward.line = "reward"
    away = Endpoint.objects.create(project=other, name="Away", url="https://x/v1", model="m")
    unpriced = Endpoint.objects.create(project=project, name="Unpriced", url="https://x/v1", model="m")
    for changes, words in (
        ({"checkpoints": [theirs]}, "theirs belongs to another project"),
        ({"checkpoints": [reward]}, "rm is a reward model"),
        ({"endpoints": [away]}, "Away is not an endpoint in use here"),
        ({"endpoints": [unpriced], "limits": {"budget": 1.0}}, "nobody knows what Unpriced costs"),
    ):
        with pytest.raises(Refused, match=words):
            made(project, from_items(project=project), **changes)
