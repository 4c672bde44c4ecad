"""Weights: base models as they came, and checkpoints trained here."""

from pathlib import Path

from django.db import models

from labeling.models import Project


class BaseModel(models.Model):
    """A model that training starts from: a folder on this machine, or a name on a model hub."""

    name = models.CharField(max_length=120, unique=True)
    location = models.CharField(max_length=500)
    content_hash = models.CharField(max_length=64, blank=True)
    parameters = models.BigIntegerField(null=True)
    licence = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_local(self) -> bool:
        return Path(self.location).is_dir()


class Checkpoint(models.Model):
    """Weights that can be served and scored. The root checkpoint of a base model is the base itself."""

    class Kind(models.TextChoices):
        BASE = "base", "Base"
        ADAPTER = "adapter", "Adapter"
        FULL = "full", "Full weights"

    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="checkpoints")
    base = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="checkpoints")
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    run = models.OneToOneField(
        "training.TrainingRun", null=True, on_delete=models.PROTECT, related_name="checkpoint"
    )
    name = models.CharField(max_length=160)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    path = models.CharField(max_length=500)
    content_hash = models.CharField(max_length=64, blank=True)
    parameters = models.BigIntegerField(null=True)
    trainable = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["base"], condition=models.Q(kind="base"), name="one_root_checkpoint_per_base"
            )
        ]

    def __str__(self) -> str:
        return self.name
