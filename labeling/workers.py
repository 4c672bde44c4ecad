"""Is a worker alive? Pages say so when none is."""

from datetime import timedelta

from django.utils import timezone

from labeling.models import WorkerPulse

PULSE_SECONDS = 5


def record_pulse(*, name: str) -> None:
    """Note that the worker of this name is alive now."""
    WorkerPulse.objects.update_or_create(name=name, defaults={"seen_at": timezone.now()})


def worker_alive() -> bool:
    """Whether some worker was heard of within the last six pulses."""
    since = timezone.now() - timedelta(seconds=6 * PULSE_SECONDS)
    return WorkerPulse.objects.filter(seen_at__gte=since).exists()
