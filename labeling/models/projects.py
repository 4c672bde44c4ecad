"""Projects: what is asked of people, and by which rules."""

import secrets
from typing import TYPE_CHECKING

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from labeling.models.appendonly import AppendOnly

if TYPE_CHECKING:
    from labeling.values import Attribute


class Task(models.TextChoices):
    PAIRWISE = "pairwise", "Compare two responses"
    RANKING = "ranking", "Rank any number of responses"
    RATING = "rating", "Rate each response"
    DEMONSTRATION = "demonstration", "Write the best response"
    EDIT = "edit", "Improve a response"
    RAG = "rag", "Review a RAG answer"


class Rationale(models.TextChoices):
    OFF = "off", "Not asked"
    OPTIONAL = "optional", "Optional"
    REQUIRED = "required", "Required"


def new_order_key() -> str:
    return secrets.token_hex(16)


class Project(models.Model):
    """A task that people judge, with everything that is made of their judgments."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    description = models.TextField(blank=True)
    task = models.CharField(max_length=20, choices=Task.choices, default=Task.PAIRWISE)
    ask_strength = models.BooleanField(
        default=False, help_text="Also ask whether it is slightly, clearly or much better."
    )
    rationale = models.CharField(
        max_length=10, choices=Rationale.choices, default=Rationale.OFF, help_text="A reason in words."
    )
    attributes: "models.JSONField[list[Attribute]]" = models.JSONField(default=list, blank=True)
    overlap = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(20)],
        help_text="How many people judge each item.",
    )
    lease_seconds = models.PositiveIntegerField(
        default=1800,
        validators=[MinValueValidator(30), MaxValueValidator(86_400)],
        help_text="How long an item stays with the person who opened it, in seconds.",
    )
    daily_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Most judgments of one person a day; empty for no limit.",
    )
    gold_share = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0), MaxValueValidator(0.5)],
        help_text="Share of items with a known answer that are mixed in unseen, 0 to 0.5.",
    )
    gold_pass = models.FloatField(
        default=0.8,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of known answers that a person should get right, 0 to 1.",
    )
    repeat_share = models.FloatField(
        default=0.02,
        validators=[MinValueValidator(0), MaxValueValidator(0.2)],
        help_text="Share of items that a person is shown again, swapped, 0 to 0.2.",
    )
    repeat_after = models.PositiveIntegerField(
        default=50, validators=[MinValueValidator(1)], help_text="Items between the two times, at least."
    )
    two_pass = models.BooleanField(
        default=False,
        help_text="Whoever reviews a RAG answer second is shown spans that may be errors.",
    )
    capture_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(36_500)],
        help_text="Days that captures are kept after they were received; empty for ever.",
    )
    guideline = models.ForeignKey(
        "labeling.Guideline", null=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    epoch = models.PositiveIntegerField(default=0, editable=False)
    order_key = models.CharField(max_length=64, default=new_order_key, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Guideline(AppendOnly):
    """The text that says how to judge, in versions: each judgment knows which one it was made by."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    number = models.PositiveIntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey("labeling.User", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="guideline_numbered_once")]

    def __str__(self) -> str:
        return f"guidelines of {self.project_id}, version {self.number}"
