"""Generating responses to be judged by people."""

from django.db import models

from evaluation.models.asking import AskingJob
from labeling.models import Project


class Generation(AskingJob):
    """Targets asked for answers to prompts, which become items of the project's queue.

    `spec` is evaluation.specs.GenerationSpec; the prompts stand in prompts.jsonl in the folder.
    """

    job = "evaluation.jobs.generate_candidates"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="generations")
    name = models.CharField(max_length=120)
    spec = models.JSONField()
    prompts = models.PositiveIntegerField()
    made = models.PositiveIntegerField(default=0)
    duplicate = models.PositiveIntegerField(default=0)
    dropped = models.PositiveIntegerField(default=0)
    facts = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name
