"""Evaluation suites: cases frozen from the held-out split of a dataset version."""

from django.db import models

from labeling.models import DatasetVersion, Project


class Suite(models.Model):
    """A fixed list of cases."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="suites")
    name = models.CharField(max_length=120)
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="suites")
    split = models.CharField(max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["dataset_version", "split"], name="one_suite_per_split"),
            models.UniqueConstraint(fields=["project", "name"], name="suite_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Case(models.Model):
    """A prompt with the response that people chose and the one they rejected. The texts are payload."""

    suite = models.ForeignKey(Suite, on_delete=models.CASCADE, related_name="cases")
    index = models.PositiveIntegerField()
    prompt_hash = models.CharField(max_length=64)
    prompt = models.JSONField()
    chosen = models.TextField()
    rejected = models.TextField()

    class Meta:
        ordering = ["suite", "index"]
        constraints = [models.UniqueConstraint(fields=["suite", "index"], name="case_numbered_once")]

    def __str__(self) -> str:
        return f"case {self.index} of {self.suite_id}"
