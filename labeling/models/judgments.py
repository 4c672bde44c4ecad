"""Judgments are facts: rows are added, never changed."""

from django.db import models
from django.utils import timezone

from labeling.models.appendonly import AppendOnly
from labeling.models.items import Assignment, Item, Purpose
from labeling.models.people import User
from labeling.models.projects import Guideline, Project


class Judgment(AppendOnly):
    """What one person said of one item.

    `answer` is as it was given, in terms of the screen; `display_order` holds the positions of the stored responses as
    they were shown, first to last (empty where that is not known: the judgment was imported). `label` sums the answer
    up in terms of the stored responses: "0", "1", "tie" or "both_bad"; "2>0=1" for a ranking; the position of the
    edited response; empty for ratings and demonstrations.
    """

    # Indexes that begin with these keys exist already: every index costs each submit.
    assignment = models.ForeignKey(
        Assignment, on_delete=models.PROTECT, related_name="judgments", db_index=False
    )
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="judgments", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="judgments", db_index=False)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="judgments", db_index=False)
    revision = models.PositiveSmallIntegerField(default=1)
    client_key = models.UUIDField()
    kind = models.CharField(max_length=20, default="pairwise")
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.WORK)
    label = models.CharField(max_length=200)
    strength = models.PositiveSmallIntegerField(null=True)
    display_order: "models.JSONField[list[int]]" = models.JSONField()
    answer = models.JSONField()
    layout = models.CharField(max_length=10, blank=True)
    guideline = models.ForeignKey(
        Guideline, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    active_ms = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["assignment", "revision"], name="one_judgment_per_revision"),
            models.UniqueConstraint(fields=["person", "client_key"], name="one_judgment_per_client_key"),
        ]
        indexes = [
            models.Index(
                fields=["item", "project", "purpose", "kind", "revision", "label"], name="votes_of_item"
            ),
            models.Index(fields=["project", "created_at"], name="judgments_by_day"),
            models.Index(fields=["project", "person"], name="judgments_of_person"),
            models.Index(
                fields=["project", "item"], condition=models.Q(revision__gt=1), name="changed_judgments"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} on item {self.item_id}: {self.label}"


class Draft(models.Model):
    """An answer on its way, kept on the server until it is submitted. `turn` is the one by which it was shown."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="drafts", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="drafts")
    answer = models.JSONField()
    turn = models.PositiveSmallIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "item"], name="one_draft_per_person")]

    def __str__(self) -> str:
        return f"draft of {self.person} on item {self.item_id}"
