"""Wait for jobs that another process carries."""

import time
from typing import TypeVar

from labeling.lifecycle import Lifecycle

L = TypeVar("L", bound=Lifecycle)


def wait_for(job: L, *, poll: float = 0.5) -> L:
    """Read the row until the job is over; returns it. Jobs always end: the sweep sees to those whose worker died."""
    job.refresh_from_db()
    while not job.is_over:
        time.sleep(poll)
        job.refresh_from_db()
    return job
