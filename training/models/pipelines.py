"""Several runs that wait for each other: SFT, a reward model, and a policy that learns from it."""

from django.db import models
from django.utils import timezone

from labeling.models import DatasetVersion, Project
from training.models.registry import Checkpoint
from training.models.runs import TrainingRun


class Pipeline(models.Model):
    """A chain of steps, launched at once. How far it is follows from its steps (`training.standing`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="pipelines")
    name = models.CharField(max_length=100)
    start = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="pipelines")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        "labeling.User", null=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    cancelled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class PipelineStep(models.Model):
    """One step: a checkpoint that was there (`given`), or what to train; then `run` is the run that counts.

    `values` are the settings as they were given; `refusal` says why no run could be started when it was its turn.
    """

    class Role(models.TextChoices):
        SFT = "sft", "Supervised fine-tuning"
        REWARD = "reward", "Reward model"
        POLICY = "policy", "Policy"

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="steps")
    role = models.CharField(max_length=10, choices=Role.choices)
    method = models.CharField(max_length=20)
    given = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="+")
    gold = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="+")
    dataset_version = models.ForeignKey(
        DatasetVersion, null=True, on_delete=models.PROTECT, related_name="pipeline_steps"
    )
    values = models.JSONField(default=dict)
    run = models.OneToOneField(
        TrainingRun, null=True, on_delete=models.SET_NULL, related_name="pipeline_step"
    )
    refusal = models.TextField(blank=True)

    class Meta:
        ordering = ["pipeline", "id"]
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "role"], name="one_step_of_each_role"),
            models.CheckConstraint(
                condition=models.Q(given__isnull=False) ^ models.Q(dataset_version__isnull=False),
                name="a_step_is_given_or_trained",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_id}: {self.role}"
