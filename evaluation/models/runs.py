"""Evaluation runs: the frozen plan, what engines gave, one row for each thing owed, and the numbers of them."""

from typing import Any

from django.db import models
from django.db.models import Q

from evaluation.models.asking import AskingJob
from evaluation.models.suites import Case, Split, Suite, SuiteVersion
from evaluation.models.targets import RunTarget
from labeling.estimates import Estimate
from labeling.lifecycle import Status
from labeling.models import Project
from training.models import Checkpoint


class EvalRun(AskingJob):
    """Targets scored on the cases of one split of a suite's version. `spec` is evaluation.specs.RunSpec; nothing of
    this row but its status changes after it was planned."""

    job = "evaluation.jobs.drive_evaluation"
    claimed_as = Status.STARTING

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="evaluations")
    suite = models.ForeignKey(Suite, on_delete=models.PROTECT, related_name="runs")
    version = models.ForeignKey(SuiteVersion, on_delete=models.PROTECT, related_name="runs")
    split = models.CharField(max_length=10, choices=Split.choices, default=Split.DEV)
    name = models.CharField(max_length=120)
    engine = models.CharField(max_length=20)
    spec = models.JSONField()
    checkpoints = models.ManyToManyField(Checkpoint, related_name="evaluations")
    stage = models.CharField(max_length=20, blank=True, editable=False)
    facts = models.JSONField(default=dict, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def primary(self) -> str:
        """The name of the metric that the verdict is about."""
        return str(self.spec["primary"])

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The run's metrics as the plan froze them, the primary first."""
        return list(self.spec["metrics"])


class Output(models.Model):
    """What an engine gave once, kept by the content of the question: the same question again is not asked.

    `key` is a hash over the target's identity, the engine's profile, the rendered request and the sample's number.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)
    kind = models.CharField(max_length=10)
    text = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(null=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    prompt_hash = models.CharField(max_length=64, blank=True)
    finish = models.CharField(max_length=20, blank=True)
    ms = models.FloatField(null=True)
    cost = models.FloatField(null=True)
    logprob = models.FloatField(null=True)
    bytes = models.PositiveIntegerField(null=True)
    truncated = models.BooleanField(default=False)
    probabilities = models.JSONField(null=True)
    mass = models.FloatField(null=True)
    reward = models.FloatField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="one_output_per_question")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key[:12]}"


class CaseResult(models.Model):
    """What one target gave for one case, once for each sample. Without an output, `error` says why there is none."""

    run = models.ForeignKey(EvalRun, on_delete=models.CASCADE, related_name="results")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="results")
    target = models.ForeignKey(RunTarget, on_delete=models.CASCADE, related_name="results")
    sample = models.PositiveSmallIntegerField(default=0)
    output = models.ForeignKey(Output, null=True, on_delete=models.PROTECT, related_name="results")
    reused = models.BooleanField(default=False)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["run", "target", "case", "sample"]
        constraints = [
            models.UniqueConstraint(fields=["run", "target", "case", "sample"], name="one_result_per_sample")
        ]

    def __str__(self) -> str:
        return f"case {self.case_id} by target {self.target_id}"


class CaseScore(models.Model):
    """One metric of one result. `value` of a rate is its numerator, and `size` its denominator.

    Unscorable: the metric has no meaning for this case (no reference, no claim). Error: it has one that could not be
    found (no answer, a judge that said something else). Both are counted beside every mean.
    """

    class State(models.TextChoices):
        SCORED = "scored", "Scored"
        UNSCORABLE = "unscorable", "Unscorable"
        ERROR = "error", "Error"

    result = models.ForeignKey(CaseResult, on_delete=models.CASCADE, related_name="scores")
    metric = models.CharField(max_length=60)
    state = models.CharField(max_length=10, choices=State.choices)
    value = models.FloatField(null=True)
    size = models.FloatField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    detail = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["result", "metric"], name="one_score_per_result")]

    def __str__(self) -> str:
        return f"{self.metric} of result {self.result_id}: {self.value}"


class Score(models.Model):
    """One number of a run with its interval; with `versus`, a paired difference to that target (a ratio for
    perplexity). `slice` is a tag of cases; without one it is over all of them.

    `n` cases are in the number; `unscorable` and `errors` count those that are not. `p_value` is Holm's over the
    targets of the run for the whole, Benjamini and Hochberg's over the slices of one target.
    """

    run = models.ForeignKey(EvalRun, on_delete=models.CASCADE, related_name="scores")
    target = models.ForeignKey(RunTarget, on_delete=models.CASCADE, related_name="scores")
    versus = models.ForeignKey(RunTarget, null=True, on_delete=models.CASCADE, related_name="+")
    metric = models.CharField(max_length=60)
    slice = models.CharField(max_length=120, blank=True)
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    n = models.PositiveIntegerField()
    clusters = models.PositiveIntegerField(default=0)
    unscorable = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    p_value = models.FloatField(null=True)
    fixed = models.PositiveIntegerField(null=True)
    broken = models.PositiveIntegerField(null=True)
    spread = models.FloatField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "target", "metric", "slice"],
                condition=Q(versus=None),
                name="one_score_per_metric",
            ),
            models.UniqueConstraint(
                fields=["run", "target", "versus", "metric", "slice"],
                condition=Q(versus__isnull=False),
                name="one_difference_per_metric",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric} of {self.target_id}: {self.estimate}"

    @property
    def estimate(self) -> Estimate | None:
        """The number with its doubt; None where there was not enough data."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return Estimate(value=self.value, low=self.low, high=self.high, n=self.n)
