"""What runs train on."""

from django.db import models


class Device(models.Model):
    """A GPU of a worker's machine, or on a machine without one a share of its CPU. One run holds it at a time.

    `holder` is the claim token of that run; `memory` is in bytes.
    """

    class Kind(models.TextChoices):
        CPU = "cpu", "CPU"
        GPU = "gpu", "GPU"

    host = models.CharField(max_length=255)
    kind = models.CharField(max_length=3, choices=Kind.choices)
    number = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=120)
    memory = models.BigIntegerField(null=True)
    holder = models.UUIDField(null=True, unique=True)
    held_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["host", "kind", "number"]
        constraints = [models.UniqueConstraint(fields=["host", "kind", "number"], name="device_known_once")]

    def __str__(self) -> str:
        return f"{self.kind.upper()} {self.number}"
