"""What a product sends of its use: captures, the tokens that let them in, and the rules that queue some of them."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from labeling.models.items import PREVIEW_LENGTH, Item
from labeling.models.people import User
from labeling.models.projects import Project

WHOLE = 10_000  # shares of captures are counted in ten-thousandths


class CaptureToken(models.Model):
    """The right to send captures to one project, and no other right. Only the hash of its secret is stored.

    `window` is the minute, since 1970, in which it was used last, and `used` how many captures came in it.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="capture_tokens")
    name = models.CharField(max_length=120)
    begins = models.CharField(max_length=12)
    secret_hash = models.CharField(max_length=64, unique=True)
    per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Most captures a minute; empty for what the installation allows.",
    )
    window = models.BigIntegerField(default=0)
    used = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def limit(self) -> int:
        """Captures that it may send in a minute."""
        most: int = settings.PREFLOOP_CAPTURES_PER_MINUTE
        return most if self.per_minute is None else min(self.per_minute, most)


class Voice(models.TextChoices):
    """What the user said of the answer."""

    BAD = "bad", "Thumbs down"
    GOOD = "good", "Thumbs up"
    CHOSE = "chose", "One of several chosen"
    SILENT = "silent", "No vote"


class CaptureRule(models.Model):
    """Which captures people shall judge. Rules are tried in their order; the first that takes a capture has it.

    `share` is in ten-thousandths of what fits. An empty `voice`, `slice` or `model` fits any.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="capture_rules")
    position = models.PositiveIntegerField(default=0)
    voice = models.CharField(max_length=8, choices=Voice.choices, blank=True)
    slice = models.CharField(max_length=60, blank=True)
    model = models.CharField(max_length=120, blank=True)
    share = models.PositiveIntegerField(
        default=WHOLE, validators=[MinValueValidator(1), MaxValueValidator(WHOLE)]
    )
    daily_cap = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    is_on = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return f"rule {self.pk} of {self.project_id}"

    @property
    def percent(self) -> str:
        """Its share as people write it: "2.5"."""
        return f"{self.share * 100 / WHOLE:g}"

    @property
    def offset(self) -> int:
        """Where on the circle of draws its share begins: elsewhere than that of its neighbours."""
        return int(self.pk) * 3571 % WHOLE


class CaptureState(models.TextChoices):
    """What became of a capture."""

    LEFT = "left", "No rule took it"
    TAKEN = "taken", "On its way into the queue"
    QUEUED = "queued", "In the queue"
    KNOWN = "known", "Was in the queue already"
    FULL = "full", "The rule was full that day"
    UNFIT = "unfit", "Does not fit the project"


DONE = ("queued", "known", "full", "unfit")  # what a worker says of a capture; those that were left are many


class Capture(models.Model):
    """One use of a model as a product sent it, scrubbed of personal data before it was written.

    `key` makes sending it again harmless. `labels` holds its slice and tags as "|slice|tag|", in small letters, and
    `draw` a number from 0 to 9999 by which rules take shares. `body` is payload: messages, contexts, answers, comment;
    and `sent`, a keyed hash of what came, which tells other content under the same key.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="captures", db_index=False)
    token = models.ForeignKey(CaptureToken, on_delete=models.PROTECT, related_name="+", db_index=False)
    key = models.CharField(max_length=100)
    uid = models.CharField(max_length=32)
    voice = models.CharField(max_length=8, choices=Voice.choices, default=Voice.SILENT)
    model = models.CharField(max_length=120, blank=True)
    slice = models.CharField(max_length=60, blank=True)
    labels = models.TextField(blank=True)
    licence = models.CharField(max_length=100, blank=True)
    user_hash = models.CharField(max_length=32, blank=True)
    preview = models.CharField(max_length=PREVIEW_LENGTH, blank=True)
    n_answers = models.PositiveSmallIntegerField(default=1)
    n_contexts = models.PositiveSmallIntegerField(default=0)
    scrubbed = models.PositiveIntegerField(default=0)
    draw = models.PositiveSmallIntegerField(default=0)
    captured_at = models.DateTimeField()
    received_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=CaptureState.choices, default=CaptureState.LEFT)
    rule = models.ForeignKey(
        CaptureRule, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    item = models.ForeignKey(
        Item, null=True, on_delete=models.SET_NULL, related_name="captures", db_index=False
    )
    note = models.CharField(max_length=300, blank=True)
    body = models.JSONField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="capture_once_per_key"),
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="captures_in_order"),
            models.Index(fields=["project", "received_at"], name="captures_by_day"),
            models.Index(fields=["project", "id"], condition=Q(state="taken"), name="captures_taken"),
            models.Index(
                fields=["project", "state", "id"], condition=Q(state__in=DONE), name="captures_done"
            ),
            models.Index(
                fields=["rule", "received_at"], condition=Q(rule__isnull=False), name="captures_of_rule"
            ),
            models.Index(fields=["item"], condition=Q(item__isnull=False), name="captures_of_item"),
        ]

    def __str__(self) -> str:
        return f"capture {self.uid}"


class CaptureTally(models.Model):
    """How many captures of a day had an outcome: kept with each request, so that no page has to count captures."""

    class Outcome(models.TextChoices):
        STORED = "stored", "Stored"
        BAD = "bad", "Thumbs down"
        GOOD = "good", "Thumbs up"
        DUPLICATE = "duplicate", "Sent again"
        NO_CONSENT = "no_consent", "Without consent"
        REFUSED = "refused", "Refused"
        LIMITED = "limited", "Too many at once"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    n = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-day", "outcome"]
        constraints = [
            models.UniqueConstraint(fields=["project", "day", "outcome"], name="one_tally_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.n} {self.outcome} on {self.day}"
