"""Who is asked: endpoints of models elsewhere, and what a run froze of each of its targets."""

from django.db import models

from labeling.models import Project, User
from training.models import Checkpoint


class Endpoint(models.Model):
    """A model behind an OpenAI-compatible address. Its key is read from an environment variable and never stored.

    Prices are per million tokens, in the project's currency.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="endpoints")
    name = models.CharField(max_length=120)
    url = models.URLField(max_length=300)
    model = models.CharField(max_length=200)
    key_variable = models.CharField(max_length=100, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    price_in = models.FloatField(null=True, blank=True)
    price_out = models.FloatField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="endpoint_name_once")]

    def __str__(self) -> str:
        return self.name


class RunTarget(models.Model):
    """One that a run asks, frozen: `facts` are the fields of engines.protocol.Weights or Service. 0 is the baseline.

    `identity` is the hash of everything about it that can change an answer.
    """

    run = models.ForeignKey("evaluation.EvalRun", on_delete=models.CASCADE, related_name="targets")
    index = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=160)
    checkpoint = models.ForeignKey(
        Checkpoint, null=True, on_delete=models.PROTECT, related_name="evaluation_targets"
    )
    endpoint = models.ForeignKey(
        Endpoint, null=True, on_delete=models.PROTECT, related_name="evaluation_targets"
    )
    facts = models.JSONField()
    identity = models.CharField(max_length=64)

    class Meta:
        ordering = ["run", "index"]
        constraints = [models.UniqueConstraint(fields=["run", "index"], name="run_target_numbered_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_baseline(self) -> bool:
        return self.index == 0
