"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from evaluation import execution
from evaluation.models import EvalRun
from labeling.lifecycle import for_row


@shared_task
def drive_evaluation(run_id: int) -> None:
    for_row(EvalRun.objects.select_related("project", "suite"), run_id, execution.drive)


@shared_task
def sweep() -> None:
    EvalRun.sweep()
