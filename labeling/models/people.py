"""People, and who may do what in which project."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from labeling.models.projects import Project


class User(AbstractUser):
    """A person who signs in. Roles are held per project, in Membership.

    `preferences` holds what this person chose for the pages: keys, layout, raw text.
    """

    preferences: "models.JSONField[dict[str, Any]]" = models.JSONField(default=dict, blank=True)


class Role(models.TextChoices):
    ANNOTATOR = "annotator", "Annotator"
    REVIEWER = "reviewer", "Reviewer"
    ENGINEER = "engineer", "ML engineer"
    LEAD = "lead", "Lead"
    OWNER = "owner", "Owner"


class Membership(models.Model):
    """One person's role in one project."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "project"], name="one_role_per_project")]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()}"


class Invitation(models.Model):
    """A link by which one person joins a project. Only the hash of its secret is stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=12, choices=Role.choices)
    note = models.CharField(max_length=120, blank=True)
    secret_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"invitation to {self.project_id} as {self.get_role_display()}"

    @property
    def is_open(self) -> bool:
        return self.accepted_by_id is None and self.expires_at > timezone.now()


class Seat(models.Model):
    """One person's place in one project's queue: how far they are, and how much they did.

    The counters are kept with each answer, so that no page has to count judgments. `cursor_priority` and `cursor_item`
    are the place of the last item taken in order; `epoch` is the project's when the cursor was set.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="seats", db_index=False)
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="seats")
    judged = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    active_ms = models.PositiveBigIntegerField(default=0)
    day = models.DateField(null=True)
    judged_today = models.PositiveIntegerField(default=0)
    active_today_ms = models.PositiveBigIntegerField(default=0)
    returned = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(null=True)
    cursor_priority = models.IntegerField(null=True)
    cursor_item = models.BigIntegerField(default=0)
    epoch = models.PositiveIntegerField(default=0)
    freed_seen = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "person"], name="one_seat_per_project")]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.project_id}: {self.judged} judged"
