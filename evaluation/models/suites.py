"""Evaluation suites: a name, its frozen versions, and the cases that came and went with them."""

import uuid
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q, QuerySet

from labeling.models import DatasetVersion, Project, User

if TYPE_CHECKING:
    from evaluation.models.runs import EvalRun

PREVIEW_LENGTH = 160


def new_uid() -> str:
    return uuid.uuid4().hex


class Suite(models.Model):
    """What a team measures by. `scoring` lists the scorers and their business weights, as evaluation.scoring reads it.

    `system` is put before every prompt that has no system message.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="suites")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    dataset_version = models.ForeignKey(
        DatasetVersion, null=True, on_delete=models.PROTECT, related_name="suites"
    )
    split = models.CharField(max_length=20, blank=True)
    system = models.TextField(blank=True)
    scoring = models.JSONField(default=list)
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["dataset_version", "split"], name="one_suite_per_split"),
            models.UniqueConstraint(fields=["project", "name"], name="suite_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class SuiteVersion(models.Model):
    """One state of a suite's cases. Open until it is frozen; a run freezes it, and edits then begin the next number.

    `content_hash` is over the cases in order; `cases` and `sealed` count them when it was frozen.
    """

    suite = models.ForeignKey(Suite, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    frozen_at = models.DateTimeField(null=True)
    content_hash = models.CharField(max_length=64, blank=True)
    cases = models.PositiveIntegerField(default=0)
    sealed = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["suite", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["suite", "number"], name="suite_version_numbered_once"),
            models.UniqueConstraint(
                fields=["suite"], condition=Q(frozen_at=None), name="one_open_version_per_suite"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.suite} v{self.number}"


class CaseQuerySet(QuerySet["Case"]):
    def of(self, version: SuiteVersion) -> "CaseQuerySet":
        """The cases that belong to a version, in order."""
        alive = Q(removed=None) | Q(removed__gt=version.number)
        return self.filter(alive, suite=version.suite_id, added__lte=version.number).order_by(
            "position", "id"
        )

    def in_split(self, version: SuiteVersion, split: str) -> "CaseQuerySet":
        """The cases of a version that are open to everybody ("dev"), or those under seal ("sealed")."""
        return self.of(version).filter(sealed=split == Split.SEALED)

    def of_run(self, run: "EvalRun") -> "CaseQuerySet":
        """The cases that a run is on, in order: those of its split, or those of them that its plan names; only those
        that have gold contexts where it is given these."""
        rows = self.in_split(run.version, run.split)
        if only := run.spec.get("only"):
            rows = rows.filter(uid__in=only)
        return rows.exclude(gold=[]) if run.spec.get("contexts") == "gold" else rows


class Split(models.TextChoices):
    """Which cases a run is scored on: those to choose by, or those that judge one chosen candidate."""

    DEV = "dev", "Open cases"
    SEALED = "sealed", "Sealed cases"


class Case(models.Model):
    """One state of a case, never changed: an edit ends this row at a version and begins another with the same `uid`.

    It belongs to the versions from `added` to the one before `removed`. The texts are payload. `reference` is the
    answer that people chose or wrote, `rejected` the one they chose it over. `contexts` are what was retrieved for it,
    `gold` the texts that hold the answer. `cluster` names what makes cases depend on
    each other (a document, a conversation); without one it is the prompt. `checks` are conditions of this case alone.
    `note` says why this state began, as the reason for which a seal was opened.
    """

    suite = models.ForeignKey(Suite, on_delete=models.CASCADE, related_name="cases")
    uid = models.CharField(max_length=32, default=new_uid)
    added = models.PositiveIntegerField(default=1)
    removed = models.PositiveIntegerField(null=True)
    position = models.PositiveIntegerField()
    sealed = models.BooleanField(default=False)
    preview = models.CharField(max_length=PREVIEW_LENGTH, blank=True)
    prompt = models.JSONField()
    prompt_hash = models.CharField(max_length=64)
    reference = models.TextField(null=True)
    rejected = models.TextField(null=True)
    contexts = models.JSONField(default=list)
    gold = models.JSONField(default=list)
    tags = models.JSONField(default=list)
    checks = models.JSONField(default=list)
    weight = models.FloatField(default=1.0)
    cluster = models.CharField(max_length=100, blank=True)
    source = models.CharField(max_length=300, blank=True)
    note = models.CharField(max_length=300, blank=True)
    content_hash = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    objects = CaseQuerySet.as_manager()

    class Meta:
        ordering = ["suite", "position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["suite", "uid"], condition=Q(removed=None), name="one_living_state_per_case"
            )
        ]
        indexes = [
            models.Index(fields=["suite", "removed", "position"], name="case_living"),
            models.Index(fields=["suite", "uid"], name="case_history"),
            models.Index(fields=["suite", "prompt_hash"], condition=Q(removed=None), name="case_prompts"),
            models.Index(fields=["suite", "prompt_hash"], condition=Q(sealed=True), name="case_seals"),
            models.Index(fields=["suite", "cluster"], name="case_clusters"),
        ]

    def __str__(self) -> str:
        return f"case {self.position + 1} of {self.suite_id}"

    @property
    def unit(self) -> str:
        """The cluster that this case is drawn with: cases of one cluster are not independent."""
        return self.cluster or self.prompt_hash

    def content(self) -> dict[str, Any]:
        """What a version's hash is over. Gold contexts are in it only where there are any: earlier hashes stay."""
        return {
            "uid": self.uid,
            "prompt": self.prompt,
            "reference": self.reference,
            "rejected": self.rejected,
            "contexts": self.contexts,
            "tags": self.tags,
            "checks": self.checks,
            "weight": self.weight,
            "cluster": self.cluster,
            "sealed": self.sealed,
            **({"gold": self.gold} if self.gold else {}),
        }
