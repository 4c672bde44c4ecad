"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from labeling.lifecycle import for_row
from training import checking, launching, measuring, merging, pipelines, retraining, selecting
from training.models import Measurement, Merge, Preflight, Retraining, Selection, TrainingRun


@shared_task
def drive_run(run_id: int) -> None:
    rows = TrainingRun.objects.select_related(
        "project", "base", "start", "dataset_version", "dataset_version__project"
    )
    for_row(rows, run_id, launching.drive)
    pipelines.follow(run_id)


@shared_task
def check_run(check_id: int) -> None:
    rows = Preflight.objects.select_related("project", "base", "start", "dataset_version__project", "run")
    for_row(rows, check_id, checking.run_check)


@shared_task
def choose_rows(selection_id: int) -> None:
    rows = Selection.objects.select_related("project", "checkpoint__base", "dataset_version__project")
    for_row(rows, selection_id, selecting.run_selection)


@shared_task
def merge_adapter(merge_id: int) -> None:
    rows = Merge.objects.select_related("project", "adapter__base", "adapter__parent", "adapter__run")
    for_row(rows, merge_id, merging.run_merge)


@shared_task
def measure_checkpoint(measurement_id: int) -> None:
    rows = Measurement.objects.select_related("project", "checkpoint__base", "checkpoint__parent")
    for_row(rows, measurement_id, measuring.run_measurement)


@shared_task
def retrain(retraining_id: int) -> None:
    rows = Retraining.objects.select_related(
        "project", "version", "origin__start__base", "origin__dataset_version__project", "created_by"
    )
    for_row(rows, retraining_id, retraining.run_retraining)


@shared_task
def sweep() -> None:
    for each in (launching, pipelines, Selection, Merge, Measurement, Retraining):
        each.sweep()
    for module in (selecting, merging):
        module.forget_leftovers()
