"""Frozen datasets, how they are made, what must never be trained on, and what was withdrawn."""

from pathlib import Path

from django.conf import settings
from django.db import models

from labeling.lifecycle import Lifecycle
from labeling.models.appendonly import AppendOnly
from labeling.models.items import Item
from labeling.models.judgments import Judgment
from labeling.models.people import User
from labeling.models.projects import Project

SPLITS = ("train", "validation", "test")


class DatasetVersion(AppendOnly):
    """Rows that never change, with the recipe that made them and a hash over their content.

    `content_hash` is over the rows, `file_hash` over the bytes of their file. `lint` is the report of the check before
    the freeze; `override` says why a version was frozen although the check had findings that block. A version of rows
    chosen out of another one has that one as its `parent`, and in `choice` how they were chosen.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="dataset_versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    recipe = models.JSONField()
    content_hash = models.CharField(max_length=64)
    file_hash = models.CharField(max_length=64, blank=True)
    lint = models.JSONField(default=dict)
    override = models.TextField(blank=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    choice = models.JSONField(null=True)
    splits = models.JSONField()
    dropped = models.JSONField()
    folder = models.CharField(max_length=200)
    last_judgment_id = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="dataset_numbered_once")]

    def __str__(self) -> str:
        return f"{self.project.slug} v{self.number}"

    @property
    def rows(self) -> int:
        return sum(split["rows"] for split in self.splits.values())

    @property
    def ordered_splits(self) -> list[tuple[str, dict[str, int]]]:
        """Training first; PostgreSQL keeps the keys of JSON in an order of its own."""
        return sorted(self.splits.items(), key=lambda split: SPLITS.index(split[0]))

    @property
    def path(self) -> Path:
        """Folder with rows.parquet and manifest.json."""
        return Path(settings.PREFLOOP_VAR) / "datasets" / self.folder


class DatasetEntry(AppendOnly):
    """One judgment behind one row of a dataset version: the thread between them, followed both ways.

    A row of prompts only has its item, and no judgment.
    """

    # The unique constraint begins with the version and is its index.
    version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    row = models.PositiveIntegerField()
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="dataset_entries", db_index=False)
    judgment = models.ForeignKey(
        Judgment, null=True, on_delete=models.PROTECT, related_name="dataset_entries"
    )

    class Meta:
        ordering = ["version", "row", "judgment"]
        constraints = [
            models.UniqueConstraint(fields=["version", "row", "judgment"], name="judgment_once_per_row")
        ]
        # Others are found by the judgments of their item.
        indexes = [
            models.Index(fields=["item"], condition=models.Q(judgment__isnull=True), name="prompts_by_item")
        ]

    def __str__(self) -> str:
        return f"row {self.row} of {self.version_id}"


class Freeze(Lifecycle):
    """A recipe on its way to a version. It fails where the check blocks; `lint` then says what was found.

    With a `parent` it is not the judgments that are read but the rows of that version; `keep` has the numbers of those
    of its training rows that are kept, and `choice` how they were chosen.
    """

    job = "labeling.jobs.run_freeze"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="freezes")
    recipe = models.JSONField()
    override = models.TextField(blank=True)
    parent = models.ForeignKey(DatasetVersion, null=True, on_delete=models.PROTECT, related_name="+")
    keep = models.JSONField(null=True)
    choice = models.JSONField(null=True)
    version = models.ForeignKey(DatasetVersion, null=True, on_delete=models.PROTECT, related_name="freezes")
    lint = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"freeze {self.pk} of {self.project_id}"


class Withdrawal(AppendOnly):
    """A person, or an item, that asked to be taken out. Later versions leave it out; earlier ones are stale."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="withdrawals")
    person = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="withdrawals")
    item = models.ForeignKey(Item, null=True, on_delete=models.PROTECT, related_name="withdrawals")
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(person__isnull=True) ^ models.Q(item__isnull=True),
                name="withdrawn_person_or_item",
            ),
            models.UniqueConstraint(fields=["project", "person"], name="person_withdrawn_once"),
            models.UniqueConstraint(fields=["project", "item"], name="item_withdrawn_once"),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.pk}"


class Tokenizer(models.Model):
    """The tokenizer of a base model, by which recipes may count lengths."""

    name = models.CharField(max_length=120, unique=True)
    path = models.CharField(max_length=500)
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ProtectedFingerprint(models.Model):
    """A prompt that is used for evaluation: neither it nor what nearly is it may be in a training split."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="protected_fingerprints")
    prompt_hash = models.CharField(max_length=64)
    text = models.TextField(blank=True)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "prompt_hash"], name="protected_once")]

    def __str__(self) -> str:
        return f"{self.prompt_hash[:12]}: {self.reason}"
