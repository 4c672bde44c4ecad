"""The life of a job: queued, starting, running, stopping, ended. The row is the truth and the broker only a hint.

Every change of status is a compare-and-set: the row is updated only where it still is what the caller believes,
so that a second worker, a late message or a killed process can neither run a job twice nor lose it.
"""

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from labeling.broker import send
from labeling.errors import Refused

log = logging.getLogger(__name__)

Row = TypeVar("Row", bound=models.Model)

REQUEUE_AFTER, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=5)


class Status(models.TextChoices):
    QUEUED = "queued", "Queued"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    STOPPING = "stopping", "Stopping"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING})  # a worker has it
TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})


class Lifecycle(models.Model):
    """A row that a worker carries from queued to an end. Subclasses name the Celery task that does it.

    A job that is done by a process of its own is claimed as starting, and `begin` says that the process is at work.
    Stopping is left only for an end.
    """

    job: ClassVar[str]
    claimed_as: ClassVar[Status] = Status.RUNNING

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED, db_index=True)
    claim_token = models.UUIDField(null=True, editable=False)
    attempt = models.PositiveSmallIntegerField(default=0, editable=False)
    progress = models.FloatField(null=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        "labeling.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    queued_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def seconds(self) -> float | None:
        """Wall time since the first start, in seconds; None before it."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    def enqueue(self) -> None:
        """Tell the broker once the row is committed. A lost message only delays: the sweep sends it again."""
        transaction.on_commit(lambda: send(self.job, self.pk))

    def claim(self, token: uuid.UUID | None = None, **values: Any) -> bool:
        """Take a queued job, by a token of our own or a new one. False when another worker was faster or the job is
        not queued."""
        now = timezone.now()
        won = self._set(
            Q(status=Status.QUEUED),
            status=self.claimed_as,
            claim_token=token or uuid.uuid4(),
            attempt=F("attempt") + 1,
            started_at=Coalesce("started_at", now),
            heartbeat_at=now,
            **values,
        )
        if won:
            self.refresh_from_db()
        return won

    def begin(self) -> bool:
        """Say that the process of a starting job is at work. False when it is not starting, or not ours."""
        if self.status != Status.STARTING:
            return False
        begun = self._set(Q(status=Status.STARTING, claim_token=self.claim_token), status=Status.RUNNING)
        self.refresh_from_db(fields=["status"])
        return begun

    def heartbeat(self, progress: float | None = None, **values: Any) -> bool:
        """Say that the job goes on, and how far it is. False when the claim was lost: stop working at once."""
        if progress is not None:
            values["progress"] = progress
        return self._set(self._mine(), heartbeat_at=timezone.now(), **values)

    def cancel_requested(self) -> bool:
        return type(self)._base_manager.filter(pk=self.pk, cancel_requested_at__isnull=False).exists()

    def finish(self, status: Status, error: str = "", **values: Any) -> bool:
        """End the job that this process holds; False when it is not ours any more."""
        ended = self._set(
            self._mine(), status=status, error=error, finished_at=timezone.now(), claim_token=None, **values
        )
        if ended:
            self.refresh_from_db()
        return ended

    def carry(self, work: Callable[[], None]) -> None:
        """Do the work of the job that this process holds. Whatever it raises ends the job, or gives it back, with a
        sentence: no job is left running with nobody at it."""
        try:
            work()
        except Refused as refusal:
            self.finish(Status.FAILED, refusal.sentence)
        except OSError as error:
            self.finish(Status.FAILED, f"Files cannot be used ({error}); free some space and start it again.")
        except Exception as error:
            log.exception("%s %s met an unexpected fault", self.job, self.pk)
            self.requeue(fault=f"Unexpected {type(error).__name__}: {error}.")

    def requeue(self, *, fault: str = "", at_once: bool = True) -> bool:
        """Give a job back to the queue, to be taken up where it stopped; one that was asked to stop has ended.

        With a fault, which may come back each time, only as often as the settings allow; then it has failed of it.
        Without one the attempt does not count. Not at once: the sweep sends it again in a while.
        """
        if fault and self.attempt >= settings.PREFLOOP_MAX_ATTEMPTS:
            return self.finish(
                Status.FAILED, f"{fault} This was attempt {self.attempt}; it is not tried again."
            )
        given = self._set(
            self._mine() & ~Q(status=Status.STOPPING),
            status=Status.QUEUED,
            claim_token=None,
            queued_at=timezone.now(),
            heartbeat_at=None,
            attempt=F("attempt") - (0 if fault else 1),
        )
        if not given:
            return self.finish(Status.CANCELLED)
        if at_once:
            self.enqueue()
        return True

    def request_cancel(self) -> bool:
        """Cancel a queued job at once, ask an active one to stop. False when it is over."""
        now = timezone.now()
        if self._set(
            Q(status=Status.QUEUED), status=Status.CANCELLED, cancel_requested_at=now, finished_at=now
        ):
            return True
        return self._set(
            Q(status__in=ACTIVE),
            status=Status.STOPPING,
            cancel_requested_at=Coalesce("cancel_requested_at", now),
        )

    def resume(self) -> bool:
        """Put a job that failed or was cancelled into the queue again, with all its attempts. False where it did not
        end so."""
        resumed = self._set(
            Q(status__in=(Status.FAILED, Status.CANCELLED)),
            status=Status.QUEUED,
            attempt=0,
            error="",
            queued_at=timezone.now(),
            started_at=None,
            heartbeat_at=None,
            finished_at=None,
            cancel_requested_at=None,
        )
        if resumed:
            self.refresh_from_db()
            self.enqueue()
        return resumed

    @classmethod
    def sweep(cls) -> int:
        """Re-queue jobs whose worker fell silent, and send again the message of those that wait. Returns how many."""
        now = timezone.now()
        silent = now - timedelta(seconds=settings.PREFLOOP_HEARTBEAT_TIMEOUT_S)
        rows = cls._base_manager
        count = 0
        for job in rows.filter(status__in=ACTIVE, heartbeat_at__lt=silent):
            count += job._revive(silent)
        for job in rows.filter(status=Status.QUEUED, queued_at__lt=now - REQUEUE_AFTER):
            # A job that waits for a free worker is sent again less and less often, at least every five minutes.
            patience = min(job.queued_at - job.created_at, LONGEST_WAIT)
            if job.queued_at < now - patience and job._set(
                Q(status=Status.QUEUED, queued_at=job.queued_at), queued_at=now
            ):
                job.enqueue()
                count += 1
        return count

    def _revive(self, silent: datetime) -> bool:
        stale = self._mine() & Q(heartbeat_at__lt=silent)
        now = timezone.now()
        if self._set(
            stale & Q(status=Status.STOPPING), status=Status.CANCELLED, finished_at=now, claim_token=None
        ):
            return True
        stale &= ~Q(status=Status.STOPPING)
        if self.attempt >= settings.PREFLOOP_MAX_ATTEMPTS:
            sentence = (
                f"The worker fell silent {self.attempt} times while running this job; "
                "look at its log for the cause (often memory), then start it again."
            )
            return self._set(stale, status=Status.FAILED, error=sentence, finished_at=now, claim_token=None)
        revived = self._set(stale, status=Status.QUEUED, claim_token=None, queued_at=now)
        if revived:
            self.enqueue()
        return revived

    def _mine(self) -> Q:
        return Q(status__in=ACTIVE, claim_token=self.claim_token)

    def _set(self, condition: Q, **values: Any) -> bool:
        return type(self)._base_manager.filter(condition, pk=self.pk).update(**values) == 1


def for_row(rows: models.QuerySet[Row], key: int, do: Callable[[Row], object]) -> None:
    """Do what a message asks for with its row; nothing where that is gone, because a message is only a hint."""
    row = rows.filter(pk=key).first()
    if row is None:
        log.info("a message is about %s %s, which is not there", rows.model.__name__, key)
    else:
        do(row)
