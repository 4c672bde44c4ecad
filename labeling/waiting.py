"""Wait for jobs: those that another process carries, and those that are carried here unless one does."""

import time
from collections.abc import Callable
from typing import TypeVar

from labeling.errors import Refused
from labeling.lifecycle import Lifecycle, Status

L = TypeVar("L", bound=Lifecycle)


def wait_for(job: L, *, poll: float = 0.5) -> L:
    """Read the row until the job is over; returns it. Jobs always end: the sweep sees to those whose worker died."""
    job.refresh_from_db()
    while not job.is_over:
        time.sleep(poll)
        job.refresh_from_db()
    return job


def carried(job: L, carry: Callable[[L], None], *, poll: float = 0.5) -> L:
    """Do the work here unless a worker has it, and again where it was given back; returns the job that succeeded.

    `carry` claims the job or leaves it alone. Raises Refused with the job's own sentence where it ended otherwise.
    """
    carry(job)
    job.refresh_from_db()
    while not job.is_over:
        time.sleep(poll)
        carry(job)
        job.refresh_from_db()
    if job.status != Status.SUCCEEDED:
        raise Refused(job.error or f"The {job._meta.verbose_name} is {job.get_status_display().lower()}.")
    return job
