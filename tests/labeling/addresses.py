"""Every address of a project with what it takes to read it (GET) and to use it (POST); and one of everything."""

from typing import Any

from django.urls import reverse

from labeling.capturing.receiving import receive
from labeling.capturing.sampling import save_rule
from labeling.capturing.tokens import make_token
from labeling.curation.freezes import start_freeze
from labeling.curation.recipe import Recipe
from labeling.guidelines import save_guideline
from labeling.models import Capture, DatasetVersion, Project
from labeling.queue import claim_next
from tests import world
from tests.evaluation import addresses as in_evaluation
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.chaining import Asked
from training.checking import start_check
from training.forms_pipelines import METHODS
from training.merging import start_merge
from training.models import Retraining
from training.pipelines import launch_pipeline
from training.registry import register_checkpoint
from training.selecting import start_selection

# Address → what it takes to read it (GET) and to use it (POST).
PAGES: dict[str, dict[str, str]] = {
    "labeling:rank": {"get": "annotate"},
    "labeling:submit": {"post": "annotate"},
    "labeling:skip": {"post": "annotate"},
    "labeling:draft": {"post": "annotate"},
    "labeling:undo": {"get": "annotate"},
    "labeling:again": {"get": "annotate"},
    "labeling:ahead": {"get": "annotate"},
    "labeling:later": {"post": "annotate"},
    "labeling:beat": {"post": "annotate"},
    "labeling:chunk": {"get": "annotate"},
    "labeling:chunks_found": {"get": "annotate"},
    "labeling:preview": {"post": "annotate"},
    "labeling:read": {"post": "annotate"},
    "labeling:items": {"get": "review"},
    "labeling:judgments": {"get": "view_results"},
    "labeling:item": {"get": "review", "post": "review"},
    "labeling:review": {"get": "review", "post": "review"},
    "labeling:review_item": {"get": "review", "post": "review"},
    "labeling:disagreements": {"get": "review"},
    "labeling:quality": {"get": "review"},
    "labeling:my_quality": {"get": "annotate"},
    "labeling:captures": {"get": "curate"},
    "labeling:capture": {"get": "curate"},
    "labeling:capture_rules": {"get": "curate", "post": "curate"},
    "labeling:capture_tokens": {"get": "manage", "post": "manage"},
    "labeling:capture_client": {"get": "curate"},
    "labeling:imports": {"get": "curate", "post": "curate"},
    "labeling:import": {"get": "curate"},
    "labeling:people": {"get": "manage", "post": "manage"},
    "labeling:import_cancel": {"post": "curate"},
    "labeling:work": {"get": "review"},
    "labeling:setup": {"get": "manage", "post": "manage"},
    "labeling:categories": {"get": "review", "post": "manage"},
    "labeling:pause": {"post": "manage"},
    "labeling:project_preview": {"get": "curate"},
    "labeling:guidelines": {"get": "review", "post": "manage"},
    "labeling:guideline": {"get": "review"},
    "labeling:agreement": {"get": "review"},
    "labeling:datasets": {"get": "view_results"},
    "labeling:dataset_new": {"get": "curate", "post": "curate"},
    "labeling:freeze": {"get": "view_results"},
    "labeling:freeze_anyway": {"post": "curate"},
    "labeling:freeze_cancel": {"post": "curate"},
    "labeling:dataset_diff": {"get": "view_results"},
    "labeling:dataset": {"get": "view_results"},
    "labeling:dataset_row": {"get": "view_results"},
    "labeling:export": {"get": "view_results"},
    "training:runs": {"get": "view_results"},
    "training:new_run": {"get": "train", "post": "train"},
    "training:run_needs": {"post": "train"},
    "training:retrain": {"get": "train", "post": "train"},
    "training:retrain_cancel": {"post": "train"},
    "training:pipelines": {"get": "view_results"},
    "training:new_pipeline": {"get": "train", "post": "train"},
    "training:pipeline": {"get": "view_results"},
    "training:pipeline_cancel": {"post": "train"},
    "training:pipeline_go_on": {"post": "train"},
    "training:pipeline_restart": {"post": "train"},
    "training:compare_runs": {"get": "view_results"},
    "training:run": {"get": "view_results"},
    "training:run_log": {"get": "view_results"},
    "training:run_log_file": {"get": "view_results"},
    "training:cancel": {"post": "train"},
    "training:resume": {"post": "train"},
    "training:checkpoints": {"get": "view_results"},
    "training:bases": {"get": "view_results", "post": "train"},
    "training:checkpoint": {"get": "view_results"},
    "training:stage": {"post": "train"},
    "training:notes": {"post": "train"},
    "training:merge": {"post": "train"},
    "training:merge_cancel": {"post": "train"},
    "training:measure": {"post": "train"},
    "training:card": {"get": "view_results", "head": "view_results"},
    "training:weights": {"get": "view_results", "head": "view_results"},
    "training:uses": {"get": "review"},
    "training:withdrawals": {"get": "manage", "post": "manage"},
    "training:choose": {"get": "curate", "post": "curate"},
    "training:check": {"get": "view_results"},
    "training:check_cancel": {"post": "train"},
    "training:check_start": {"post": "train"},
    "training:run_report": {"get": "view_results"},
    "training:selection": {"get": "view_results"},
    "training:selection_cancel": {"post": "curate"},
    "training:selection_freeze": {"post": "curate"},
}
API: dict[str, dict[str, str]] = {
    "api-categories": {"get": "review", "post": "manage"},
    "api-received-captures": {"get": "curate"},
    "api-received-capture": {"get": "curate"},
    "api-capture-tokens": {"get": "manage", "post": "manage"},
    "api-capture-token": {"delete": "manage"},
    "api-capture-rules": {"get": "curate", "post": "curate"},
    "api-capture-rules-apply": {"post": "curate"},
    "api-capture-rule-move": {"post": "curate"},
    "api-capture-rule": {"patch": "curate", "delete": "curate"},
    "api-imports": {"post": "curate"},
    "api-import": {"get": "curate", "head": "curate"},
    "api-next": {"post": "annotate"},
    "api-submit": {"post": "annotate"},
    "api-skip": {"post": "annotate"},
    "api-later": {"post": "annotate"},
    "api-beat": {"post": "annotate"},
    "api-draft": {"post": "annotate"},
    "api-judgments": {"get": "view_results"},
    "api-datasets": {"get": "view_results", "post": "curate", "head": "view_results"},
    "api-freeze": {"get": "view_results"},
    "api-runs": {"get": "view_results", "post": "train"},
    "api-run": {"get": "view_results", "delete": "train"},
    "api-run-resume": {"post": "train"},
    "api-checks": {"get": "view_results", "post": "train"},
    "api-check": {"get": "view_results", "delete": "train"},
    "api-retrain": {"get": "train", "post": "train"},
    "api-pipelines": {"get": "view_results", "post": "train"},
    "api-pipeline": {"get": "view_results", "delete": "train"},
    "api-pipeline-go-on": {"post": "train"},
    "api-pipeline-restart": {"post": "train"},
    "api-bases": {"get": "view_results", "post": "train", "head": "view_results"},
    "api-checkpoints": {"get": "view_results"},
    "api-checkpoint": {"get": "view_results"},
    "api-stage": {"post": "train"},
    "api-merge": {"get": "view_results", "post": "train", "delete": "train"},
    "api-weights": {"get": "view_results"},
}
PAGES |= {f"evaluation:{name}": methods for name, methods in in_evaluation.PAGES.items()}
API |= {f"api-{name}": methods for name, methods in in_evaluation.API.items()}
EVALUATION = {f"evaluation:{name}" for name in in_evaluation.PAGES} | {
    f"api-{name}" for name in in_evaluation.API
}
OUTSIDE_PROJECTS = {
    "evaluation:shared",
    "labeling:projects",
    "labeling:project_new",
    "labeling:invitation",
    "labeling:tokens",
    "labeling:keys",
    "labeling:prefer",
}


