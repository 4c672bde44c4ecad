"""Studies of models that exist by name only, whose answers a fake engine gives, and people with opinions about them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from evaluation.engines import ENGINES
from evaluation.engines.fake import FakeEngine
from evaluation.engines.protocol import Answer, Request
from evaluation.models import Study, StudyPair, Suite
from evaluation.outlook import Wanted
from evaluation.prompts import Prompts
from evaluation.studies.answering import carry_study
from evaluation.studies.design import read_design
from evaluation.studies.prompts import of_suite
from evaluation.studies.starting import StudyPlan, start_study
from labeling.models import Project, User
from labeling.queue import claim_next
from labeling.values import PairwiseAnswer
from tests import world
from tests.evaluation.planned import a_suite, tuned
from tests.training.runs import root_checkpoint

Opinion = Callable[[StudyPair], str]


def answering(monkeypatch: pytest.MonkeyPatch, says: Callable[[Request, str], str] | None = None) -> None:
    """Let every model answer "MODEL says, to PROMPT", or what `says` makes of request and prompt."""

    class Saying(FakeEngine):
        def answer(self, request: Request) -> Answer:
            if request.kind != "complete":
                return super().answer(request)
            asked = request.messages[-1]["content"]
            text = says(request, asked) if says else f"model {request.target} says, to {asked}"
            return replace(super().answer(request), text=text)

    for name in ("fake", "transformers"):
        monkeypatch.setitem(ENGINES, name, Saying)


def suite_prompts(project: Project, count: int = 40, name: str = "Questions") -> Prompts:
    """Prompts of a suite of so many cases, which is made where it is not there."""
    there = Suite.objects.filter(project=project, name=name).first()
    return of_suite(suite=there or a_suite(project, cases=count, name=name))


def plan(project: Project, *, prompts: Prompts | None = None, models: int = 2, **changes: Any) -> StudyPlan:
    design = changes.pop("design", {})
    checkpoints = [root_checkpoint("tiny"), *(tuned(project, f"tuned-{n}") for n in range(1, models))]
    values: dict[str, Any] = {
        "prompts": prompts or suite_prompts(project),
        "wanted": Wanted(checkpoints=checkpoints, engine="fake", temperatures=(0.7,)),
        "design": read_design(design),
        **changes,
    }
    return StudyPlan(**values)


def begun(project: Project, **changes: Any) -> Study:
    """A study whose pairs wait for people."""
    study = start_study(
        project=project, plan=plan(project, **changes), person=world.person("emma"), name="Which one"
    )
    carry_study(study)
    study.refresh_from_db()
    return study


def judge(study: Study, who: str, opinion: Opinion | str, *, most: int = 10_000) -> int:
    """Let somebody say of every pair they are given what they think of its first model: win, loss, tie or both_bad."""
    person: User = world.person(who)
    places = {pair.item_id: pair for pair in study.pairs.exclude(item=None)}
    for count in range(most):
        slot = claim_next(project=study.queue, person=person)
        if slot is None:
            return count
        pair = places[slot.item_id]
        said = opinion if isinstance(opinion, str) else opinion(pair)
        label = {"win": str(pair.place), "loss": str(1 - pair.place)}.get(said, said)
        world.send(slot, person, PairwiseAnswer.model_validate({"verdict": world.verdict_for(label, slot)}))
    return most
