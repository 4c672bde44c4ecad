"""Judges: a rubric read by a model, its versions, and how far each agrees with people."""

from typing import Any

from django.db import models

from evaluation.models.asking import AskingJob
from evaluation.models.targets import Endpoint
from labeling.models import DatasetVersion, Project, User
from labeling.models.appendonly import AppendOnly
from training.models import Checkpoint


class Judge(models.Model):
    """A name for something that judges. What it asks, and who answers, stands in its versions."""

    class Kind(models.TextChoices):
        RUBRIC = "rubric", "Rubric: one answer at a time"
        PAIRWISE = "pairwise", "Pairwise: two answers, in both orders"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="judges")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="judge_name_once")]

    def __str__(self) -> str:
        return self.name


class JudgeVersion(AppendOnly):
    """What a judge is told and who it is, never changed. `labels` maps the words it chooses among to values 0 to 1."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    rubric = models.TextField()
    labels = models.JSONField(default=dict)
    checkpoint = models.ForeignKey(
        Checkpoint, null=True, on_delete=models.PROTECT, related_name="judge_versions"
    )
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.PROTECT, related_name="judge_versions")
    engine = models.CharField(max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["judge", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["judge", "number"], name="judge_version_numbered_once")
        ]

    def __str__(self) -> str:
        return f"{self.judge} v{self.number}"


class AgreementCard(AskingJob):
    """A judge's version held against people's judgments of a dataset version. `result` is evaluation.judging.Card."""

    job = "evaluation.jobs.check_judge"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="agreement_cards")
    version = models.ForeignKey(JudgeVersion, on_delete=models.CASCADE, related_name="cards")
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="agreement_cards"
    )
    limit = models.PositiveIntegerField(default=500)
    result = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} against {self.dataset_version}"

    @property
    def alpha(self) -> dict[str, Any] | None:
        """Krippendorff's alpha of judge and people, as a dictionary of an Estimate; None before there is one."""
        return (self.result or {}).get("alpha")
