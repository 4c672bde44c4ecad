"""What a generation of answers would take: who is asked how often, how many items that gives, and what it may cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.engines import ENGINES, default_engine
from evaluation.grouping import check_grouping, groupings_of, items_of
from evaluation.models import Endpoint
from evaluation.prompts import Prompts
from evaluation.specs import GenerationSpec, LimitsSpec, SamplingSpec
from evaluation.targets import SERVICES, check_prices, frozen_target
from labeling.errors import Refused
from labeling.models import Project
from training.models import Checkpoint
from training.specs import SpecRefused, parse

MOST_TARGETS, MOST_ANSWERS, MOST_ITEMS = 16, 200_000, 200_000
LETTERS_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who answers, how often and how. Answers at temperature 0 are alike, so there each target is asked once."""

    checkpoints: Sequence[Checkpoint] = ()
    endpoints: Sequence[Endpoint] = ()
    engine: str = ""
    samples: int = 2
    temperatures: Sequence[float] = (0.7,)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    grouping: str = ""

    @property
    def targets(self) -> list[Checkpoint | Endpoint]:
        return [*self.checkpoints, *self.endpoints]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a generation would take: answers, items at most, and money at most, None where no price is known.

    `protected` prompts are used for evaluation; `priceless` endpoints have no price.
    """

    prompts: int
    answers: int
    items: int
    cost: float | None
    priceless: list[str]
    protected: int
    sealed: int
    refused: int


def outlook(*, project: Project, prompts: Prompts, wanted: Wanted) -> Outlook:
    """What it would take. Raises Refused where it cannot be done."""
    spec = spec_of(project, wanted)
    grouping = wanted.grouping or groupings_of(project.task)[0]
    each = answers_each(spec)
    count = len(prompts.found)
    check_grouping(task=project.task, grouping=grouping, answers=each)
    if count * each > MOST_ANSWERS:
        raise Refused(
            f"That would be {count * each:,} answers; up to {MOST_ANSWERS:,} fit. Choose fewer prompts."
        )
    if count * items_of(each, grouping) > MOST_ITEMS:
        raise Refused(
            f"That would be {count * items_of(each, grouping):,} items; up to {MOST_ITEMS:,} fit. Choose fewer "
            "prompts, or let each answer be in one pair only."
        )
    known = [end for end in wanted.endpoints if end.price_in is not None and end.price_out is not None]
    return Outlook(
        prompts=count,
        answers=count * each,
        items=count * items_of(each, grouping),
        cost=_cost(prompts, spec, known) if known else None,
        priceless=[end.name for end in wanted.endpoints if end not in known],
        protected=prompts.protected(project),
        sealed=prompts.sealed,
        refused=prompts.refused,
    )


def spec_of(project: Project, wanted: Wanted) -> GenerationSpec:
    """The frozen spec. Raises Refused with a sentence."""
    targets = wanted.targets
    if not 1 <= len(targets) <= MOST_TARGETS:
        raise Refused(f"{len(targets)} models were chosen; choose 1 to {MOST_TARGETS}.")
    for target in targets:
        _refuse(project, target)
    engine = wanted.engine or default_engine()
    if engine not in ENGINES or engine == SERVICES:
        known = ", ".join(name for name in ENGINES if name != SERVICES)
        raise Refused(f"The engine given is {engine[:40]!r}; choose one of {known}.")
    temperatures = tuple(sorted(set(wanted.temperatures)))
    try:
        sampling = {
            **wanted.sampling,
            "samples": wanted.samples,
            "temperature": max(temperatures, default=0.0),
        }
        spec = parse(
            GenerationSpec,
            {
                "targets": tuple(_frozen(target, str(index)) for index, target in enumerate(targets)),
                "engine": engine,
                "system": wanted.system.strip(),
                "temperatures": temperatures,
                "sampling": parse(SamplingSpec, sampling),
                "limits": parse(LimitsSpec, dict(wanted.limits)),
            },
        )
    except SpecRefused as refusal:
        raise Refused(f"{str(refusal).rstrip('.')}.") from refusal
    check_prices(spec.limits.budget, [(target["name"], target["facts"]) for target in spec.targets])
    return spec


def answers_each(spec: GenerationSpec) -> int:
    """How many answers each prompt gets."""
    return len(spec.targets) * sum(samples_at(spec, t) for t in spec.temperatures)


def samples_at(spec: GenerationSpec, temperature: float) -> int:
    """Answers of each target at a temperature."""
    return spec.sampling.samples if temperature else 1


def _refuse(project: Project, target: Checkpoint | Endpoint) -> None:
    if isinstance(target, Endpoint):
        if target.project_id != project.pk or target.archived_at is not None:
            raise Refused(f"{target.name} is not an endpoint in use here; choose another.")
    elif target.project_id not in (None, project.pk):
        raise Refused(f"{target.name} belongs to another project; choose a checkpoint of this one.")
    elif target.line == Checkpoint.Line.REWARD:
        raise Refused(f"{target.name} is a reward model, which writes no answers; choose others.")


def _frozen(target: Checkpoint | Endpoint, id: str) -> dict[str, Any]:
    row = frozen_target(target, index=int(id))
    content = target.content_hash if isinstance(target, Checkpoint) else ""
    return {"name": row.name, "facts": row.facts, "identity": row.identity, "hash": content or row.identity}


def _cost(prompts: Prompts, spec: GenerationSpec, endpoints: Sequence[Endpoint]) -> float:
    """At most: as if every answer had all the tokens that it may have."""
    letters = sum(len(part["content"]) for prompt in prompts.found for part in prompt.asked)
    letters += len(spec.system) * len(prompts.found)
    times = sum(samples_at(spec, t) for t in spec.temperatures)
    read, written = letters / LETTERS_A_TOKEN, len(prompts.found) * spec.sampling.max_tokens
    return sum(
        times * (read * (end.price_in or 0.0) + written * (end.price_out or 0.0)) / 1e6 for end in endpoints
    )
