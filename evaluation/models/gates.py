"""What a candidate must show to be promoted, and the decisions that were taken."""

from django.db import models

from evaluation.models.runs import EvalRun
from evaluation.models.suites import Suite
from labeling.models import Project, User
from labeling.models.appendonly import AppendOnly
from training.models import Checkpoint


class Gate(models.Model):
    """The conditions of one suite. `guardrails` is a list of {"metric", "margin"}: a metric of the run that may be
    worse than the champion's by at most the margin, in its own unit.

    `forgetting` is a suite whose primary metric may fall by at most `forgetting_margin`. Shares are from 0 to 1.
    """

    suite = models.OneToOneField(Suite, on_delete=models.CASCADE, related_name="gate")
    alpha = models.FloatField(default=0.05)
    margin = models.FloatField(default=0.02)
    guardrails = models.JSONField(default=list)
    forgetting = models.ForeignKey(Suite, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    forgetting_margin = models.FloatField(default=0.02)
    contamination = models.FloatField(default=0.0)
    missing = models.FloatField(default=0.05)
    agreement = models.FloatField(default=0.667)
    needs_sealed = models.BooleanField(default=False)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"gate of {self.suite}"


class Decision(AppendOnly):
    """What was decided about a candidate, with everything it rested on. `findings` is evaluation.gates.Findings.

    `record` is the Markdown that people keep; `content_hash` is its SHA-256.
    """

    class Action(models.TextChoices):
        PROMOTED = "promoted", "Promoted"
        KEPT = "kept", "Champion kept"
        ROLLED_BACK = "rolled_back", "Rolled back"

    class Verdict(models.TextChoices):
        BETTER = "better", "Better"
        NOT_WORSE = "not_worse", "Not worse"
        WORSE = "worse", "Worse"
        INCONCLUSIVE = "inconclusive", "Inconclusive"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="decisions")
    run = models.ForeignKey(EvalRun, null=True, on_delete=models.PROTECT, related_name="decisions")
    candidate = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="decisions")
    champion = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=15, choices=Verdict.choices, blank=True)
    passed = models.BooleanField(null=True)
    action = models.CharField(max_length=15, choices=Action.choices)
    reason = models.CharField(max_length=300, blank=True)
    findings = models.JSONField(default=dict)
    record = models.TextField()
    content_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"decision {self.pk}: {self.candidate} {self.get_action_display().lower()}"
