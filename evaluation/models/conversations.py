"""The playground: conversations with one model or with two side by side, and what became of their turns."""

from typing import Any

from django.db import models
from django.db.models import Q

from evaluation.models.asking import AskingJob
from evaluation.models.suites import Suite
from evaluation.models.targets import Endpoint
from labeling.lifecycle import TERMINAL, Status
from labeling.models import Item, Judgment, Project, User
from training.models import Checkpoint


class Conversation(models.Model):
    """One person's conversation. `settings` has temperature, top_p, max_tokens, seed and system for the next turn.

    `left` is the index of the voice whose answers stand on the left. In a blind conversation it was drawn, and who is
    who is told to nobody before `revealed_at`.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=120, blank=True)
    blind = models.BooleanField(default=False)
    left = models.PositiveSmallIntegerField(default=0)
    revealed_at = models.DateTimeField(null=True)
    engine = models.CharField(max_length=20)
    settings = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="conversations")

    class Meta:
        ordering = ["-used_at", "-id"]
        indexes = [models.Index(fields=["project", "created_by", "-used_at"], name="conversations_of_person")]

    def __str__(self) -> str:
        return self.title or f"conversation {self.pk}"

    @property
    def is_hidden(self) -> bool:
        """Whether who is who must not be told."""
        return self.blind and self.revealed_at is None


class Voice(models.Model):
    """One that answers in a conversation, frozen: `facts` are the fields of engines.protocol.Weights or Service."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="voices")
    index = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=160)
    checkpoint = models.ForeignKey(Checkpoint, null=True, on_delete=models.SET_NULL, related_name="+")
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.SET_NULL, related_name="+")
    facts: "models.JSONField[dict[str, Any]]" = models.JSONField()

    class Meta:
        ordering = ["conversation", "index"]
        constraints = [models.UniqueConstraint(fields=["conversation", "index"], name="voice_numbered_once")]

    def __str__(self) -> str:
        return self.name


class Turn(models.Model):
    """What was asked, with everything that shapes the answers. The texts are payload.

    Asked again, or with its message changed, a turn is replaced by another of the same number. `carries` is the index
    of the voice whose answer the conversation goes on with.
    """

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    number = models.PositiveIntegerField()
    text = models.TextField()
    contexts: "models.JSONField[list[str]]" = models.JSONField(default=list)
    settings: "models.JSONField[dict[str, Any]]" = models.JSONField()
    carries = models.PositiveSmallIntegerField(null=True)
    replaced_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["conversation", "number", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "number"],
                condition=Q(replaced_at=None),
                name="one_living_turn_per_number",
            )
        ]

    def __str__(self) -> str:
        return f"turn {self.number} of conversation {self.conversation_id}"


class Reply(models.Model):
    """What one voice answered to a turn; owed until `finished_at`. `edited` is the text a person made of it."""

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="replies")
    voice = models.ForeignKey(Voice, on_delete=models.CASCADE, related_name="replies")
    text = models.TextField(blank=True)
    edited = models.TextField(blank=True)
    finish = models.CharField(max_length=20, blank=True)
    error = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(null=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    ms = models.FloatField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["turn", "voice"]
        constraints = [models.UniqueConstraint(fields=["turn", "voice"], name="one_reply_per_voice")]
        indexes = [models.Index(fields=["turn"], condition=Q(finished_at=None), name="owed_replies")]

    def __str__(self) -> str:
        return f"reply {self.pk} to turn {self.turn_id}"

    @property
    def said(self) -> str:
        """What the conversation goes on with."""
        return self.edited or self.text


class Serving(AskingJob):
    """A worker that keeps the models of one conversation warm and answers its turns, until nobody asks any more."""

    job = "evaluation.jobs.serve_conversation"
    claimed_as = Status.STARTING
    place = "conversations"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="servings")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="servings")
    waiting = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"],
                condition=~Q(status__in=sorted(TERMINAL)),
                name="one_serving_per_conversation",
            )
        ]

    def __str__(self) -> str:
        return f"conversation {self.conversation_id}"


class Outcome(models.Model):
    """What became of a turn: a vote or an edit with its judgment, an item of the queue, a case of a suite.

    A turn on which a judgment rests cannot be deleted. `blind` says whether it was not known who is who.
    """

    class Kind(models.TextChoices):
        VOTE = "vote", "Vote"
        EDIT = "edit", "Edit"
        ITEM = "item", "Item"
        CASE = "case", "Case"

    turn = models.ForeignKey(Turn, on_delete=models.PROTECT, related_name="outcomes")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    verdict = models.CharField(max_length=10, blank=True)
    blind = models.BooleanField(default=False)
    voice = models.ForeignKey(Voice, null=True, on_delete=models.PROTECT, related_name="+")
    item = models.ForeignKey(Item, null=True, on_delete=models.PROTECT, related_name="+")
    judgment = models.ForeignKey(Judgment, null=True, on_delete=models.PROTECT, related_name="+")
    suite = models.ForeignKey(Suite, null=True, on_delete=models.SET_NULL, related_name="+")
    case_uid = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["turn", "id"]
        constraints = [
            models.UniqueConstraint(fields=["turn"], condition=Q(kind="vote"), name="one_vote_per_turn")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of turn {self.turn_id}"
