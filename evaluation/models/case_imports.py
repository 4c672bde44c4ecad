"""Files on their way into a suite."""

from django.db import models

from evaluation.models.suites import Suite
from labeling.lifecycle import Lifecycle
from labeling.models import Project


class CaseImport(Lifecycle):
    """One file of cases. `rows` were read and dealt with; `sealed` cases came under seal because they share their
    prompt or cluster with a sealed one; `row_errors` has the first of the refused rows, as [{"line", "reason"}]."""

    job = "evaluation.jobs.import_cases"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="case_imports")
    suite = models.ForeignKey(Suite, on_delete=models.CASCADE, related_name="imports")
    filename = models.CharField(max_length=255)
    path = models.CharField(max_length=500)
    rows = models.PositiveIntegerField(default=0)
    new = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    sealed = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    row_errors = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.filename
