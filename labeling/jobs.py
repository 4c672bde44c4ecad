"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from labeling import quality, upkeep
from labeling.curation import freezes
from labeling.importing import batches
from labeling.models import Freeze, ImportBatch, Project
from labeling.queue import release_expired


@shared_task
def run_import(batch_id: int) -> None:
    batches.run_import(ImportBatch.objects.select_related("project").get(pk=batch_id))


@shared_task
def run_freeze(freeze_id: int) -> None:
    freezes.run_freeze(
        Freeze.objects.select_related("project", "created_by", "parent__project").get(pk=freeze_id)
    )


@shared_task
def measure_quality(project_id: int) -> None:
    quality.refresh(Project.objects.get(pk=project_id))


@shared_task
def refresh_statistics() -> None:
    upkeep.refresh_statistics()


@shared_task
def sweep() -> None:
    release_expired()
    ImportBatch.sweep()
    Freeze.sweep()
