"""What people judge: items with their responses, and the slots by which people take them."""

from django.db import models
from django.db.models import Q

from labeling.lifecycle import Lifecycle
from labeling.models.people import User
from labeling.models.projects import Project

PREVIEW_LENGTH = 200


class Purpose(models.TextChoices):
    """Why a person has an item: to judge it, to be checked by a known answer, or to be compared with themselves."""

    WORK = "work", "Work"
    GOLD = "gold", "Known answer"
    REPEAT = "repeat", "Repeat"


class ReviewState(models.TextChoices):
    SUBMITTED = "submitted", "Submitted"
    IN_REVIEW = "in_review", "In review"
    ACCEPTED = "accepted", "Accepted"
    RETURNED = "returned", "Returned"


class ImportBatch(Lifecycle):
    """One file on its way into a project."""

    job = "labeling.jobs.run_import"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    filename = models.CharField(max_length=255)
    path = models.CharField(max_length=500)
    format = models.CharField(max_length=20, default="auto")
    licence = models.CharField(max_length=100, blank=True)
    scrub = models.BooleanField(default=False)
    new = models.PositiveIntegerField(default=0)
    duplicate = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.filename


class RowError(models.Model):
    """A row that was refused, with the reason. The first few hundred of a file are kept."""

    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="row_errors")
    line = models.PositiveIntegerField()
    reason = models.TextField()

    class Meta:
        ordering = ["line", "id"]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class Item(models.Model):
    """A prompt with the responses to be judged.

    `messages` and `extra` are payload: list and count queries use `preview` and never read them.
    """

    # The unique constraint on (project, content_hash) already is an index that begins with the project.
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items", db_index=False)
    batch = models.ForeignKey(ImportBatch, null=True, on_delete=models.PROTECT, related_name="items")
    content_hash = models.CharField(max_length=32)
    prompt_hash = models.CharField(max_length=64)
    preview = models.CharField(max_length=PREVIEW_LENGTH)
    source_kind = models.CharField(max_length=40, default="import")
    source_ref = models.CharField(max_length=200, blank=True)
    licence = models.CharField(max_length=100, blank=True)
    synthetic = models.BooleanField(default=False)
    overlap = models.PositiveSmallIntegerField(default=1)
    priority = models.SmallIntegerField(default=0)
    n_responses = models.PositiveSmallIntegerField(default=2)
    created_at = models.DateTimeField(auto_now_add=True)
    messages = models.JSONField()
    extra = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "content_hash"], name="item_once_per_project")
        ]

    def __str__(self) -> str:
        return self.preview


class Response(models.Model):
    """One answer to an item's prompt. `origin` (which model wrote it) never reaches an annotator."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="responses", db_index=False)
    position = models.PositiveSmallIntegerField()
    text = models.TextField(blank=True)
    origin = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["item", "position"]
        constraints = [models.UniqueConstraint(fields=["item", "position"], name="one_response_per_position")]

    def __str__(self) -> str:
        return f"response {self.position} of item {self.item_id}"


class Assignment(models.Model):
    """One slot of an item: free, leased to a person, submitted, or skipped. The state of the work lives here.

    `turn` decides the order in which the responses are shown: consecutive turns are each other's reverse.
    `priority` is the item's, highest first. `freed_at` is set when a slot comes back to the queue.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="assignments", db_index=False)
    slot = models.PositiveSmallIntegerField()
    turn = models.PositiveSmallIntegerField(default=0)
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.WORK)
    priority = models.SmallIntegerField(default=0)
    person = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="assignments", db_index=False
    )
    token = models.UUIDField(null=True)
    leased_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    freed_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(null=True)
    skipped_at = models.DateTimeField(null=True)
    skip_reason = models.CharField(max_length=20, blank=True)
    review = models.CharField(max_length=10, choices=ReviewState.choices, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "slot"], condition=Q(purpose="work"), name="one_assignment_per_slot"
            ),
            models.UniqueConstraint(fields=["item", "person", "purpose"], name="one_assignment_per_person"),
            models.CheckConstraint(
                condition=Q(person__isnull=False) | Q(submitted_at__isnull=True, token__isnull=True),
                name="nobody_holds_nothing",
            ),
        ]
        indexes = [
            models.Index(
                fields=["project", "-priority", "item", "slot"],
                condition=Q(person__isnull=True),
                name="free_slots",
            ),
            models.Index(
                fields=["project", "freed_at"],
                condition=Q(person__isnull=True, freed_at__isnull=False),
                name="freed_slots",
            ),
            models.Index(
                fields=["project", "expires_at"],
                condition=Q(person__isnull=False, submitted_at__isnull=True, skipped_at__isnull=True),
                name="open_leases",
            ),
            models.Index(
                fields=["person", "project", "submitted_at"],
                condition=Q(person__isnull=False),
                name="slots_of_person",
            ),
            models.Index(
                fields=["project", "review", "submitted_at"],
                condition=Q(submitted_at__isnull=False),
                name="slots_in_review",
            ),
        ]

    def __str__(self) -> str:
        return f"slot {self.slot} of item {self.item_id}"


class Deferral(models.Model):
    """An item that a person put to the end of their own queue. Others may take it meanwhile."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "item"], name="one_deferral_per_person")]
        indexes = [models.Index(fields=["project", "person", "created_at"], name="deferrals_of_person")]

    def __str__(self) -> str:
        return f"item {self.item_id} later for {self.person_id}"
