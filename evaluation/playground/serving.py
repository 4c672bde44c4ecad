"""A worker that answers one conversation: it keeps the recipe process warm, hands it what is asked, and takes what was
answered. What is owed stands in rows; the folder's files can be lost, and are written again."""

import json
import shutil
import time
import uuid
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from evaluation.carrying import interruptible, write_lines
from evaluation.engines.files import ANSWERS, REQUESTS, SPEC, Tail
from evaluation.engines.protocol import Answer
from evaluation.models import AgreementCard, Conversation, EvalRun, Generation, Reply, Serving, Study, Turn
from evaluation.playground.prompts import prompt_of
from evaluation.playground.specs import settings_from
from evaluation.playground.talking import end_stopped, go_on, locked, serve_soon
from labeling.lifecycle import ACTIVE, Status
from training import devices
from training.compatibility import check_files
from training.models import Device, Preflight, TrainingRun
from training.processes import (
    BUSY,
    STOPPED,
    beat,
    failure_words,
    killed_words,
    newest_event,
    run_recipe,
)
from training.recipes import contract
from training.registry import read_result

LOOK_SECONDS, BEAT_SECONDS = 0.2, 2.0
AT_A_TIME = 100
PATIENCE = timedelta(seconds=5)  # in which a free worker takes what is queued
LIVE = "live"  # where the recipe writes answers that have not ended: training.recipes.answering.talking
CROWDED = "waits until another conversation pauses"
GIVEN = ("id", "base", "revision", "adapter", "model", "content_hash")


def serve(serving: Serving) -> None:
    """Take the serving and carry it to its end, or leave it in the queue, with a word why, where there is no room: it
    needs a GPU to itself where the machine has some, and works beside others on a CPU. Safe to call at any time."""
    if serving.status != Status.QUEUED:
        return
    if Serving.objects.filter(status__in=ACTIVE).count() >= settings.PREFLOOP_CHATS:
        Serving.objects.filter(pk=serving.pk, status=Status.QUEUED).update(waiting=CROWDED)
        return
    token, has_gpus = uuid.uuid4(), bool(devices.gpus())
    place: AbstractContextManager[Device | None] = devices.held(token) if has_gpus else nullcontext()
    with place as device:
        if has_gpus and device is None:
            devices.note_waiting(serving)
            return  # the sweep sends it again
        if serving.claim(token, waiting=""):
            serving.carry(lambda: interruptible(serving, lambda: _Work(serving, device).carry()))
    call_waiting()


def call_waiting() -> None:
    """Send again the messages of conversations that wait for room."""
    for serving in Serving.objects.filter(status=Status.QUEUED).exclude(waiting=""):
        serving.enqueue()


def serve_forgotten() -> None:
    """Serve what was asked at the moment in which a worker thought that nobody asks any more."""
    owed = Reply.objects.filter(finished_at=None, turn__replaced_at=None, turn__stopped_at=None)
    for key in set(owed.values_list("turn__conversation", flat=True)):
        last = Serving.objects.filter(conversation=key).first()
        if last is not None and last.status == Status.SUCCEEDED:
            go_on(conversation=last.conversation)


