"""Models elsewhere that a project may ask: added, changed and put away by its owners. Keys stay in the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from evaluation.models import Endpoint
from labeling.errors import Refused
from labeling.models import Project, User

PREFIX = "PREFLOOP_ENDPOINT_KEY_"
VARIABLE = re.compile(rf"{PREFIX}[A-Z0-9_]{{1,60}}")
LONGEST = {"name": 120, "url": 300, "model": 200}
MOST_REQUESTS, MOST_PRICE = 1_000_000, 100_000.0


@dataclass(frozen=True, slots=True)
class EndpointDraft:
    """An endpoint before it is stored; the fields are those of evaluation.models.Endpoint."""

    name: str
    url: str
    model: str
    key_variable: str = ""
    requests_per_minute: int | None = None
    price_in: float | None = None
    price_out: float | None = None


def draft_of(endpoint: Endpoint) -> EndpointDraft:
    """A stored endpoint as a draft, to be changed."""
    return EndpointDraft(**{name: getattr(endpoint, name) for name in EndpointDraft.__dataclass_fields__})


def add_endpoint(*, project: Project, draft: EndpointDraft, person: User | None) -> Endpoint:
    """Make a model elsewhere known. Raises Refused with a sentence for what cannot be."""
    draft = checked(draft)
    try:
        with transaction.atomic():
            return Endpoint.objects.create(project=project, created_by=person, **_values(draft))
    except IntegrityError as error:
        raise _taken(draft.name) from error


def change_endpoint(*, endpoint: Endpoint, changes: Mapping[str, Any]) -> Endpoint:
    """Change what is given. Runs keep what they froze; a judge that answers by it must be checked again."""
    draft = checked(replace(draft_of(endpoint), **changes))
    for name, value in _values(draft).items():
        setattr(endpoint, name, value)
    try:
        with transaction.atomic():
            endpoint.save(update_fields=list(_values(draft)))
    except IntegrityError as error:
        raise _taken(draft.name) from error
    return endpoint


def archive_endpoint(*, endpoint: Endpoint, archived: bool = True) -> None:
    """Put an endpoint away, so that nothing new asks it, or bring it back. Repeating it is harmless."""
    endpoint.archived_at = timezone.now() if archived else None
    endpoint.save(update_fields=["archived_at"])


def find_endpoint(*, project: Project, name: str) -> Endpoint:
    """An endpoint in use, by number or name. Raises Refused with the names there are."""
    rows = Endpoint.objects.filter(project=project, archived_at=None)
    is_number = name.isascii() and name.isdigit() and len(name) < 19
    found = rows.filter(name=name).first() or (rows.filter(pk=int(name)).first() if is_number else None)
    if found is None:
        known = ", ".join(rows.values_list("name", flat=True)[:20]) or "none yet"
        raise Refused(f"There is no endpoint {name[:120]!r} here. Known: {known}.")
    return found


def key_is_set(endpoint: Endpoint) -> bool | None:
    """Whether this process has the endpoint's key; None where it needs none. The value goes nowhere."""
    return endpoint.key_variable in settings.PREFLOOP_ENDPOINT_KEYS if endpoint.key_variable else None


def checked(draft: EndpointDraft) -> EndpointDraft:
    """The draft without blanks around its texts. Raises Refused with what is wrong with it."""
    texts = {name: " ".join(getattr(draft, name).split()) for name in LONGEST}
    for name, longest in LONGEST.items():
        if not texts[name] or len(texts[name]) > longest:
            raise Refused(f"The {name} has {len(texts[name])} characters; give 1 to {longest}.")
    draft = replace(
        draft,
        name=texts["name"],
        url=texts["url"],
        model=texts["model"],
        key_variable=draft.key_variable.strip(),
    )
    _check_url(draft.url)
    if draft.key_variable and not VARIABLE.fullmatch(draft.key_variable):
        raise Refused(
            f"The variable is {draft.key_variable[:80]!r}; its name begins with {PREFIX} and goes on with capital "
            "letters, digits or _. Give the variable's name here, never the key itself."
        )
    most = draft.requests_per_minute
    if most is not None and not 1 <= most <= MOST_REQUESTS:
        raise Refused(f"{most:,} requests a minute cannot be; give 1 to {MOST_REQUESTS:,}, or nothing.")
    for words, price in (("a prompt", draft.price_in), ("an answer", draft.price_out)):
        if price is not None and not 0 <= price <= MOST_PRICE:
            raise Refused(
                f"The price of {words} is {price}; give 0 to {MOST_PRICE:,.0f} for a million tokens."
            )
    return draft


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise Refused(f"The address is {url[:80]!r}; give one such as https://api.example.com/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Refused(
            "The address holds more than a server and a path; leave out names, keys and everything after a ? or #. "
            "A key is read from an environment variable."
        )


def _values(draft: EndpointDraft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in EndpointDraft.__dataclass_fields__}


def _taken(name: str) -> Refused:
    return Refused(f"There is an endpoint named {name} in this project already; choose another name.")
