"""Choices of the best rows of a dataset version."""

from pathlib import Path

from django.conf import settings
from django.db import models

from labeling.lifecycle import Lifecycle, Status
from labeling.models import DatasetVersion, Project
from training.models.registry import Checkpoint


class Selection(Lifecycle):
    """One choice of k training rows of a version, on its way or made: by whose vectors, and with which settings."""

    job = "training.jobs.choose_rows"
    claimed_as = Status.STARTING

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="selections")
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="selections")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="selections")
    spec = models.JSONField()
    folder = models.CharField(max_length=200)
    result = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"choice {self.pk} of {self.dataset_version}"

    @property
    def path(self) -> Path:
        """The directory in which the process works."""
        return Path(settings.PREFLOOP_VAR) / "selections" / self.folder
