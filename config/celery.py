"""The Celery application: tasks of the three apps, routed by module, and a pulse that tells pages a worker is alive."""

import logging
import os
import threading
from typing import Any

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

log = logging.getLogger(__name__)

TRANSPORT_ALIASES["filesystem"] = "config.broker:Transport"

app = Celery("prefloop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")

_stop = threading.Event()


@worker_ready.connect
def _start_pulse(sender: Any, **_: Any) -> None:
    threading.Thread(target=_beat, args=(sender.hostname,), daemon=True, name="pulse").start()


@worker_shutting_down.connect
def _stop_pulse(**_: Any) -> None:
    _stop.set()


def _beat(name: str) -> None:
    from django.db import Error, connection

    from labeling.workers import PULSE_SECONDS, record_pulse

    while not _stop.is_set():
        try:
            record_pulse(name=name)
        except Error:
            log.warning("this worker could not say that it is alive; it tries again", exc_info=True)
        finally:
            connection.close()
        _stop.wait(PULSE_SECONDS)
