"""Signs of life of the worker processes."""

from django.db import models


class WorkerPulse(models.Model):
    """When a worker was last heard of."""

    name = models.CharField(max_length=200, unique=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
