"""Failures that people read: in which order, what they named them, what is planned against each kind, and the runs with
other contexts that tell which stage is to blame."""

from django.db import models

from evaluation.models.runs import EvalRun
from evaluation.models.suites import Case
from evaluation.models.targets import RunTarget
from labeling.models import ErrorCategory, Project, User
from labeling.models.appendonly import AppendOnly


class Analysis(models.Model):
    """The failing cases of one target of a finished run in one metric, in the random order in which they are read.

    `order` holds the numbers of the cases, drawn by `seed`; it is payload. Of `evaluated` cases with a value `failing`
    fail. What was read is always the beginning of the order, so that it is a random sample.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="analyses")
    run = models.ForeignKey(EvalRun, on_delete=models.CASCADE, related_name="analyses")
    target = models.ForeignKey(RunTarget, on_delete=models.CASCADE, related_name="analyses")
    metric = models.CharField(max_length=60)
    seed = models.PositiveIntegerField()
    order = models.JSONField(editable=False)
    evaluated = models.PositiveIntegerField()
    failing = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "target", "metric"], name="one_analysis_per_metric")
        ]

    def __str__(self) -> str:
        return f"errors of {self.target} in {self.metric}"


class ErrorRead(models.Model):
    """One failure in the hands of a reader, and after `read_at` read: the keys of its categories (none: nothing fits).

    Its present state; every state that it had is an ErrorReadChange.
    """

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="reads", db_index=False)
    place = models.PositiveIntegerField()
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    reader = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    claimed_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["analysis", "place"]
        constraints = [models.UniqueConstraint(fields=["analysis", "place"], name="one_read_per_place")]

    def __str__(self) -> str:
        return f"failure {self.place + 1} of analysis {self.analysis_id}"


class ErrorReadChange(AppendOnly):
    """What one person said of a failure; the newest one counts."""

    read = models.ForeignKey(ErrorRead, on_delete=models.CASCADE, related_name="changes")
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.person} on {self.read}"


class CategoryPlan(models.Model):
    """What is planned against one kind of error. `effort` is in days of work, as people reckon it."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        WORKING = "working", "In work"
        FIXED = "fixed", "Fixed"
        LEFT = "left", "Left as it is"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="category_plans")
    category = models.OneToOneField(ErrorCategory, on_delete=models.CASCADE, related_name="plan")
    effort = models.FloatField(null=True)
    owner = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    note = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"plan against {self.category}"


class Intervention(models.Model):
    """The same cases asked again with other contexts, to measure which stage is to blame. Its arms are ordinary runs,
    of one target."""

    class Scope(models.TextChoices):
        FAILING = "failing", "Failing cases"
        WHOLE = "whole", "The whole split"

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="interventions")
    scope = models.CharField(max_length=10, choices=Scope.choices)
    cases = models.PositiveIntegerField()
    seed = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"intervention {self.pk} on {self.analysis}"


class InterventionArm(models.Model):
    """One run of an intervention, and which contexts it was given."""

    intervention = models.ForeignKey(Intervention, on_delete=models.CASCADE, related_name="arms")
    contexts = models.CharField(max_length=10)
    run = models.OneToOneField(EvalRun, on_delete=models.CASCADE, related_name="arm")

    class Meta:
        ordering = ["intervention", "id"]
        constraints = [
            models.UniqueConstraint(fields=["intervention", "contexts"], name="one_arm_per_contexts")
        ]

    def __str__(self) -> str:
        return f"{self.contexts} of intervention {self.intervention_id}"
