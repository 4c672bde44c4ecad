"""Weights: base models as they came, and checkpoints trained here."""

from pathlib import Path

from django.db import models

from labeling.models import Project, User
from labeling.models.appendonly import AppendOnly


class BaseModel(models.Model):
    """A model that training starts from: a folder on this machine, or a name on a model hub."""

    name = models.CharField(max_length=120, unique=True)
    location = models.CharField(max_length=500)
    revision = models.CharField(max_length=100, blank=True)
    content_hash = models.CharField(max_length=64, blank=True)
    parameters = models.BigIntegerField(null=True)
    licence = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_local(self) -> bool:
        return Path(self.location).is_dir()

    @property
    def place(self) -> str:
        """Where it is, with the revision where one was named."""
        return f"{self.location} at {self.revision}" if self.revision else self.location


class Checkpoint(models.Model):
    """Weights that can be served and scored. The root checkpoint of a base model is the base itself."""

    class Kind(models.TextChoices):
        BASE = "base", "Base"
        ADAPTER = "adapter", "Adapter"
        FULL = "full", "Full weights"

    class Stage(models.TextChoices):
        CANDIDATE = "candidate", "Candidate"
        PRODUCTION = "production", "Production"
        ARCHIVED = "archived", "Archived"

    class Line(models.TextChoices):
        """What the weights are for. One checkpoint of each line may be in production on a base."""

        POLICY = "policy", "Answers"
        REWARD = "reward", "Rewards"

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
    line = models.CharField(max_length=10, choices=Line.choices, default=Line.POLICY)
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.CANDIDATE)
    deltas = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "base", "line"],
                condition=models.Q(stage="production"),
                name="one_in_production",
            ),
            models.UniqueConstraint(
                fields=["base"], condition=models.Q(kind="base"), name="one_root_checkpoint_per_base"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StageChange(AppendOnly):
    """One move of a checkpoint from a stage to another: who, when and why."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="stage_changes")
    before = models.CharField(max_length=10, choices=Checkpoint.Stage.choices)
    after = models.CharField(max_length=10, choices=Checkpoint.Stage.choices)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.checkpoint} from {self.before} to {self.after}"


class CheckpointNote(AppendOnly):
    """The notes on a checkpoint as somebody left them. The newest one counts; those before stay readable."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="notes")
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"note {self.pk} on {self.checkpoint}"
