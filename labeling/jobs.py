"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from labeling import quality, upkeep
from labeling.capturing import keeping, queueing
from labeling.curation import freezes
from labeling.importing import batches
from labeling.lifecycle import for_row
from labeling.models import Freeze, ImportBatch, Project
from labeling.queue import release_expired


@shared_task
def run_import(batch_id: int) -> None:
    for_row(ImportBatch.objects.select_related("project"), batch_id, batches.run_import)


@shared_task
def run_freeze(freeze_id: int) -> None:
    rows = Freeze.objects.select_related("project", "created_by", "parent__project")
    for_row(rows, freeze_id, freezes.run_freeze)


@shared_task
def measure_quality(project_id: int) -> None:
    for_row(Project.objects.all(), project_id, quality.refresh)


@shared_task
def queue_captures(project_id: int) -> None:
    for_row(Project.objects.all(), project_id, queueing.queue_captures)


@shared_task
def refresh_statistics() -> None:
    upkeep.refresh_statistics()


@shared_task
def sweep() -> None:
    release_expired()
    for each in (queueing, ImportBatch, Freeze, keeping):
        each.sweep()
