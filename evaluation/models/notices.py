"""Who is told of what a retrain policy did: channels, what was said, and every delivery of it."""

import secrets
import uuid
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Q

from evaluation.models.policies import PolicyRun
from labeling.models import Project, User


def new_salt() -> str:
    return secrets.token_hex(24)


def new_message() -> str:
    return f"msg_{uuid.uuid4().hex}"


class Channel(models.Model):
    """A member's e-mail or a web address. The secret that signs for it is made of `salt` and the installation's key:
    it is shown once and never stored."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    person = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    url = models.CharField(max_length=500, blank=True)
    salt = models.CharField(max_length=64, default=new_salt, editable=False)
    events = models.JSONField(default=list)
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "person"],
                condition=Q(archived_at=None, person__isnull=False),
                name="person_told_once",
            ),
            models.UniqueConstraint(
                fields=["project", "url"],
                condition=Q(archived_at=None) & ~Q(url=""),
                name="address_told_once",
            ),
        ]

    def __str__(self) -> str:
        return self.shown

    @property
    def shown(self) -> str:
        """Who is told, without the path of an address: that is often a key."""
        if self.person is not None:
            return self.person.username
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/…"


class Notice(models.Model):
    """What was said once. `key` is what it is about: the same is not said twice. `uid` goes with every delivery."""

    class Event(models.TextChoices):
        CANDIDATE = "candidate", "A candidate is ready"
        STOPPED = "stopped", "A run stopped before that"
        BUDGET = "budget", "The budget is reached"
        NOTHING_NEW = "nothing_new", "Nothing new to train on"
        TEST = "test", "A test"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="notices")
    run = models.ForeignKey(PolicyRun, null=True, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=12, choices=Event.choices)
    key = models.CharField(max_length=80)
    uid = models.CharField(max_length=40, unique=True, default=new_message)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    payload = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="said_once")]

    def __str__(self) -> str:
        return self.subject


class Delivery(models.Model):
    """A notice on its way to a channel. Waiting, it is due at `due_at`; whoever takes it moves that on first, so that
    one whose worker died is taken again: at least once, and with the same uid."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        GIVEN_UP = "given_up", "Given up"

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    code = models.PositiveSmallIntegerField(null=True)
    sentence = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["notice", "channel"], name="delivered_once")]
        indexes = [models.Index(fields=["state", "due_at"], name="deliveries_due")]

    def __str__(self) -> str:
        return f"delivery {self.pk} of notice {self.notice_id}"
