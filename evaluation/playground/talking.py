"""A conversation: begun, gone on with, asked again, stopped. What is asked stands in rows; a worker answers it."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from evaluation.engines import default_engine
from evaluation.models import Conversation, Endpoint, Outcome, Reply, Serving, Turn, Voice
from evaluation.playground.prompts import PLACES
from evaluation.playground.specs import LAST_SEED, ChatSettings, settings_from
from evaluation.targets import frozen_target
from labeling.access import opened
from labeling.errors import Refused
from labeling.intake import ContextDraft
from labeling.lifecycle import ACTIVE, TERMINAL
from labeling.models import Project, User
from labeling.rag.contexts import checked_contexts
from training.compatibility import check_files
from training.devices import gpus
from training.models import Checkpoint

MOST_VOICES, LONGEST_TEXT, TITLE = 2, 100_000, 120
ASKED_AGAIN = "This turn was asked again meanwhile; reload the page."


def begin(
    *,
    project: Project,
    person: User,
    sources: Sequence[Checkpoint | Endpoint],
    blind: bool = False,
    settings: Mapping[str, Any] | None = None,
    engine: str = "",
) -> Conversation:
    """A conversation with one, or with two side by side: before and after. In a blind one chance decides who stands on
    the left, and nobody is told. Raises Refused."""
    if not 1 <= len(sources) <= MOST_VOICES:
        raise Refused(f"{len(sources)} were chosen to answer; choose one, or two to compare.")
    if len(set(sources)) < len(sources):
        raise Refused(
            f"Both sides are {sources[0]}; the same seed gives the same answers. Choose another one."
        )
    if blind and len(sources) < MOST_VOICES:
        raise Refused("One alone cannot be blind; choose a second one, or leave blind off.")
    engine = engine or usual_engine()
    if engine not in engines():
        raise Refused(
            f"The engine given is {engine[:40]!r}; choose transformers, or vllm where it is installed."
        )
    for source in sources:
        _check(source)
    chosen = settings_from({}, settings)
    with transaction.atomic():
        conversation = Conversation.objects.create(
            project=project,
            blind=blind,
            left=secrets.randbelow(2) if blind else 0,
            engine=engine,
            settings=chosen.model_dump(),
            used_at=timezone.now(),
            created_by=person,
        )
        for index, source in enumerate(sources):
            frozen = frozen_target(source, index=index)
            Voice.objects.create(
                conversation=conversation,
                index=index,
                name=frozen.name,
                checkpoint=frozen.checkpoint,
                endpoint=frozen.endpoint,
                facts=frozen.facts,
            )
    return conversation


def begin_anew(*, conversation: Conversation) -> Conversation:
    """Another conversation of this person with the same ones, asked in the same way. Raises Refused."""
    return begin(
        project=conversation.project,
        person=conversation.created_by,
        sources=[_source(voice) for voice in _voices(conversation)],
        blind=conversation.blind,
        settings=conversation.settings,
        engine=conversation.engine,
    )


def engines() -> list[str]:
    """Who can answer for weights here."""
    return sorted({"transformers", default_engine()})


def usual_engine() -> str:
    """Who answers for weights where nobody chose: vLLM on a GPU. On a CPU its server takes longer to start than a
    conversation of one waits."""
    return default_engine() if gpus() else "transformers"


def ask(
    *,
    conversation: Conversation,
    text: str,
    contexts: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    carries: str = "",
) -> Turn:
    """The next turn. `carries` ("left" or "right") is the answer that the conversation goes on with, where it was not
    voted for one. Raises Refused while the last turn is still being answered, and where somebody is not there any more.
    """
    with transaction.atomic():
        conversation = locked(conversation)
        last = conversation.turns.filter(replaced_at=None).order_by("-number").first()
        chosen = settings_from(conversation.settings, settings)
        if last is not None:
            _refuse_unanswered(last)
            _carry(conversation, last, carries)
        number = 1 if last is None else last.number + 1
        conversation.settings = chosen.model_dump()
        return _put(conversation, number, text, contexts, chosen)


def again(*, turn: Turn, next_seed: bool = True) -> Turn:
    """Ask the same once more, by the next seed or by the same one; what came after it is dropped. Raises Refused."""
    chosen = settings_from(turn.settings)
    if next_seed:
        chosen = chosen.model_copy(update={"seed": (chosen.seed + 1) % (LAST_SEED + 1)})
    return _replaced(turn, turn.text, turn.contexts, chosen)


def change_message(*, turn: Turn, text: str) -> Turn:
    """Say something else instead; what came after it is dropped. Raises Refused."""
    return _replaced(turn, text, turn.contexts, settings_from(turn.settings))


def stop(*, turn: Turn) -> None:
    """End the answers of a turn where they are. Repeating it is harmless."""
    with transaction.atomic():
        conversation = locked(turn.conversation)
        Turn.objects.filter(pk=turn.pk, stopped_at=None).update(stopped_at=timezone.now())
        if not Serving.objects.filter(conversation=conversation, status__in=ACTIVE).exists():
            end_stopped(conversation)


def end_stopped(conversation: Conversation) -> None:
    """End the answers that were stopped and that nobody is at work on."""
    owed = Reply.objects.filter(turn__conversation=conversation, finished_at=None)
    owed.filter(turn__stopped_at__isnull=False).update(finish="stopped", finished_at=timezone.now())


def reveal(*, conversation: Conversation) -> None:
    """Tell who is who without a vote. From then on no vote of this conversation is blind."""
    Conversation.objects.filter(pk=conversation.pk, revealed_at=None).update(revealed_at=timezone.now())


def serve_soon(conversation: Conversation) -> None:
    """See to it that a worker answers what is owed. Needs the lock of the conversation."""
    if not _is_served(conversation):
        Serving.objects.create(
            project_id=conversation.project_id,
            conversation=conversation,
            folder=uuid.uuid4().hex,
            created_by_id=conversation.created_by_id,
        ).enqueue()


def go_on(*, conversation: Conversation) -> None:
    """Have a worker take up again what was left unanswered."""
    with transaction.atomic():
        serve_soon(locked(conversation))


def _replaced(turn: Turn, text: str, contexts: Sequence[str], chosen: ChatSettings) -> Turn:
    with transaction.atomic():
        conversation, now = locked(turn.conversation), timezone.now()
        living = Turn.objects.filter(conversation=conversation, replaced_at=None)
        if not living.filter(pk=turn.pk).exists():
            raise Refused(ASKED_AGAIN)
        after = living.filter(number__gte=turn.number)
        if _is_served(conversation) and Reply.objects.filter(turn__in=after, finished_at=None).exists():
            raise Refused("An answer is still on its way; stop it first.")
        after.update(replaced_at=now, stopped_at=Coalesce("stopped_at", now))
        Reply.objects.filter(turn__conversation=conversation, finished_at=None).update(
            finish="stopped", finished_at=now
        )
        return _put(conversation, turn.number, text, contexts, chosen)


def _put(
    conversation: Conversation, number: int, text: str, contexts: Sequence[str], chosen: ChatSettings
) -> Turn:
    text, kept = _storable(text), [part.strip() for part in contexts if part.strip()]
    checked_contexts([ContextDraft(plain(one)) for one in kept])
    voices = _voices(conversation)
    for voice in voices:
        _check(_source(voice))
    turn = Turn.objects.create(
        conversation=conversation, number=number, text=text, contexts=kept, settings=chosen.model_dump()
    )
    Reply.objects.bulk_create(Reply(turn=turn, voice=voice) for voice in voices)
    conversation.used_at = timezone.now()
    conversation.title = conversation.title or " ".join(text.split())[:TITLE]
    conversation.save(update_fields=["used_at", "title", "settings"])
    serve_soon(conversation)
    return turn


def _carry(conversation: Conversation, last: Turn, carries: str) -> None:
    """Fix which answer of the last turn the conversation goes on with."""
    if conversation.voices.count() < MOST_VOICES:
        return
    if carries not in ("", *PLACES):
        raise Refused(f"The conversation would go on with {carries[:20]!r}; say left or right.")
    left = conversation.left
    voted = Outcome.objects.filter(turn=last, kind=Outcome.Kind.VOTE).values_list("verdict", flat=True)
    side = carries or next((verdict for verdict in voted if verdict in PLACES), "left")
    Turn.objects.filter(pk=last.pk).update(carries=left if side == "left" else 1 - left)


def _refuse_unanswered(last: Turn) -> None:
    for reply in last.replies.all():
        if reply.finished_at is None:
            raise Refused("The last answer is still on its way; wait for it, or stop it first.")
        if reply.error:
            raise Refused("The last turn has no answer on one side; ask it again before you go on.")


def _is_served(conversation: Conversation) -> bool:
    return Serving.objects.filter(conversation=conversation).exclude(status__in=TERMINAL).exists()


def locked(conversation: Conversation) -> Conversation:
    """The conversation as it is now, for one transaction at a time: two tabs take turns. Raises Refused where it was
    deleted."""
    found = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
    if found is None:
        raise Refused("This conversation was deleted; begin another one.")
    return found


def _check(source: Checkpoint | Endpoint) -> None:
    if isinstance(source, Endpoint):
        if source.archived_at is not None:
            raise Refused(f"The endpoint {source} was put away; an owner can bring it back.")
        return
    if source.line == Checkpoint.Line.REWARD:
        raise Refused(f"{source} is a reward model, which gives numbers and no answers; choose another one.")
    check_files(source)


def _voices(conversation: Conversation) -> list[Voice]:
    return list(conversation.voices.select_related("checkpoint__base", "checkpoint__parent", "endpoint"))


def _source(voice: Voice) -> Checkpoint | Endpoint:
    """Who answers. Raises Refused where it is gone, or is an endpoint and this person may not ask those any more."""
    source, conversation = voice.checkpoint or voice.endpoint, voice.conversation
    if source is None:
        raise Refused(f"{voice.name} was deleted; what it said stays. Begin another conversation to go on.")
    slug, person = conversation.project.slug, conversation.created_by
    if isinstance(source, Endpoint) and opened(person, slug, "train") is None:
        raise Refused(f"{source} is an endpoint, and your role may not ask those; choose a checkpoint.")
    return source


def _storable(text: str) -> str:
    if not text.strip():
        raise Refused("The message is empty; write something.")
    if len(text) > LONGEST_TEXT:
        raise Refused(f"The message has {len(text):,} characters; up to {LONGEST_TEXT:,} are allowed.")
    return plain(text)


def plain(text: str) -> str:
    """The text itself. Raises Refused where no database takes it."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(
            "The text holds a NUL character or half of a surrogate pair; remove it, then send it again."
        )
    return text
