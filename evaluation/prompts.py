"""Prompts to be answered: those of the project's own items, of a suite's open cases, or of a file."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluation.models import Case, Split, Suite
from evaluation.suites import current_version
from labeling.errors import ImportRefused, Refused, RowRefused
from labeling.importing.mapping import to_drafts
from labeling.importing.readers import read_rows
from labeling.importing.reviews import contexts_of, refuse_contexts
from labeling.intake import ContextDraft, Message, prompt_hash
from labeling.models import Chunk, Item, Judgment, Project, Task, Withdrawal
from labeling.protection import protected_hashes
from labeling.rag.prompting import with_contexts

MOST = 10_000
KEPT_ERRORS = 100
UNJUDGED, ALL = "unjudged", "all"
WHICH = {UNJUDGED: "Items that nobody has judged yet", ALL: "All items"}
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, where it comes from, its licence where that is known, and, in a project that reviews RAG answers, what
    was retrieved for it, with the fields of a ContextDraft."""

    messages: list[Message]
    source: str
    licence: str = ""
    contexts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def asked(self) -> list[Message]:
        """What a model is asked: the prompt with what was retrieved, as datasets and evaluations write it."""
        return with_contexts(self.messages, [each["text"] for each in self.contexts])


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts, each once. `words` says where they come from; `refused` rows of a file gave none, the first of them with
    line and reason in `errors`; `sealed` prompts of a suite were left out. Prompts of a `suite` are for evaluation."""

    words: str
    found: list[Prompt]
    refused: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    sealed: int = 0
    suite: bool = False

    def protected(self, project: Project) -> int:
        """How many of the prompts evaluation uses: what people say of them is never trained on."""
        if self.suite:
            return len(self.found)
        hashes = protected_hashes(project=project)
        return sum(prompt_hash(prompt.messages) in hashes for prompt in self.found)


def from_items(*, project: Project, which: str = UNJUDGED, count: int = MOST) -> Prompts:
    """Up to `count` prompts of the project's own items, drawn at random but always alike. Raises Refused."""
    if which not in WHICH:
        raise Refused(f"The items asked for are {which[:40]!r}; choose one of {', '.join(WHICH)}.")
    refuse_count(count)
    rows = Item.objects.filter(project=project).exclude(
        pk__in=Withdrawal.objects.filter(project=project, item__isnull=False).values("item")
    )
    if which == UNJUDGED:
        rows = rows.exclude(pk__in=Judgment.objects.filter(project=project).values("item"))
    chosen: dict[str, int] = {}
    for key, hashed in rows.order_by("content_hash").values_list("pk", "prompt_hash").iterator(CHUNK):
        chosen.setdefault(hashed, key)
        if len(chosen) == count:
            break
    words = f"{'all' if which == ALL else 'unjudged'} items"
    return _some(Prompts(words, list(_of_items(list(chosen.values()), project))), project)


def _of_items(keys: list[int], project: Project) -> Iterator[Prompt]:
    for at in range(0, len(keys), CHUNK):
        some = keys[at : at + CHUNK]
        items = Item.objects.only("messages", "licence").in_bulk(some)
        contexts = _retrieved(some) if project.task == Task.RAG else {}
        for key in some:
            yield Prompt(items[key].messages, f"item {key}", items[key].licence, contexts.get(key, []))


