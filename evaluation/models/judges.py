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
    """A judge's version held against people: by its rubric against the pairs of a dataset version, or by the questions
    of one measure of answers from given texts against the reviews of such answers. `result` is evaluation.cards.Card.
    """

    class About(models.TextChoices):
        """What was asked; a measure has the name of its scorer."""

        PAIRS = "pairs", "Decided pairs"
        CONTEXT_RELEVANCE = "context_relevance", "Context relevance"
        GROUNDEDNESS = "groundedness", "Groundedness"
        ANSWER_RELEVANCE = "answer_relevance", "Answer relevance"

    job = "evaluation.jobs.check_judge"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="agreement_cards")
    version = models.ForeignKey(JudgeVersion, on_delete=models.CASCADE, related_name="cards")
    about = models.CharField(max_length=20, choices=About.choices, default=About.PAIRS)
    dataset_version = models.ForeignKey(
        DatasetVersion, null=True, on_delete=models.PROTECT, related_name="agreement_cards"
    )
    limit = models.PositiveIntegerField(default=500)
    result = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(about="pairs", dataset_version__isnull=False)
                | ~models.Q(about="pairs") & models.Q(dataset_version=None),
                name="pairs_are_of_a_dataset_version",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} against {self.against}"

    @property
    def against(self) -> str:
        """What of people it is held against."""
        if self.dataset_version is not None:
            return str(self.dataset_version)
        return f"reviews of answers, {self.get_about_display().lower()}"

    @property
    def alpha(self) -> dict[str, Any] | None:
        """Krippendorff's alpha of judge and people, as a dictionary of an Estimate; None before there is one."""
        return (self.result or {}).get("alpha")
