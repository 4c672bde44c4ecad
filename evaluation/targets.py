"""Who a run asks, in the engines' terms: which weights or which service, under which identity, and in which group."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evaluation.engines.protocol import Service, Target, Weights
from evaluation.models import Endpoint, RunTarget
from labeling.errors import Refused
from training.models import Checkpoint
from training.registry import foundation

SERVICES = "openai"


@dataclass(frozen=True, slots=True)
class Group:
    """Targets that one engine asks in one go: those that share a base, or one service."""

    engine: str
    targets: tuple[Target, ...]


def weights_of(checkpoint: Checkpoint, *, id: str) -> Weights:
    """A checkpoint as an engine loads it. An adapter's base is what it was trained on, which may be weights of ours."""
    base, revision = foundation(checkpoint)
    kind = checkpoint.kind
    if kind == Checkpoint.Kind.FULL:
        base, revision = checkpoint.base.location, checkpoint.base.revision or None
    return Weights(
        id=id,
        base=base,
        revision=revision or "",
        adapter=checkpoint.path if kind == Checkpoint.Kind.ADAPTER else None,
        model=checkpoint.path if kind == Checkpoint.Kind.FULL else None,
        content_hash=checkpoint.content_hash,
        rewards=checkpoint.line == Checkpoint.Line.REWARD,
    )


def service_of(endpoint: Endpoint, *, id: str) -> Service:
    return Service(
        id=id,
        url=endpoint.url,
        model=endpoint.model,
        key_variable=endpoint.key_variable,
        requests_per_minute=endpoint.requests_per_minute,
        price_in=endpoint.price_in,
        price_out=endpoint.price_out,
    )


def identity_of(checkpoint: Checkpoint) -> str:
    """A hash of the bytes that answer: those of the checkpoint, and for an adapter those beneath it."""
    facts = weights_of(checkpoint, id="")
    beneath = [checkpoint.base.content_hash or checkpoint.base.location, facts.base, facts.revision]
    return digest([checkpoint.content_hash or checkpoint.path, *beneath])


def digest(value: Any) -> str:
    """A SHA-256 over plain JSON, in hex: the same content, the same hash."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def frozen_target(source: Checkpoint | Endpoint, *, index: int) -> RunTarget:
    """The row that a run keeps of a target; not saved yet."""
    if isinstance(source, Endpoint):
        service = service_of(source, id=str(index))
        return RunTarget(
            index=index,
            name=source.name,
            endpoint=source,
            facts=asdict(service),
            identity=digest([source.url, source.model]),
        )
    return RunTarget(
        index=index,
        name=source.name,
        checkpoint=source,
        facts=asdict(weights_of(source, id=str(index))),
        identity=identity_of(source),
    )


def copied(row: RunTarget, *, index: int) -> RunTarget:
    """The row for another run of the same target as it was then; not saved yet."""
    return RunTarget(
        index=index,
        name=row.name,
        checkpoint=row.checkpoint,
        endpoint=row.endpoint,
        facts=row.facts | {"id": str(index)},
        identity=row.identity,
    )


def thawed(facts: dict[str, Any]) -> Target:
    """What `frozen_target` wrote down, as the engines take it."""
    return Service(**facts) if "url" in facts else Weights(**facts)


def groups(targets: Iterable[Target], *, engine: str) -> list[Group]:
    """Targets by what has to be started for them, in the order in which they were given. Reward models give numbers,
    which only transformers reads; services are asked as services."""
    found: dict[tuple[str, ...], list[Target]] = {}
    for target in targets:
        key: tuple[str, ...]
        if isinstance(target, Service):
            key = (SERVICES, target.id)
        elif target.rewards:
            key = ("transformers" if engine != "fake" else engine, target.base, target.revision, "rewards")
        else:
            key = (engine, target.base, target.revision)
        found.setdefault(key, []).append(target)
    return [Group(engine=key[0], targets=tuple(members)) for key, members in found.items()]


def check_prices(budget: float | None, asked: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Raises Refused where a budget is given and one of those asked, frozen facts by name, is a service without prices:
    nobody would know when it is used up."""
    unknown = [
        name for name, facts in asked if "url" in facts and None in (facts["price_in"], facts["price_out"])
    ]
    if budget is not None and unknown:
        raise Refused(
            f"A budget was given, and nobody knows what {', '.join(unknown)} costs; give both prices on the endpoint's "
            "page (0 where it is free), or no budget."
        )


def renamed(target: Target, id: str) -> Target:
    """The same target under another id."""
    return replace(target, id=id)


def names(targets: Sequence[RunTarget]) -> str:
    return ", ".join(target.name for target in targets)
