"""`python -m tests.evaluation.installing MODEL | work | numbers`: an installation for the tests of faults."""

import json
import sys

import django


def install(model: str) -> None:
    from evaluation.planning import plan_evaluation
    from labeling.models import Project
    from labeling.projects import create_project
    from tests.evaluation.planned import a_suite
    from training.registry import register_base

    project: Project = create_project(name="Faults", owner=None, order_key="k")
    base = register_base(name="tiny", location=model)
    scoring = [
        {"name": "chrf", "scorer": "chrf", "weight": 1.0},
        {"name": "perplexity", "scorer": "perplexity"},
    ]
    plan_evaluation(
        project=project,
        suite=a_suite(project, cases=40, scoring=scoring),
        checkpoints=[base],
        endpoints=[],
        person=None,
        engine="transformers",
        sampling={"max_tokens": 24},
        limits={"batch_size": 4, "max_length": 256},
    )


def work() -> int:
    """Carry the evaluation as a worker does, after the sweep has seen to those whose worker is gone."""
    from django.utils import timezone

    from evaluation.execution import drive
    from evaluation.models import EvalRun
    from labeling.lifecycle import ACTIVE, Status

    long_ago = timezone.now().replace(year=2020)
    EvalRun.objects.filter(status__in=ACTIVE).update(heartbeat_at=long_ago)
    EvalRun.sweep()
    EvalRun.objects.update(attempt=0)
    drive(EvalRun.objects.get())
    return 0 if EvalRun.objects.get().status == Status.SUCCEEDED else 1


def numbers() -> None:
    from evaluation.models import Score

    rows = Score.objects.order_by("target__index", "metric", "slice", "versus_id")
    print(json.dumps(list(rows.values_list("target__index", "metric", "slice", "value", "low", "high", "n"))))


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "work":
        sys.exit(work())
    numbers() if sys.argv[1] == "numbers" else install(sys.argv[1])
