"""Training runs and what their processes reported."""

from pathlib import Path

from django.conf import settings
from django.db import models

from labeling.lifecycle import Lifecycle, Status
from labeling.models import DatasetVersion, Project
from training.models.registry import BaseModel, Checkpoint


class TrainingRun(Lifecycle):
    """One training job: a frozen spec, the data version and the checkpoint it starts from.

    `reward` is the reward model whose scores it learns from, of methods that sample answers; `gold` is a second
    one that only watches.
    `waiting` says why it is not started although it is its turn. `prepared` has the SHA-256 of each file that was
    written for its process, by the file's path in the run's folder.
    """

    job = "training.jobs.drive_run"
    claimed_as = Status.STARTING

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="training_runs")
    name = models.CharField(max_length=120)
    method = models.CharField(max_length=20)
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="training_runs"
    )
    base = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="training_runs")
    start = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="training_runs")
    reward = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="judged_runs")
    gold = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="watched_runs")
    again_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="repeats")
    spec = models.JSONField()
    folder = models.CharField(max_length=200)
    prepared = models.JSONField(default=dict, editable=False)
    waiting = models.CharField(max_length=300, blank=True, editable=False)
    step = models.PositiveIntegerField(default=0)
    total_steps = models.PositiveIntegerField(null=True)
    loss_first = models.FloatField(null=True)
    loss_last = models.FloatField(null=True)
    result = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """The directory in which the recipe process works."""
        return Path(settings.PREFLOOP_VAR) / "runs" / self.folder


class RunEvent(models.Model):
    """One line of events.jsonl. `seq` is its line number, so that reading the file again changes nothing."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    type = models.CharField(max_length=20)
    step = models.PositiveIntegerField()
    time = models.DateTimeField()
    values = models.JSONField()

    class Meta:
        ordering = ["run", "seq"]
        constraints = [models.UniqueConstraint(fields=["run", "seq"], name="event_read_once")]
        indexes = [models.Index(fields=["run", "type"], name="events_by_type")]

    def __str__(self) -> str:
        return f"{self.type} at step {self.step}"
