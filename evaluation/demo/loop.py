"""The whole loop on real data: import → judge → freeze → train → evaluate → compare, each step by its verb."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection

from evaluation.demo.data import VOTERS, Votes, find_file, read
from evaluation.demo.people import ANNOTATORS, annotate, make_people
from evaluation.models import EvalRun
from evaluation.planning import plan_on_held_out
from evaluation.reading import TargetLine, target_lines
from labeling import quality
from labeling.curation.freezing import freeze
from labeling.curation.recipe import Recipe
from labeling.errors import Refused
from labeling.importing.batches import run_import, start_import
from labeling.lifecycle import Lifecycle, Status
from labeling.models import DatasetVersion, Judgment, Project, User
from labeling.processes import running
from labeling.projects import create_project
from labeling.waiting import wait_for
from training.launching import launch
from training.models import Checkpoint, TrainingRun
from training.nano import make_nano_model, register_nano_model

L = TypeVar("L", bound=Lifecycle)
ORDER_KEY = "prefloop-demo"
NANO_SECONDS = 110
SFT = {"epochs": 2.0, "learning_rate": 3e-3, "batch_size": 16, "max_length": 256, "logging_steps": 4}
DPO = {"epochs": 1.0, "learning_rate": 5e-4, "batch_size": 16, "max_length": 256, "logging_steps": 4}


@dataclass
class Demo:
    """State of one pass through the loop."""

    seed: int
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 1)


def prepare(*, slug_words: str, whole: bool) -> tuple[Project, dict[str, User], Path]:
    """A project with its people and the data to import."""
    project = create_project(
        name=slug_words,
        owner=None,
        overlap=len(ANNOTATORS),
        order_key=ORDER_KEY,
        gold_share=0,
        repeat_share=0,
        description="Which of two models follows the instruction better? Human votes of PandaLM's test set.",
    )
    return project, make_people(project), find_file(whole=whole)


def import_file(project: Project, path: Path, person: User) -> int:
    with path.open("rb") as file:
        batch = start_import(
            project=project,
            file=file,
            filename=path.name,
            person=person,
            format="pandalm",
            licence="Apache-2.0",
        )
    run_import(batch)
    return int(wait_for(batch).new)


def judge_over_http(site: str, project: Project, path: Path) -> int:
    """Three simulated annotators at the same time, each replaying one person's votes over HTTP."""
    rows = read(path)
    with ThreadPoolExecutor(len(ANNOTATORS)) as pool:
        jobs = [
            pool.submit(annotate, site=site, slug=project.slug, name=name, votes=Votes.of(voter, rows))
            for name, voter in zip(ANNOTATORS, VOTERS, strict=True)
        ]
        return sum(job.result() for job in jobs)


def ensure_nano_model(**limits: Any) -> Checkpoint:
    """The installation's nano model, trained on the first call within these limits (budget_seconds, max_steps)."""
    found = (
        Checkpoint.objects.filter(kind=Checkpoint.Kind.BASE, base__name="nano").select_related("base").first()
    )
    if found is not None and found.base.is_local:
        return found
    out = Path(settings.PREFLOOP_VAR) / "models" / "nano"
    result = {} if (out / "config.json").exists() else make_nano_model(out=out, **limits)
    return register_nano_model(out=out, name="nano", result=result)


def train(
    project: Project, person: User, version: DatasetVersion, method: str, start_from: Checkpoint, seed: int
) -> TrainingRun:
    """Queue a run and wait until a worker has ended it."""
    values = {"sft": SFT, "dpo": DPO}[method] | {"adaptation": "lora", "seed": seed}
    run = launch(
        project=project,
        method=method,
        dataset_version=version,
        start=start_from,
        values=values,
        person=person,
        name=f"{method}-lora",
    )
    return succeeded(wait_for(run))


def evaluate(
    project: Project, person: User, version: DatasetVersion, checkpoints: list[Checkpoint]
) -> EvalRun:
    run = plan_on_held_out(version=version, checkpoints=checkpoints, person=person, engine="transformers")
    return succeeded(wait_for(run))


