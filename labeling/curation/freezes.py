"""Freezing as a job: queued by a page or the API, carried by a worker, ended with a version or a sentence."""

from collections.abc import Sequence
from typing import Any

from labeling.curation.freezing import LintBlocked, freeze
from labeling.curation.recipe import Recipe, read_recipe, stored
from labeling.curation.sources import source_projects
from labeling.curation.subsets import check_parent, freeze_subset
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Freeze, Project, User


def start_freeze(*, project: Project, recipe: Recipe, person: User | None, override: str = "") -> Freeze:
    """Queue a recipe. Raises RecipeRefused where it names a project that the person may not curate."""
    source_projects(project, recipe, person)
    job = Freeze(project=project, recipe=stored(recipe), override=override.strip(), created_by=person)
    return _queued(job)


def start_subset(
    *, version: DatasetVersion, keep: Sequence[int], choice: dict[str, Any], person: User | None
) -> Freeze:
    """Queue some training rows of a version, by their numbers. Raises Refused where it cannot be chosen from."""
    check_parent(version)
    source_projects(version.project, read_recipe(version.recipe), person)
    return _queued(
        Freeze(
            project=version.project,
            recipe=version.recipe,
            parent=version,
            keep=sorted(keep),
            choice=choice,
            created_by=person,
        )
    )


def freeze_again(job: Freeze, *, person: User | None, override: str) -> Freeze:
    """Queue once more what the check stopped, with a reason why it is right to freeze it all the same."""
    source_projects(job.project, read_recipe(job.recipe), person)
    same = {name: getattr(job, name) for name in ("project", "recipe", "parent", "keep", "choice")}
    return _queued(Freeze(**same, override=override.strip(), created_by=person))


def _queued(job: Freeze) -> Freeze:
    job.save()
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
        if job.parent is not None:
            version = freeze_subset(
                version=job.parent,
                keep=job.keep or (),
                choice=job.choice or {},
                person=job.created_by,
                override=job.override,
                beat=beat,
            )
        else:
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
