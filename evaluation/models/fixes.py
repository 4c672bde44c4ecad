"""What is done about a kind of error: from the failing cases of its category to the share of them that closes."""

from django.db import models

from evaluation.models.analyses import Analysis
from evaluation.models.runs import EvalRun
from evaluation.models.suites import Case
from evaluation.models.targets import RunTarget
from labeling.estimates import Estimate
from labeling.models import ErrorCategory, Item, Project, User


class Fix(models.Model):
    """An attempt to close one category of errors of a target, as it failed in a finished run.

    `ceiling_*` is how much the metric could rise if the category vanished, as the analysis said when the fix was
    opened. Versions, checkpoints and closing rates are not stored: they follow from the items.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="fixes")
    category = models.ForeignKey(ErrorCategory, on_delete=models.PROTECT, related_name="fixes")
    analysis = models.ForeignKey(Analysis, null=True, on_delete=models.PROTECT, related_name="fixes")
    run = models.ForeignKey(EvalRun, on_delete=models.PROTECT, related_name="fixes")
    target = models.ForeignKey(RunTarget, on_delete=models.PROTECT, related_name="+")
    metric = models.CharField(max_length=60)
    ceiling_value = models.FloatField(null=True)
    ceiling_low = models.FloatField(null=True)
    ceiling_high = models.FloatField(null=True)
    ceiling_n = models.PositiveIntegerField(null=True)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"fix {self.pk}"

    @property
    def ceiling(self) -> Estimate | None:
        """How much the metric could rise at most, from 0 to 1; None where no analysis said so."""
        value, low, high = self.ceiling_value, self.ceiling_low, self.ceiling_high
        if value is None or low is None or high is None or not self.ceiling_n:
            return None
        return Estimate(value, low, high, self.ceiling_n)


class FixCase(models.Model):
    """A case of the category when the fix was opened: a sibling, held out of training, or a lesson sent to labeling.

    A lesson has left the suite: what is trained on is never measured on.
    """

    class Role(models.TextChoices):
        SIBLING = "sibling", "Held out"
        LESSON = "lesson", "Sent to labeling"

    fix = models.ForeignKey(Fix, on_delete=models.CASCADE, related_name="cases", db_index=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=10, choices=Role.choices)

    class Meta:
        ordering = ["fix", "id"]
        constraints = [models.UniqueConstraint(fields=["fix", "case"], name="case_once_per_fix")]

    def __str__(self) -> str:
        return f"{self.get_role_display()}: case {self.case_id}"


class FixItem(models.Model):
    """An item whose judgments are to teach the fix: made of a lesson (`case`), or one that people said is of the
    category."""

    fix = models.ForeignKey(Fix, on_delete=models.CASCADE, related_name="items", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="fix_items")
    case = models.ForeignKey(Case, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["fix", "id"]
        constraints = [models.UniqueConstraint(fields=["fix", "item"], name="item_once_per_fix")]

    def __str__(self) -> str:
        return f"item {self.item_id} of fix {self.fix_id}"
