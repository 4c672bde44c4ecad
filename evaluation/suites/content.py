"""What a case holds, checked, and the row that it becomes."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from evaluation.models import Case, Suite
from evaluation.models.suites import PREVIEW_LENGTH
from labeling.errors import Refused, RowRefused
from labeling.intake import Message, prompt_hash
from labeling.models import User

MOST_TAGS, LONGEST_TAG = 20, 60
MOST_CHECKS, MOST_CONTEXTS = 50, 200
LONGEST_CLUSTER, LONGEST_ID = 100, 32
LONGEST_TEXT, LONGEST_NOTE = 1_000_000, 300
HEAVIEST = 1000.0
PLAIN_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,31}", re.ASCII)
CANONICAL = orjson.OPT_SORT_KEYS


@dataclass(frozen=True, slots=True)
class Content:
    """A case before it is stored, as evaluation.models.Case describes it."""

    prompt: list[Message]
    reference: str | None = None
    rejected: str | None = None
    contexts: list[str] = field(default_factory=list)
    gold: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    weight: float = 1.0
    cluster: str = ""
    sealed: bool = False

    @property
    def identity(self) -> str:
        """The uid of a case that nobody gave an id: the same texts are the same case."""
        return _hash([self.prompt, self.reference, self.rejected, self.contexts])[:LONGEST_ID]


FIELDS = tuple(Content.__dataclass_fields__)


def as_dict(content: Content) -> dict[str, Any]:
    """The fields by name, with the values themselves and no copies of them."""
    return {name: getattr(content, name) for name in FIELDS}


def content_of(case: Case, **changes: Any) -> Content:
    """What a stored case holds, with these fields changed."""
    values = case.content()
    del values["uid"]
    return Content(**{**values, **changes})


def merged(content: Content, given: Mapping[str, Any]) -> Content:
    """The content with the fields that are given. A sealed case stays sealed: opening it takes a reason."""
    return replace(content, **{**given, "sealed": content.sealed or bool(given.get("sealed"))})


def row_of(
    *,
    suite: Suite,
    uid: str,
    content: Content,
    position: int,
    number: int,
    person: User | None,
    source: str = "",
    note: str = "",
) -> Case:
    """The unsaved row of a case that begins with this version."""
    case = Case(
        suite=suite,
        uid=uid,
        added=number,
        position=position,
        preview=" ".join(content.prompt[-1]["content"].split())[:PREVIEW_LENGTH],
        prompt_hash=prompt_hash(content.prompt),
        source=source[:300],
        note=note[:LONGEST_NOTE],
        created_by=person,
        **as_dict(content),
    )
    case.content_hash = hash_of(case)
    return case


def hash_of(case: Case) -> str:
    """SHA-256 over what a case holds."""
    return _hash(case.content())


def _hash(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=CANONICAL)).hexdigest()


def uid_of(identity: Any) -> str:
    """The uid for an id of somebody else: itself where it is short and plain, else a hash of it."""
    text = str(identity).strip()
    return text if PLAIN_ID.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:LONGEST_ID]


def checked(content: Content) -> Content:
    """The content itself. Raises RowRefused with what is wrong with it."""
    _within("tags", len(content.tags), MOST_TAGS)
    _within("checks", len(content.checks), MOST_CHECKS)
    _within("contexts", len(content.contexts), MOST_CONTEXTS)
    _within("gold contexts", len(content.gold), MOST_CONTEXTS)
    for tag in content.tags:
        if len(tag) > LONGEST_TAG:
            raise RowRefused(f"the tag {tag[:30]!r} has {len(tag)} letters; up to {LONGEST_TAG} are allowed")
    if len(content.cluster) > LONGEST_CLUSTER:
        raise RowRefused(
            f"the cluster has {len(content.cluster)} letters; up to {LONGEST_CLUSTER} are allowed"
        )
    if not 0 < content.weight <= HEAVIEST:
        raise RowRefused(f"the weight is {content.weight:g}; give a number above 0 and up to {HEAVIEST:,.0f}")
    if content.reference is not None and content.reference == content.rejected:
        raise RowRefused("reference and rejected are the same text; there is nothing to prefer")
    _storable(content)
    return content


def tags_from(texts: Iterator[str] | list[str]) -> list[str]:
    """Tags without blanks around them, each once, in their order."""
    return list(dict.fromkeys(tag for text in texts if (tag := " ".join(text.split()))))


def refused(refusal: RowRefused) -> Refused:
    """What is wrong with a row as a sentence of its own."""
    words = refusal.sentence
    return Refused(f"{words[:1].upper()}{words[1:]}.")


def accepted(content: Content) -> Content:
    """The same as `checked`, for what a person wrote or chose. Raises Refused."""
    try:
        return checked(content)
    except RowRefused as refusal:
        raise refused(refusal) from refusal


def _within(name: str, count: int, most: int) -> None:
    if count > most:
        raise RowRefused(f"there are {count} {name}; a case has up to {most}")


def _storable(content: Content) -> None:
    try:
        size = orjson.dumps(as_dict(content))
    except TypeError as error:
        if "surrogate" in str(error):
            raise RowRefused(
                "a text holds half of a surrogate pair, which is not valid Unicode; save it again"
            ) from error
        raise RowRefused(f"a field cannot be stored as JSON ({error}); give plain values") from error
    if len(size) > LONGEST_TEXT:
        raise RowRefused(f"the case has {len(size):,} bytes; up to {LONGEST_TEXT:,} are allowed")
    if b"\\u0000" in size and any("\0" in text for text in _texts(as_dict(content))):
        raise RowRefused("a text holds a NUL character (\\u0000), which databases refuse; remove it")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(key)
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
