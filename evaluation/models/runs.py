"""Evaluation runs: the frozen plan, one row for each thing it owes, and the scores computed of them."""

from pathlib import Path

from django.conf import settings
from django.db import models

from evaluation.models.suites import Case, Suite
from labeling.estimates import Estimate
from labeling.lifecycle import Lifecycle, Status
from labeling.models import Project
from training.models import Checkpoint


class EvalRun(Lifecycle):
    """Checkpoints scored on a suite. `plan` lists the checkpoint numbers, the baseline first, and never changes."""

    job = "evaluation.jobs.drive_evaluation"
    claimed_as = Status.STARTING

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="evaluations")
    suite = models.ForeignKey(Suite, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField(max_length=120)
    engine = models.CharField(max_length=20)
    plan = models.JSONField()
    checkpoints = models.ManyToManyField(Checkpoint, related_name="evaluations")
    folder = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return Path(settings.PREFLOOP_VAR) / "evaluations" / self.folder


class CaseResult(models.Model):
    """What one checkpoint gave for one case. Log-probabilities in nats, summed over the response's tokens."""

    run = models.ForeignKey(EvalRun, on_delete=models.CASCADE, related_name="results")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="results")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="results")
    chosen_logprob = models.FloatField()
    chosen_tokens = models.PositiveIntegerField()
    rejected_logprob = models.FloatField()
    rejected_tokens = models.PositiveIntegerField()

    class Meta:
        ordering = ["run", "checkpoint", "case"]
        constraints = [
            models.UniqueConstraint(fields=["run", "case", "checkpoint"], name="one_result_per_case")
        ]

    def __str__(self) -> str:
        return f"case {self.case_id} by checkpoint {self.checkpoint_id}"

    @property
    def preferred(self) -> float:
        """1 when the chosen response is likelier by the mean log-probability of a token, 0 when not, 0.5 at a tie."""
        chosen = self.chosen_logprob / self.chosen_tokens
        rejected = self.rejected_logprob / self.rejected_tokens
        return 0.5 if chosen == rejected else float(chosen > rejected)


class Score(models.Model):
    """One number of a run with its interval; with `versus`, a paired difference to that checkpoint.

    `p_value` is Holm-adjusted over the checkpoints of the run.
    """

    class Metric(models.TextChoices):
        ACCURACY = "accuracy", "Preference accuracy"
        PERPLEXITY = "perplexity", "Perplexity of chosen responses"
        ACCURACY_DELTA = "accuracy_delta", "Difference in preference accuracy"
        PERPLEXITY_RATIO = "perplexity_ratio", "Ratio of perplexities"

    run = models.ForeignKey(EvalRun, on_delete=models.CASCADE, related_name="scores")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="scores")
    versus = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="+")
    metric = models.CharField(max_length=20, choices=Metric.choices)
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    n = models.PositiveIntegerField()
    p_value = models.FloatField(null=True)
    fixed = models.PositiveIntegerField(null=True)
    broken = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "checkpoint", "metric"], name="one_score_per_metric")
        ]

    def __str__(self) -> str:
        return f"{self.metric} of {self.checkpoint_id}: {self.estimate}"

    @property
    def estimate(self) -> Estimate | None:
        """The number with its doubt; None where there was not enough data."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return Estimate(value=self.value, low=self.low, high=self.high, n=self.n)
