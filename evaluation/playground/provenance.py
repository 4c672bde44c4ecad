"""Turns as items: the prompt that the models had, what they answered, and how that came about."""

from collections.abc import Iterable

from evaluation.grouping import origin_of
from evaluation.models import Reply, Turn, Voice
from evaluation.playground.prompts import prompt_of
from evaluation.targets import digest
from labeling.errors import Refused, RowRefused
from labeling.importing.checks import finished
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft, add_items
from labeling.models import Item, Project, Task

SOURCE_KIND = "playground"
BY_A_PERSON = "a person"


def origin(reply: Reply) -> str:
    """Who gave an answer and how, as generated answers have it."""
    settings = reply.turn.settings
    return origin_of(
        reply.voice.name,
        _hash(reply.voice),
        t=settings["temperature"],
        p=settings["top_p"],
        n=settings["max_tokens"],
        s=settings["seed"],
    )


def _hash(voice: Voice) -> str:
    """Of the weights; of where they are, or the service is, where those are not known."""
    facts = voice.facts
    place = [facts["url"], facts["model"]] if "url" in facts else [facts["base"], facts["revision"]]
    return str(facts.get("content_hash") or digest(place))


def stored_item(*, project: Project, turn: Turn, responses: Iterable[ResponseDraft]) -> Item:
    """The item of a turn in a project, made where it is not there yet. Raises Refused where the project cannot take
    it."""
    draft = _draft(project, turn, list(responses))
    try:
        draft = finished(draft, task=project.task)
    except RowRefused as refusal:
        words = refusal.sentence
        raise Refused(f"{project} cannot take this turn: {words}.") from refusal
    add_items(project=project, drafts=[draft], source_kind=SOURCE_KIND)
    return Item.objects.get(project=project, content_hash=draft.content_hash)


def _draft(project: Project, turn: Turn, responses: list[ResponseDraft]) -> ItemDraft:
    """Contexts stand apart where a project reviews them, and in the prompt, as the models had them, elsewhere."""
    apart = project.task == Task.RAG
    how = {
        "conversation": turn.conversation_id,
        "number": turn.number,
        "blind": turn.conversation.is_hidden,
        "settings": {name: value for name, value in turn.settings.items() if name != "system"},
        "contexts": len(turn.contexts),
    }
    return ItemDraft(
        messages=prompt_of(turn, bare=apart),
        responses=responses,
        source_ref=f"turn {turn.pk}",
        synthetic=True,
        extra={"playground": how},
        contexts=[ContextDraft(text) for text in turn.contexts] if apart else [],
    )
