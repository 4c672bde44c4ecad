"""Judgments are facts: rows are added, never changed."""

from typing import Any, NoReturn, TypeVar

from django.db import models

from labeling.models.items import Assignment, Item
from labeling.models.people import Project, User

M = TypeVar("M", bound=models.Model)


class Unchangeable(Exception):
    """Somebody tried to change a row that is append-only."""


class AppendOnlyQuerySet(models.QuerySet[M]):
    def update(self, **_: Any) -> NoReturn:
        raise Unchangeable(f"{self.model.__name__} rows are never changed; add a new one")

    def delete(self) -> NoReturn:
        raise Unchangeable(f"{self.model.__name__} rows are never deleted")


class AppendOnly(models.Model):
    """Base of rows that are written once. A trigger in the database says so too."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None and not self._state.adding:
            raise Unchangeable(f"{type(self).__name__} {self.pk} is never changed; add a new one")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise Unchangeable(f"{type(self).__name__} {self.pk} is never deleted")


class Judgment(AppendOnly):
    """What one person said of one item. `label` is in terms of the stored responses, not of the screen.

    `label` is "0" or "1" (position of the preferred response), "tie" or "both_bad".
    `display_order` holds the positions as they were shown, first to last.
    """

    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="judgments")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="judgments")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="judgments")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="judgments")
    revision = models.PositiveSmallIntegerField(default=1)
    client_key = models.UUIDField()
    kind = models.CharField(max_length=20, default="pairwise")
    label = models.CharField(max_length=20)
    display_order = models.JSONField()
    answer = models.JSONField()
    active_ms = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["assignment", "revision"], name="one_judgment_per_revision"),
            models.UniqueConstraint(fields=["person", "client_key"], name="one_judgment_per_client_key"),
        ]
        indexes = [
            models.Index(fields=["project", "created_at"], name="judgments_by_day"),
            models.Index(fields=["project", "item"], name="judgments_of_item"),
        ]

    def __str__(self) -> str:
        return f"{self.person} on item {self.item_id}: {self.label}"


class Draft(models.Model):
    """An answer on its way, kept on the server until it is submitted."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="drafts")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="drafts")
    answer = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "item"], name="one_draft_per_person")]

    def __str__(self) -> str:
        return f"draft of {self.person} on item {self.item_id}"
