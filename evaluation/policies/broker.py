"""Messages to workers about rows of policies that are no lifecycle jobs. The rows are the truth."""

import logging

from celery import current_app

log = logging.getLogger(__name__)


def send(job: str, key: int) -> None:
    """Tell the broker. A lost message only delays: the sweep looks at the rows."""
    try:
        current_app.send_task(job, args=[key])
    except Exception:
        log.exception("could not reach the broker for %s %s; the sweep will see to it", job, key)
