"""What is known, said and settled about judgments: known answers, reviews, resolutions."""

from django.db import models

from labeling.models.appendonly import AppendOnly
from labeling.models.items import Assignment, Item, ReviewState
from labeling.models.judgments import Judgment
from labeling.models.people import User
from labeling.models.projects import Project


class Gold(models.Model):
    """The known answer of an item, in terms of the stored responses. It never reaches an annotator's page or API."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="golds")
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="gold")
    label = models.CharField(max_length=200)
    note = models.TextField(blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"known answer of item {self.item_id}: {self.label}"


class Review(AppendOnly):
    """One step of a review: taken up, accepted, or returned to the same person with a comment."""

    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="reviews")
    judgment = models.ForeignKey(Judgment, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="reviews_given")
    state = models.CharField(max_length=10, choices=ReviewState.choices)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_state_display()} by {self.reviewer_id}"


class Resolution(AppendOnly):
    """The settled answer of an item on which people differ. Judgments stay as they are; the newest revision counts."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="resolutions")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="resolutions")
    revision = models.PositiveSmallIntegerField(default=1)
    label = models.CharField(max_length=200)
    comment = models.TextField(blank=True)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="resolutions")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["item", "revision"], name="one_resolution_per_revision")
        ]

    def __str__(self) -> str:
        return f"item {self.item_id} settled as {self.label}"
