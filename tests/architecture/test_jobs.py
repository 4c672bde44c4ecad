"""Jobs are three lines that call a verb, each routed to a queue, and each lifecycle names one that exists."""

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings

from labeling.lifecycle import Lifecycle
from tests.architecture.source import APPS, ROOT, name

JOBS = [ROOT / app / "jobs.py" for app in APPS if (ROOT / app / "jobs.py").exists()]
QUEUES = {"io", "train", "eval"}


def tasks(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]


def task_names() -> set[str]:
    return {f"{path.parent.name}.jobs.{task.name}" for path in JOBS for task in tasks(path)}


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_a_job_has_at_most_three_statements(path: Path) -> None:
    found = tasks(path)
    assert found
    for task in found:
        assert ast.unparse(task.decorator_list[0]) == "shared_task"
        assert len(task.body) <= 3, task.name


def test_every_job_is_routed_to_a_queue_that_workers_listen_to() -> None:
    routes = settings.CELERY_TASK_ROUTES
    for task in task_names():
        queues = [route["queue"] for pattern, route in routes.items() if fnmatch(task, pattern)]
        assert queues, task
        assert set(queues) <= QUEUES, task


def test_every_route_and_every_scheduled_task_exists() -> None:
    named = {pattern for pattern in settings.CELERY_TASK_ROUTES if "*" not in pattern}
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert named | scheduled <= task_names()


def test_every_lifecycle_names_a_job_that_celery_knows_and_has_a_sweep_on_schedule() -> None:
    from config import celery_app

    celery_app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    kinds = [model for model in apps.get_models() if issubclass(model, Lifecycle)]
    assert len(kinds) >= 3
    for kind in kinds:
        assert kind.job in task_names(), kind
        assert kind.job in current_app.tasks, kind
        assert f"{kind.job.split('.')[0]}.jobs.sweep" in scheduled, kind
