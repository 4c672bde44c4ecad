"""What a review of a RAG answer stands on: the retrieved chunks, and the categories by which errors are named."""

from django.db import models

from labeling.models.appendonly import AppendOnly
from labeling.models.items import Item
from labeling.models.people import User
from labeling.models.projects import Project


class Chunk(models.Model):
    """A passage that retrieval gave to the model, in retrieved order. `text` is payload."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    position = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=500, blank=True)
    text = models.TextField(blank=True)
    ref = models.CharField(max_length=500, blank=True)
    score = models.FloatField(null=True)

    class Meta:
        ordering = ["item", "position"]
        constraints = [models.UniqueConstraint(fields=["item", "position"], name="one_chunk_per_position")]

    def __str__(self) -> str:
        return f"chunk {self.position} of item {self.item_id}"


class Stage(models.TextChoices):
    """Where in a RAG system a kind of error arises."""

    RETRIEVAL = "retrieval", "Retrieval"
    RANKING = "ranking", "Ranking"
    GROUNDING = "grounding", "Grounding"
    INSTRUCTION = "instruction", "Instruction"
    GOLD = "gold", "Known answer"
    OTHER = "other", "Other"


class Scope(models.TextChoices):
    """What a category is said of."""

    SPAN = "span", "A span of the answer"
    ANSWER = "answer", "The whole answer"


class ErrorCategory(models.Model):
    """One kind of error of a project. Its key stays what it was: answers carry it. A retired one is offered no more."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="error_categories", db_index=False
    )
    key = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    words = models.TextField(blank=True)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    stage = models.CharField(max_length=12, choices=Stage.choices)
    position = models.PositiveSmallIntegerField(default=0)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="category_key_once")]

    def __str__(self) -> str:
        return self.name


class CategoryChange(AppendOnly):
    """Who changed the categories of a project, how and why. `before` and `after` hold the categories concerned."""

    class Action(models.TextChoices):
        ADD = "add", "Added"
        RENAME = "rename", "Renamed"
        MERGE = "merge", "Merged"
        SPLIT = "split", "Split"
        RETIRE = "retire", "Retired"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="category_changes")
    action = models.CharField(max_length=10, choices=Action.choices)
    before = models.JSONField(default=list)
    after = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    person = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_action_display()} in {self.project_id}"


class ShownCandidates(AppendOnly):
    """The spans that were proposed to one person of one item, as they were first shown: a reload shows the same."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+", db_index=False)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    spans = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "person"], name="candidates_once_per_person")]

    def __str__(self) -> str:
        return f"{len(self.spans)} candidates of item {self.item_id}"
