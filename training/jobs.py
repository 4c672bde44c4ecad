"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from training import checking, launching, measuring, merging, retraining, selecting
from training.models import Measurement, Merge, Preflight, Retraining, Selection, TrainingRun


@shared_task
def drive_run(run_id: int) -> None:
    rows = TrainingRun.objects.select_related(
        "project", "base", "start", "dataset_version", "dataset_version__project"
    )
    launching.drive(rows.get(pk=run_id))


@shared_task
def check_run(check_id: int) -> None:
    rows = Preflight.objects.select_related("project", "base", "start", "dataset_version__project", "run")
    checking.run_check(rows.get(pk=check_id))


@shared_task
def choose_rows(selection_id: int) -> None:
    rows = Selection.objects.select_related("project", "checkpoint__base", "dataset_version__project")
    selecting.run_selection(rows.get(pk=selection_id))


@shared_task
def merge_adapter(merge_id: int) -> None:
    rows = Merge.objects.select_related("project", "adapter__base", "adapter__parent", "adapter__run")
    merging.run_merge(rows.get(pk=merge_id))


@shared_task
def measure_checkpoint(measurement_id: int) -> None:
    rows = Measurement.objects.select_related("project", "checkpoint__base", "checkpoint__parent")
    measuring.run_measurement(rows.get(pk=measurement_id))


@shared_task
def retrain(retraining_id: int) -> None:
    rows = Retraining.objects.select_related(
        "project", "version", "origin__start__base", "origin__dataset_version__project", "created_by"
    )
    retraining.run_retraining(rows.get(pk=retraining_id))


@shared_task
def sweep() -> None:
    launching.sweep()
    for kind in (Selection, Merge, Measurement, Retraining):
        kind.sweep()
    for module in (selecting, merging):
        module.forget_leftovers()
