"""Freezing as a job: queued by a page or the API, carried by a worker, ended with a version or a sentence."""

from labeling.curation.freezing import LintBlocked, freeze
from labeling.curation.recipe import Recipe, read_recipe, stored
from labeling.curation.sources import source_projects
from labeling.lifecycle import Status
from labeling.models import Freeze, Project, User


def start_freeze(*, project: Project, recipe: Recipe, person: User | None, override: str = "") -> Freeze:
    """Queue a recipe. Raises RecipeRefused where it names a project that the person may not curate."""
    source_projects(project, recipe, person)
    job = Freeze.objects.create(
        project=project, recipe=stored(recipe), override=override.strip(), created_by=person
    )
    job.enqueue()
    return job


def run_freeze(job: Freeze) -> None:
    """Claim the job and carry it to an end. Safe to repeat: the same judgments give the same version."""
    if job.claim():
        job.carry(lambda: _freeze(job))


def _freeze(job: Freeze) -> None:
    def beat(share: float | None) -> None:
        if not job.heartbeat(share) or job.cancel_requested():
            raise _Stopped

    try:
        version = freeze(
            project=job.project,
            recipe=read_recipe(job.recipe),
            person=job.created_by,
            override=job.override,
            beat=beat,
        )
    except LintBlocked as blocked:
        job.finish(Status.FAILED, blocked.sentence, lint=blocked.report.as_dict())
    except _Stopped:
        job.finish(Status.CANCELLED)
    else:
        job.finish(Status.SUCCEEDED, version=version, progress=1.0)


class _Stopped(Exception):
    """Somebody cancelled the job, or another worker has it."""
