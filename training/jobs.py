"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from training import launching, selecting
from training.models import Selection, TrainingRun


@shared_task
def drive_run(run_id: int) -> None:
    rows = TrainingRun.objects.select_related(
        "project", "base", "start", "dataset_version", "dataset_version__project"
    )
    launching.drive(rows.get(pk=run_id))


@shared_task
def choose_rows(selection_id: int) -> None:
    rows = Selection.objects.select_related("project", "checkpoint__base", "dataset_version__project")
    selecting.run_selection(rows.get(pk=selection_id))


@shared_task
def sweep() -> None:
    launching.sweep()
    Selection.sweep()
    selecting.forget_leftovers()