def _retrieved(items: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = Chunk.objects.filter(item__in=items).order_by("item", "position")
    for item, text, title, ref, score in rows.values_list("item_id", "text", "title", "ref", "score"):
        found[item].append(asdict(ContextDraft(text, title, ref, score)))
    return found


def from_suite(*, suite: Suite, count: int = MOST) -> Prompts:
    """Up to `count` prompts of the open cases of a suite as it is now. Prompts of sealed cases stay under seal."""
    refuse_count(count)
    version = current_version(suite)
    if version is None:
        raise Refused(f"{suite} has no case yet; choose another suite.")
    cases = Case.objects.of(version)
    sealed = set(cases.filter(sealed=True).order_by().values_list("prompt_hash", flat=True))
    found: dict[str, Prompt] = {}
    rows = Case.objects.in_split(version, Split.DEV).values_list("prompt_hash", "prompt", "uid", "contexts")
    with_them = suite.project.task == Task.RAG
    for hashed, prompt, uid, texts in rows.iterator(CHUNK):
        if hashed not in sealed:
            contexts = [asdict(ContextDraft(text)) for text in texts if text.strip()] if with_them else []
            found.setdefault(hashed, Prompt(prompt, f"case {uid}", contexts=contexts))
        if len(found) == count:
            break
    prompts = Prompts(f"suite {suite.name}", list(found.values()), sealed=len(sealed), suite=True)
    return _some(prompts, suite.project)


def from_file(*, project: Project, path: Path, name: str, count: int = MOST) -> Prompts:
    """Up to `count` prompts of a file in any format that items are imported from; answers in it are not used. Raises
    Refused where the file cannot be read."""
    try:
        return from_rows(project=project, rows=read_rows(path, name=name), name=name, count=count)
    except ImportRefused as refusal:
        raise Refused(refusal.sentence) from refusal


def from_rows(
    *, project: Project, rows: Iterable[tuple[int, object]], name: str, count: int = MOST
) -> Prompts:
    """The same of numbered rows that were read."""
    refuse_count(count)
    found: dict[str, Prompt] = {}
    refused = 0
    errors: list[tuple[int, str]] = []
    for line, row in rows:
        try:
            for prompt in _of_row(row, line, project.task):
                found.setdefault(prompt_hash(prompt.messages), prompt)
        except RowRefused as refusal:
            refused += 1
            if len(errors) < KEPT_ERRORS:
                errors.append((line, refusal.sentence))
        if len(found) >= count:
            break
    if not found and errors:
        raise Refused(f"No row of {name} has a prompt. Line {errors[0][0]}: {errors[0][1]}.")
    return _some(Prompts(name, list(found.values())[:count], refused, errors), project)


def _of_row(row: object, line: int, task: str) -> Iterator[Prompt]:
    if isinstance(row, RowRefused):
        raise row
    for draft in to_drafts(row, task="demonstration"):
        if draft.messages[-1]["role"] == "assistant":
            raise RowRefused("the prompt ends with the assistant; end it with what is asked")
        contexts: list[ContextDraft] = []
        if task == Task.RAG:
            contexts = draft.contexts or (contexts_of(row) if isinstance(row, dict) else [])
            refuse_contexts(contexts)
        yield Prompt(draft.messages, f"row {line}", draft.licence, [asdict(each) for each in contexts])


def with_system(prompts: Prompts, system: str) -> Prompts:
    """The prompts with a system message, those left as they are that have one: people see what the model saw."""
    if not system.strip():
        return prompts
    first: Message = {"role": "system", "content": system.strip()}
    return replace(
        prompts,
        found=[
            prompt
            if any(message["role"] == "system" for message in prompt.messages)
            else replace(prompt, messages=[first, *prompt.messages])
            for prompt in prompts.found
        ],
    )


def find_suite(*, project: Project, name: str) -> Suite:
    """A suite by its name. Raises Refused with the names there are."""
    rows = Suite.objects.filter(project=project)
    found = rows.filter(name=name).first()
    if found is None:
        known = ", ".join(rows.values_list("name", flat=True)[:20])
        raise Refused(f"There is no suite {name[:120]!r} here. Known: {known or 'none yet'}.")
    return found


def refuse_count(count: int) -> None:
    if not 1 <= count <= MOST:
        raise Refused(f"{count:,} prompts were asked for; choose 1 to {MOST:,}.")


def _some(prompts: Prompts, project: Project) -> Prompts:
    if not prompts.found:
        raise Refused(f"There is no prompt among {prompts.words} of {project.name}; choose others.")
    return prompts
