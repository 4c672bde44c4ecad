"""Studies in which people compare models without knowing which is which, and the looks that were taken at them."""

from typing import Any

from django.db import models

from evaluation.models.asking import AskingJob
from evaluation.models.judges import JudgeVersion
from labeling.models import Item, Project, User
from labeling.models.appendonly import AppendOnly


class Study(AskingJob):
    """Two or more models answer the same prompts, and people say, blind, which answer they prefer.

    As a job it gets the answers and makes the items; then people judge, and looks are taken until it is closed.
    `spec` is evaluation.specs.GenerationSpec, `design` evaluation.studies.design.Design; the prompts stand in
    prompts.jsonl in the folder. `queue` is the project whose people are asked: the study's own, where that compares
    two responses. `planned` prompts have answers of all models, and are all that there will ever be.
    """

    job = "evaluation.jobs.carry_study"

    class Closed(models.TextChoices):
        EFFICACY = "efficacy", "The difference is shown"
        FUTILITY = "futility", "Stopped as futile"
        COMPLETE = "complete", "Finished"
        CANCELLED = "cancelled", "Cancelled"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="studies")
    queue = models.ForeignKey(Project, on_delete=models.RESTRICT, related_name="asked_studies")
    name = models.CharField(max_length=120)
    spec = models.JSONField()
    design = models.JSONField()
    judge = models.ForeignKey(JudgeVersion, null=True, on_delete=models.PROTECT, related_name="studies")
    prompts = models.PositiveIntegerField()
    planned = models.PositiveIntegerField(default=0)
    facts = models.JSONField(default=dict)
    closed_as = models.CharField(max_length=10, choices=Closed.choices, blank=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def names(self) -> list[str]:
        """The models, in the order in which they were chosen: the first is the one that a win rate is of. Those of one
        name are told apart by their hash."""
        targets = self.spec["targets"]
        names = [target["name"] for target in targets]
        return [
            name if names.count(name) == 1 else f"{name} {target['hash'][:8]}"
            for name, target in zip(names, targets, strict=True)
        ]

    @property
    def checkpoints(self) -> dict[int, str]:
        """The names of the compared models that are checkpoints, by their keys."""
        sources = self.facts.get("sources", [])
        named = zip(self.names, sources, strict=False)
        return {source["id"]: name for name, source in named if source["kind"] == "checkpoint"}


class StudyPair(models.Model):
    """Two models' answers to one prompt. People are asked by `item`; without one the answers were the same.

    `first` and `second` are the numbers of the models, `place` the stored position of the first one's answer. `number`
    is the prompt's, in the order in which prompts are asked. `slices` are the tags of the case, `unit` what prompts
    depend on each other by.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="pairs", db_index=False)
    number = models.PositiveIntegerField()
    first = models.PositiveSmallIntegerField()
    second = models.PositiveSmallIntegerField()
    place = models.PositiveSmallIntegerField(default=0)
    item = models.ForeignKey(Item, null=True, on_delete=models.PROTECT, related_name="study_pairs")
    slices = models.JSONField(default=list)
    unit = models.CharField(max_length=100)

    class Meta:
        ordering = ["study", "number", "first", "second"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number", "first", "second"], name="study_pair_once")
        ]

    def __str__(self) -> str:
        return f"prompt {self.number} of study {self.study_id}"


class StudyLook(AppendOnly):
    """A look that was taken: it spent its part of alpha, whatever was seen.

    `fraction` of the planned prompts were in; `boundary` is the critical value of |Z|, `spent` the alpha that was spent
    by then, in all. `zs` has the Z of each pair of models, as [first, second, z]. `result` is
    evaluation.studies.results.Result; `counted` has the keys of the judgments behind it, so that a later change shows.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="looks")
    number = models.PositiveSmallIntegerField()
    final = models.BooleanField(default=False)
    fraction = models.FloatField()
    prompts = models.PositiveIntegerField()
    judgments = models.PositiveIntegerField()
    boundary = models.FloatField()
    spent = models.FloatField()
    zs: "models.JSONField[list[list[Any]]]" = models.JSONField()
    result = models.JSONField()
    counted: "models.JSONField[list[int]]" = models.JSONField(default=list)
    taken_at = models.DateTimeField(auto_now_add=True)
    taken_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["study", "number"]
        constraints = [models.UniqueConstraint(fields=["study", "number"], name="study_look_numbered_once")]

    def __str__(self) -> str:
        return f"look {self.number} at study {self.study_id}"
