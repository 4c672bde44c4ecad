"""Retrain policies: when to train again on what people said since, and every run of that with its five steps."""

from typing import Any

from django.db import models
from django.db.models import Q

from evaluation.models.runs import EvalRun
from evaluation.models.suites import Suite
from labeling.models import DatasetVersion, Freeze, Project, User
from training.models import Checkpoint, TrainingRun


class RetrainPolicy(models.Model):
    """The rules of one project. `times` ("02:30") of `days` (0 is Monday) are wall-clock times in `zone`.

    Without `origin` the run behind what is in production is followed; `recipe` and `values`, where given, take the
    place of that run's. `served_at` is the moment up to which scheduled times have been served, `turn` counts starts.
    """

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="retrain_policy")
    is_on = models.BooleanField(default=False)
    days = models.JSONField(default=list)
    times = models.JSONField(default=list)
    zone = models.CharField(max_length=64, default="UTC")
    every = models.PositiveIntegerField(null=True)
    origin = models.ForeignKey(TrainingRun, null=True, on_delete=models.PROTECT, related_name="+")
    recipe = models.JSONField(null=True)
    values = models.JSONField(default=dict)
    override = models.CharField(max_length=500, blank=True)
    suite = models.ForeignKey(Suite, on_delete=models.PROTECT, related_name="retrain_policies")
    engine = models.CharField(max_length=20, blank=True)
    sampling = models.JSONField(default=dict)
    runs_a_week = models.PositiveIntegerField(null=True)
    hours_a_week = models.FloatField(null=True)
    cost_a_week = models.FloatField(null=True)
    quiet_from = models.TimeField(null=True)
    quiet_to = models.TimeField(null=True)
    pause_after = models.PositiveSmallIntegerField(default=3)
    served_at = models.DateTimeField(editable=False)
    resumed_at = models.DateTimeField(null=True, editable=False)
    turn = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"retrain policy of {self.project_id}"


class PolicyRun(models.Model):
    """One pass: freeze, train, evaluate, gate, candidate. `plan` freezes what it was told; `known` is the version that
    was trained on before it. Under way as long as it has no outcome; `sentence` then says why it ended so.
    """

    class Trigger(models.TextChoices):
        BUTTON = "button", "By hand"
        SCHEDULE = "schedule", "By schedule"
        JUDGMENTS = "judgments", "New judgments"

    class Outcome(models.TextChoices):
        CANDIDATE = "candidate", "Candidate ready"
        NOTHING_NEW = "nothing_new", "Nothing new"
        BLOCKED = "blocked", "Check blocked"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"
        GATE = "gate", "Gate not passed"
        BUDGET = "budget", "Budget reached"
        CANCELLED = "cancelled", "Cancelled"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="policy_runs")
    policy = models.ForeignKey(RetrainPolicy, on_delete=models.CASCADE, related_name="runs")
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    due_at = models.DateTimeField(null=True)
    newer = models.PositiveIntegerField()
    newest_judgment = models.BigIntegerField()
    origin = models.ForeignKey(TrainingRun, on_delete=models.PROTECT, related_name="+")
    known = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    suite = models.ForeignKey(Suite, on_delete=models.PROTECT, related_name="+")
    plan = models.JSONField()
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True)
    sentence = models.TextField(blank=True)
    faults = models.PositiveSmallIntegerField(default=0, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(outcome=""), name="one_policy_run_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"policy run {self.pk}"

    @property
    def is_over(self) -> bool:
        return bool(self.outcome)


class PolicyStep(models.Model):
    """One of the five steps: how far it is, the job that does it, and what it came to.

    `seconds` and `cost` are what the job took, for the budget; `findings` is what the gate found
    (evaluation.findings.Findings).
    """

    class Kind(models.TextChoices):
        FREEZE = "freeze", "Freeze"
        TRAIN = "train", "Train"
        EVALUATE = "evaluate", "Evaluate"
        GATE = "gate", "Gate"
        CANDIDATE = "candidate", "Candidate"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped here"
        SKIPPED = "skipped", "Not reached"

    run = models.ForeignKey(PolicyRun, on_delete=models.CASCADE, related_name="steps")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    sentence = models.TextField(blank=True)
    freeze = models.OneToOneField(Freeze, null=True, on_delete=models.PROTECT, related_name="policy_step")
    version = models.ForeignKey(DatasetVersion, null=True, on_delete=models.PROTECT, related_name="+")
    training = models.OneToOneField(
        TrainingRun, null=True, on_delete=models.PROTECT, related_name="policy_step"
    )
    checkpoint = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="+")
    evaluation = models.OneToOneField(
        EvalRun, null=True, on_delete=models.PROTECT, related_name="policy_step"
    )
    findings = models.JSONField(default=dict)
    seconds = models.FloatField(null=True)
    cost = models.FloatField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "id"]
        constraints = [models.UniqueConstraint(fields=["run", "kind"], name="policy_step_once")]

    def __str__(self) -> str:
        return f"{self.kind} of policy run {self.run_id}"

    @property
    def job(self) -> Any:
        """The row of the job that does this step; None where none has begun, or none does it."""
        return self.freeze or self.training or self.evaluation
