"""Is a worker alive? Pages say so when none is."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from labeling.models import WorkerPulse

PULSE_SECONDS = 5


def record_pulse(*, name: str) -> None:
    """Note that the worker of this name is alive now."""
    WorkerPulse.objects.update_or_create(name=name, defaults={"seen_at": timezone.now()})


def worker_alive() -> bool:
    """Whether some worker was heard of within the last six pulses."""
    return _alive().exists()


def hosts_alive() -> set[str]:
    """The machines of the workers that were heard of within the last six pulses."""
    return {name.rpartition("@")[2] for name in _alive().values_list("name", flat=True)}


def _alive() -> QuerySet[WorkerPulse]:
    return WorkerPulse.objects.filter(seen_at__gte=timezone.now() - timedelta(seconds=6 * PULSE_SECONDS))