def of_a_pipeline(project: Project, version: DatasetVersion) -> dict[str, list[Any]]:
    """What the addresses of a pipeline are made of."""
    steps = {role: Asked(method, dataset_version=version) for role, method in METHODS.items()}
    chain = launch_pipeline(project=project, start=root_checkpoint(), person=None, **steps)
    whole = ("pipeline", "pipeline_cancel", "pipeline_go_on", "api-pipeline", "api-pipeline-go-on")
    of_steps = ("pipeline_restart", "api-pipeline-restart")
    return {name: [chain.pk] for name in whole} | {name: [chain.pk, "sft"] for name in of_steps}


def a_capture(project: Project) -> Capture:
    """One capture, as a product sent it."""
    token, _ = make_token(project=project, name="shop", person=None)
    receive(token=token, values=[{"prompt": "Where is it?", "answer": "In Utrecht.", "consent": True}])
    return Capture.objects.get(project=project)


def numbers(project: Project, version: DatasetVersion) -> dict[str, list[Any]]:
    """One of everything, and what the addresses of each are made of."""
    job = start_freeze(project=project, recipe=Recipe(), person=None)
    slot = claim_next(project=project, person=world.person("ben")) or project.assignments.first()
    batch = world.import_file(project, world.json_lines(world.good_row(1)))
    save_guideline(project=project, text="Prefer what is true.", person=None)
    run = launched(project, version)
    check = start_check(
        project=project,
        method="sft",
        dataset_version=version,
        start=root_checkpoint(),
        values={},
        person=None,
    )
    choice = start_selection(version=version, checkpoint=root_checkpoint(), values={"k": 2}, person=None)
    capture, rule = a_capture(project), save_rule(project=project, person=None, voice="bad")
    checkpoint = register_checkpoint(run=run, result=RESULT)
    start_merge(adapter=checkpoint, person=None)
    of_checkpoint = ("checkpoint", "stage", "notes", "merge", "merge_cancel", "measure", "card", "weights")
    of_checkpoint += ("api-checkpoint", "api-stage", "api-merge", "api-weights")
    return {
        **{name: [checkpoint.pk] for name in of_checkpoint},
        "choose": [version.number], "selection": [choice.pk], "selection_cancel": [choice.pk],
        "selection_freeze": [choice.pk], "check": [check.pk], "check_cancel": [check.pk], "check_start": [check.pk],
        "api-check": [check.pk], "run_report": [run.pk],
        "retrain_cancel": [Retraining.objects.create(project=project, origin=run).pk],
        **of_a_pipeline(project, version),
        "submit": [slot.pk], "skip": [slot.pk], "draft": [slot.pk], "item": [slot.item_id], "import": [batch.pk],
        "review_item": [slot.item_id], "capture": [capture.pk], "api-received-capture": [capture.pk],
        "api-capture-token": [capture.token_id], "api-capture-rule": [rule.pk], "api-capture-rule-move": [rule.pk],
        "import_cancel": [batch.pk], "guideline": [1],
        "again": [slot.pk], "ahead": [slot.pk], "later": [slot.pk], "beat": [slot.pk],
        "chunk": [slot.pk, 0], "chunks_found": [slot.pk],
        "dataset": [version.number], "dataset_row": [version.number, 0], "uses": [slot.item_id],
        "freeze": [job.pk], "freeze_anyway": [job.pk], "freeze_cancel": [job.pk], "api-freeze": [job.pk],
        "export": [version.number, "jsonl"], "judgments": ["csv"],
        "api-judgments": ["csv"], "api-skip": [slot.pk], "api-later": [slot.pk], "api-beat": [slot.pk],
        "api-draft": [slot.pk], "training:run": [run.pk], "run_log": [run.pk], "run_log_file": [run.pk],
        "training:cancel": [run.pk], "training:resume": [run.pk], "api-run-resume": [run.pk],
        "api-import": [batch.pk], "api-submit": [slot.pk], "api-run": [run.pk],
    }  # fmt: skip


def every_address(project: Project) -> dict[str, str]:
    """Every address of a project in which there is one of everything."""
    version = judged_version(project)
    of_project = numbers(project, version)
    of_evaluation = in_evaluation.numbers(project, version)

    def args(name: str) -> list[Any]:
        short = name.rpartition(":")[2]
        known = of_evaluation if name in EVALUATION else of_project
        return known.get(name, known.get(short, []))

    found = {name: reverse(name, args=[project.slug, *args(name)]) for name in [*PAGES, *API]}
    found["labeling:dataset_diff"] += f"?from={version.number}&to={version.number}"
    return found
