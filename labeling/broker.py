"""Messages to workers. The rows are the truth: a lost message only delays, whoever looks at the rows sends it again."""

import logging

from celery import current_app

log = logging.getLogger(__name__)


def send(job: str, key: int) -> None:
    """Tell the broker of a job's row; a broker that is not there is noted in the log."""
    try:
        current_app.send_task(job, args=[key])
    except Exception:
        log.exception("could not reach the broker for %s %s; it is sent again later", job, key)
