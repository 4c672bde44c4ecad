"""One turn of the loop, tied together: what was judged, trained, measured and decided."""

from django.db import models

from evaluation.models.gates import Decision
from evaluation.models.runs import EvalRun
from labeling.models import DatasetVersion, Project, User
from training.models import Checkpoint, TrainingRun


class Round(models.Model):
    """What belongs to one turn. Whether it is stale is not stored: it follows from what its judgments are now."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rounds")
    name = models.CharField(max_length=120)
    note = models.TextField(blank=True)
    dataset_version = models.ForeignKey(
        DatasetVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="rounds"
    )
    decision = models.ForeignKey(
        Decision, null=True, blank=True, on_delete=models.PROTECT, related_name="rounds"
    )
    study = models.ForeignKey(
        "evaluation.Study", null=True, blank=True, on_delete=models.PROTECT, related_name="rounds"
    )
    runs = models.ManyToManyField(TrainingRun, blank=True, related_name="rounds")
    checkpoints = models.ManyToManyField(Checkpoint, blank=True, related_name="rounds")
    evaluations = models.ManyToManyField(EvalRun, blank=True, related_name="rounds")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="round_name_once")]

    def __str__(self) -> str:
        return self.name
