"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from evaluation import execution
from evaluation.models import EvalRun


@shared_task
def drive_evaluation(run_id: int) -> None:
    execution.drive(EvalRun.objects.select_related("project", "suite").get(pk=run_id))


@shared_task
def sweep() -> None:
    EvalRun.sweep()