def succeeded(job: L) -> L:
    if job.status != Status.SUCCEEDED:
        raise Refused(f"{job} {job.get_status_display().lower()}: {job.error or 'no reason was given'}")
    return job


def once(*, seed: int, whole: bool, nano: dict[str, Any], say: Any) -> dict[str, Any]:
    """The loop from beginning to end. Returns what `demo --once --json` prints."""
    demo = Demo(seed=seed)
    with demo.step("prepare"):
        number = Project.objects.count() + 1
        project, people, path = prepare(slug_words=f"PandaLM loop {number}", whole=whole)
    say(f"project {project.slug}, data {path.name}")
    with demo.step("import"):
        items = import_file(project, path, people["emma"])
    say(f"{items:,} items imported")
    with demo.step("nano model"):
        base = ensure_nano_model(**nano)
    say(f"base model {base.name}: {base.parameters or 0:,} parameters")
    connection.close()
    with running() as address:
        return _judged_and_trained(demo, address, project, people, path, base, items, say)


def _judged_and_trained(
    demo: Demo,
    address: str,
    project: Project,
    people: dict[str, User],
    path: Path,
    base: Checkpoint,
    items: int,
    say: Any,
) -> dict[str, Any]:
    emma = people["emma"]
    with demo.step("judge"):
        judgments = judge_over_http(address, project, path)
    say(f"{judgments:,} judgments sent over HTTP")
    with demo.step("agreement"):
        agreement = quality.agreement(project)
    with demo.step("freeze"):
        version = freeze(
            project=project,
            recipe=Recipe(seed=demo.seed),
            person=emma,
            override="The published test set as it is.",
        )
    say(f"{version}: {version.rows:,} pairs, hash {version.content_hash[:16]}…")
    with demo.step("sft"):
        sft = train(project, emma, version, "sft", base, demo.seed)
    say(f"SFT {_losses(sft)}")
    with demo.step("dpo"):
        dpo = train(project, emma, version, "dpo", sft.checkpoint, demo.seed)
    say(f"DPO {_losses(dpo)}")
    with demo.step("evaluate"):
        scored = evaluate(project, emma, version, [sft.checkpoint, dpo.checkpoint])
    return {
        "project": project.slug,
        "items": items,
        "judgments": Judgment.objects.filter(project=project).count(),
        "cohen_kappa": {
            "-".join(sorted((str(p.rater_a), str(p.rater_b)))): p.kappa.as_dict() if p.kappa else None
            for p in agreement.pairs
        },
        "dataset_hash": version.content_hash,
        "rows": version.splits,
        "loss": {
            name: {"first": run.loss_first, "last": run.loss_last, "held_out": _held_out(run)}
            for name, run in (("sft", sft), ("dpo", dpo))
        },
        "scores": {line.name: _numbers(line) for line in target_lines(scored)},
        "seconds": {**demo.seconds, "total": round(sum(demo.seconds.values()), 1)},
    }


def _held_out(run: TrainingRun) -> list[float]:
    """The loss on held-out rows before training and after each epoch."""
    return [event.values["loss"] for event in run.events.filter(type="eval").order_by("seq")]


def _losses(run: TrainingRun) -> str:
    held = _held_out(run)
    words = f"loss {run.loss_first:.3f} → {run.loss_last:.3f}"
    return f"{words}, on held-out rows {held[0]:.3f} → {held[-1]:.3f}" if held else words


def _numbers(line: TargetLine) -> dict[str, Any]:
    found = {reading.metric.name: reading for reading in line.readings}
    preference, perplexity = found["preference"], found["perplexity"]
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    return {
        **(preference.estimate.as_dict() if preference.estimate else nothing),
        "perplexity": perplexity.estimate.as_dict() if perplexity.estimate else None,
        "against_base": preference.difference.as_dict() if preference.difference else None,
    }