class _Work:
    """One serving in this process."""

    def __init__(self, serving: Serving, device: Device | None) -> None:
        self.serving, self.conversation, self.device = serving, serving.conversation, device
        self.folder = serving.path
        self.tail = Tail(self.folder / ANSWERS)
        self.asked: set[str] = set()
        self.stopped: set[str] = set()
        self.beaten = self.looked = 0.0
        self.leaving = False

    def carry(self) -> None:
        self._prepare()
        environment = devices.environment(self.device) if self.device else {}
        code = run_recipe("chat", self.folder, self._look, environment, every=LOOK_SECONDS)
        self._take()  # also what came while it was stopped
        if Serving.objects.filter(pk=self.serving.pk).exists():
            self._settle(code)
        else:  # deleted with its conversation
            shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        voices = list(self.conversation.voices.select_related("checkpoint__base", "checkpoint__parent"))
        for voice in voices:
            if voice.checkpoint is not None:
                check_files(voice.checkpoint)
        write_lines(
            self.folder / SPEC, [json.dumps(spec_of(self.conversation, [v.facts for v in voices])).encode()]
        )
        rows = contract.read_lines(self.folder / REQUESTS)
        self.asked = {str(row["id"]) for row in rows if "messages" in row}
        owed = {str(key) for key in self._owed().values_list("pk", flat=True)}
        self._tell([{"stop": key} for key in sorted(self.asked - owed)])

    def _look(self) -> None:
        """Called some times a second: raises Stop where the serving is not ours any more, or not wanted."""
        if time.monotonic() - self.beaten > BEAT_SECONDS:
            beat(self.serving)
            self.beaten = time.monotonic()
        if self.serving.status == Status.STARTING and newest_event(self.folder, "ready") is not None:
            self.serving.begin()
        self._take()
        rows = list(self._owed().order_by("turn__number").values_list("pk", "turn__stopped_at"))
        fresh = [key for key, _ in rows if str(key) not in self.asked]
        ended = {str(key) for key, stopped_at in rows if stopped_at} - self.stopped
        self._tell([*self._requests(fresh), *({"stop": key} for key in sorted(ended))])
        self.asked |= set(map(str, fresh))
        self.stopped |= ended
        if not rows and not self.leaving and time.monotonic() - self.looked > BEAT_SECONDS:
            self.looked = time.monotonic()
            if others_wait(self.serving, self.device):
                self._tell([{"end": True}])
                self.leaving = True
        self.leaving &= not fresh

    def _requests(self, keys: list[int]) -> list[dict[str, Any]]:
        """What is asked anew: what stands on the left first, whoever that is."""
        if not keys:
            return []
        found = Reply.objects.filter(pk__in=keys).select_related("turn__conversation", "voice")
        left = self.conversation.left
        return [request(one) for one in sorted(found, key=lambda r: (r.turn.number, r.voice.index != left))]

    def _owed(self) -> QuerySet[Reply]:
        return Reply.objects.filter(turn__conversation=self.conversation, finished_at=None)

    def _tell(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            contract.append_line(self.folder / REQUESTS, json.dumps(line, ensure_ascii=False))

    def _take(self) -> None:
        for answers in self.tail.new(AT_A_TIME):
            for answer in answers:
                keep(answer)

    def _settle(self, code: int) -> None:
        serving = self.serving
        if serving.cancel_requested():
            serving.finish(Status.CANCELLED)
        elif read_result(self.folder) is not None:
            with transaction.atomic():
                conversation = locked(self.conversation)
                if serving.finish(Status.SUCCEEDED):
                    end_stopped(conversation)
                    if self._owed().exists():
                        serve_soon(conversation)
            shutil.rmtree(self.folder, ignore_errors=True)
        elif code in (STOPPED, BUSY) or code < 0:
            serving.requeue(fault=killed_words(code), at_once=code != BUSY)
        else:
            serving.finish(Status.FAILED, failure_words(self.folder, code))


def keep(answer: Answer) -> None:
    """Store an answer, unless it is stored or its turn has ended otherwise."""
    Reply.objects.filter(pk=int(answer.id), finished_at=None).update(
        text=answer.text,
        error=answer.error,
        finish=answer.finish,
        tokens=answer.tokens,
        prompt_tokens=answer.prompt_tokens,
        ms=answer.ms,
        finished_at=timezone.now(),
    )


def request(reply: Reply) -> dict[str, Any]:
    """What the recipe process is asked."""
    turn: Turn = reply.turn
    return {
        "id": str(reply.pk),
        "target": str(reply.voice.index),
        "messages": prompt_of(turn),
        "sampling": asdict(settings_from(turn.settings).sampling),
    }


def spec_of(conversation: Conversation, voices: list[dict[str, Any]]) -> dict[str, Any]:
    """The spec.json of the recipe process: training.specs.ChatJob."""
    weights = [facts for facts in voices if "url" not in facts]
    return {
        "method": "chat",
        "engine": conversation.engine,
        "base": weights[0]["base"] if weights else "",
        "targets": [
            {**{name: facts[name] for name in GIVEN}, "revision": facts["revision"] or None}
            for facts in weights
        ],
        "endpoints": [facts for facts in voices if "url" in facts],
        "max_length": settings.PREFLOOP_CHAT_LENGTH,
        "idle_seconds": float(settings.PREFLOOP_CHAT_IDLE_S),
    }


def others_wait(serving: Serving, device: Device | None) -> bool:
    """Whether somebody needs the room that an idle conversation takes: another one, an evaluation that found no free
    worker, or a training that wants its GPU."""
    if Serving.objects.filter(status=Status.QUEUED).exclude(pk=serving.pk).exists():
        return True
    a_while_ago = timezone.now() - PATIENCE
    jobs: tuple[Any, ...] = (EvalRun, AgreementCard, Generation, Study)
    if any(kind.objects.filter(status=Status.QUEUED, queued_at__lt=a_while_ago).exists() for kind in jobs):
        return True
    kinds: tuple[Any, ...] = (TrainingRun, Preflight) if device else ()
    return any(kind.objects.filter(status=Status.QUEUED).exclude(waiting="").exists() for kind in kinds)


def live_text(serving: Serving, reply_id: int) -> str:
    """What is written so far of an answer that has not ended; empty before it began."""
    with suppress(OSError):
        return (serving.path / LIVE / f"{reply_id}.txt").read_bytes().decode("utf-8", "ignore")
    return ""
