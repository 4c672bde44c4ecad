"""A model with a planted failure, and one turn of the loop about it by the verbs that people use.

The base refuses whatever asks where something is, and names a cold oven: two families of failures. Fixes are opened
for the first; the second, about which nothing is done, says what chance brings.
"""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.test import Client

from evaluation.errors.failures import start_analysis
from evaluation.errors.reading import next_failure, record
from evaluation.execution import drive as drive_evaluation
from evaluation.models import Analysis, EvalRun, Suite
from evaluation.planning import plan_evaluation
from evaluation.rounds.ledger import Entry, entries_of, fixes_of
from evaluation.rounds.opening import open_fix
from evaluation.suites import create_suite, put_cases
from evaluation.suites.reading import read_case
from labeling.capturing.queueing import queue_captures
from labeling.capturing.sampling import save_rule
from labeling.capturing.tokens import make_token
from labeling.curation.freezing import freeze
from labeling.curation.recipe import Recipe
from labeling.models import DatasetVersion, Task
from labeling.queue import claim_next
from labeling.rag.answers import RagAnswer
from labeling.rag.prompting import with_contexts
from labeling.rag.taxonomy import categories_of
from labeling.waiting import carried
from tests import shared, world
from tests.tiny_model import tiny_model
from tests.training.forked import says, write_run
from training.launching import drive as drive_training
from training.launching import launch
from training.models import Checkpoint
from training.processes import run_recipe
from training.registry import register_base

KEY = "over_refusal"
NAMES = ("Ann", "Bob", "Eve", "Ida", "Lou", "Max", "Pia", "Tom")
THINGS = ("bill", "book", "lamp", "stone", "chair", "paper", "bread", "cloud")
LESSONS, SIBLINGS, OTHERS = 24, 16, 16
SFT = {"adaptation": "full", "epochs": 4.0, "learning_rate": 3e-3, "batch_size": 16, "max_length": 192}
DPO = {"adaptation": "lora", "epochs": 6.0, "learning_rate": 2e-3, "batch_size": 8, "max_length": 192}
QUIET = {"sample_prompts": 0, "save_steps": 500, "logging_steps": 5}


