"""Checks before launch: what a run would see, need and take, without training it."""

from pathlib import Path

from django.conf import settings
from django.db import models

from labeling.lifecycle import Lifecycle, Status
from labeling.models import DatasetVersion, Project
from training.models.registry import BaseModel, Checkpoint
from training.models.runs import TrainingRun


class Preflight(Lifecycle):
    """A check of one spec, data version and start; `run` is the run that was started from it, at most one.

    `result` is that of the process: the report of training/recipes/preflight.py and its calibration. `prepared` and
    `waiting` are as in a run.
    """

    job = "training.jobs.check_run"
    claimed_as = Status.STARTING

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="preflights")
    name = models.CharField(max_length=120, blank=True)
    method = models.CharField(max_length=20)
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="preflights")
    base = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="preflights")
    start = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="preflights")
    reward = models.ForeignKey(
        Checkpoint, null=True, on_delete=models.PROTECT, related_name="judged_preflights"
    )
    gold = models.ForeignKey(
        Checkpoint, null=True, on_delete=models.PROTECT, related_name="watched_preflights"
    )
    spec = models.JSONField()
    folder = models.CharField(max_length=200)
    prepared = models.JSONField(default=dict, editable=False)
    waiting = models.CharField(max_length=300, blank=True, editable=False)
    result = models.JSONField(default=dict)
    run = models.OneToOneField(TrainingRun, null=True, on_delete=models.SET_NULL, related_name="preflight")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name or f"check {self.pk}"

    @property
    def path(self) -> Path:
        """The directory in which the process works."""
        return Path(settings.PREFLOOP_VAR) / "preflights" / self.folder
