"""Frozen datasets, and the prompts that must never be trained on."""

from pathlib import Path

from django.conf import settings
from django.db import models

from labeling.models.appendonly import AppendOnly
from labeling.models.items import Item
from labeling.models.judgments import Judgment
from labeling.models.people import User
from labeling.models.projects import Project


class DatasetVersion(AppendOnly):
    """Rows that never change, with the recipe that made them and a hash over their content."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="dataset_versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    recipe = models.JSONField()
    content_hash = models.CharField(max_length=64)
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
    def path(self) -> Path:
        """Folder with rows.parquet and manifest.json."""
        return Path(settings.PREFLOOP_VAR) / "datasets" / self.folder


class DatasetEntry(AppendOnly):
    """One judgment behind one row of a dataset version: the thread between them, followed both ways."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="entries")
    row = models.PositiveIntegerField()
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="dataset_entries")
    judgment = models.ForeignKey(Judgment, on_delete=models.PROTECT, related_name="dataset_entries")

    class Meta:
        ordering = ["version", "row", "judgment"]
        constraints = [
            models.UniqueConstraint(fields=["version", "row", "judgment"], name="judgment_once_per_row")
        ]

    def __str__(self) -> str:
        return f"row {self.row} of {self.version_id}"


class ProtectedFingerprint(models.Model):
    """The hash of a prompt that is used for evaluation: it may never be in a training split."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="protected_fingerprints")
    prompt_hash = models.CharField(max_length=64)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "prompt_hash"], name="protected_once")]

    def __str__(self) -> str:
        return f"{self.prompt_hash[:12]}: {self.reason}"