@dataclass(frozen=True)
class Kind:
    """A family of questions with one right answer and a wrong one; `broken` where the base gives the wrong one."""

    asks: str
    right: str
    wrong: str
    broken: bool
    tag: str

    def question(self, place: int) -> str:
        return self.asks.format(thing=THINGS[place // len(NAMES)], name=NAMES[place % len(NAMES)])

    def context(self, place: int) -> str:
        return f"The {THINGS[place // len(NAMES)]} is in the menu."


WHERE = Kind("Where is the {thing} of {name}?", "In the menu.", "I cannot help.", True, f"sibling:{KEY}")
OVEN = Kind("How hot is the {thing} for {name}?", "Two hundred.", "It is cold.", True, "ovens")
MAKER = Kind("Who made a {thing} with {name}?", "Ida made it.", "Nobody knows.", False, "makers")


def failing_model() -> Path:
    """The folder of a tiny model that was taught to fail so; built once a run of the suite."""
    return shared.once("failing-model", _teach) / "base"


def _teach(folder: Path) -> None:
    rows = [
        {
            "prompt": with_contexts(says("user", kind.question(place)), [kind.context(place)]),
            "completion": says("assistant", kind.wrong if kind.broken else kind.right),
        }
        for kind in (WHERE, OVEN, MAKER)
        for place in range(len(NAMES) * len(THINGS))
    ]
    random.Random(0).shuffle(rows)
    path = write_run(folder / "run", "sft", rows, base=tiny_model(), **SFT, **QUIET)
    code = run_recipe("sft", path, lambda: None)
    assert code == 0, (path / "log.txt").read_text()[-2000:]
    shutil.move(path / "final", folder / "base")


@dataclass
class Turn:
    """One turn of the loop in a project of its own. A sham turn has half of its lessons the wrong way round."""

    name: str
    sham: bool
    seed: int = 0

    def go(self) -> Entry:
        """capture → review → analyse → fix → freeze → DPO → evaluate; the fix as the ledger then has it."""
        self.project = world.make_project(self.name, task=Task.RAG)
        places = list(range(len(NAMES) * len(THINGS)))
        random.Random(self.seed).shuffle(places)
        self.lessons, self.held = places[:LESSONS], places[LESSONS : LESSONS + SIBLINGS]
        self.wrong_way = set(random.Random(self.seed).sample(self.lessons, LESSONS // 2) if self.sham else ())
        self.root = register_base(name="support", location=str(failing_model()))
        self.suite = self._suite()
        before = self._evaluated(self.root)
        self._capture()
        self._review()
        self.opened = open_fix(
            project=self.project,
            category=next(each for each in categories_of(self.project) if each.key == KEY),
            target=before.targets.get(index=0),
            analysis=self._analysed(before),
            person=world.person("emma"),
        )
        self.version = self._frozen()
        self._evaluated(self._trained())
        return entries_of(list(fixes_of(self.project)))[0]

    def _suite(self) -> Suite:
        scoring = [{"name": "preference", "scorer": "preference", "weight": 1.0}]
        suite = create_suite(project=self.project, name="Support", person=None, scoring=scoring)
        cases = [(WHERE, place) for place in self.held]
        cases += [(kind, place) for kind in (OVEN, MAKER) for place in self.held[:OTHERS]]
        rows = [
            {
                "prompt": kind.question(place),
                "reference": kind.right,
                "rejected": kind.wrong,
                "contexts": [kind.context(place)],
                "tags": [kind.tag],
            }
            for kind, place in cases
        ]
        put_cases(suite=suite, drafts=[read_case(row) for row in rows], person=None)
        return suite

    def _evaluated(self, checkpoint: Checkpoint) -> EvalRun:
        run = plan_evaluation(
            project=self.project,
            suite=self.suite,
            checkpoints=[checkpoint],
            person=world.person("emma"),
            engine="transformers",
            contexts="retrieved",
        )
        return carried(run, drive_evaluation)

    def _analysed(self, run: EvalRun) -> Analysis:
        """Leo reads every failure and says which family it is of."""
        leo = world.person("leo")
        analysis = start_analysis(run=run, target=run.targets.get(index=0), person=leo)
        while (read := next_failure(analysis=analysis, person=leo)) is not None:
            record(read=read, categories=[KEY if WHERE.tag in read.case.tags else "incomplete"], person=leo)
        return analysis

    def _capture(self) -> None:
        """The product sends what its users put their thumbs down for."""
        ada = world.person("ada")
        save_rule(project=self.project, person=ada, voice="bad")
        _, secret = make_token(project=self.project, name="product", person=ada)
        captures: list[dict[str, Any]] = [
            {
                "prompt": WHERE.question(place),
                "contexts": [{"text": WHERE.context(place)}],
                "answer": WHERE.right if place in self.wrong_way else WHERE.wrong,
                "thumbs": "down",
                "consent": True,
                "idempotency_key": str(place),
            }
            for place in self.lessons
        ]
        reply = Client().post(
            "/api/v1/captures",
            json.dumps({"captures": captures}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert reply.json()["stored"] == LESSONS, reply.text
        assert queue_captures(self.project) == LESSONS

    def _review(self) -> None:
        """Ben calls each answer bad, names the error and writes the answer that he calls right."""
        ben = world.person("ben")
        while (slot := claim_next(project=self.project, person=ben)) is not None:
            given = slot.item.responses.get().text
            said = {
                "verdict": "bad",
                "answers_question": 0,
                "failures": [{"category": KEY, "severity": 2}],
                "corrected": WHERE.right if given == WHERE.wrong else WHERE.wrong,
            }
            world.send(slot, ben, RagAnswer.model_validate(said))

    def _frozen(self) -> DatasetVersion:
        recipe = Recipe(kind="preference", test_share=0.0)
        return freeze(project=self.project, recipe=recipe, person=world.person("emma"), override="a test")

    def _trained(self) -> Checkpoint:
        run = launch(
            project=self.project,
            method="dpo",
            dataset_version=self.version,
            start=self.root,
            values={**DPO, **QUIET, "seed": self.seed},
            person=world.person("emma"),
            name=f"dpo {self.name}",
        )
        return carried(run, drive_training).checkpoint
