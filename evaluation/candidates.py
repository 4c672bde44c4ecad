"""Answers of models to prompts, as items to be judged: asked for, carried by a worker, and what came of it.

What was answered is kept: a job that was killed goes on, and a second one that asks the same asks nothing twice.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Min, QuerySet

from evaluation.carrying import asked_of, desk_of, interruptible, json_line, part_of, write_lines
from evaluation.engines.protocol import Request
from evaluation.grouping import SOURCE_KIND, Made, Tally, drafts_of, groupings_of, origin_of
from evaluation.models import Generation, Output
from evaluation.outlook import Wanted, outlook, samples_at, spec_of
from evaluation.prompts import Prompt, Prompts, with_system
from evaluation.questions import Asked, sampling_of
from evaluation.scorers.base import Ask
from evaluation.specs import GenerationSpec
from evaluation.targets import Group, groups, renamed, thawed
from labeling.errors import Refused
from labeling.intake import add_items, prompt_hash
from labeling.lifecycle import Status
from labeling.models import Item, Project, User
from labeling.protection import fingerprints, protect, protected_hashes

NAME_LENGTH = 120
PROMPTS = "prompts.jsonl"
CHUNK = 100
MOST_REASONS = 10
ASKED = 0.95


def start_generation(
    *, project: Project, prompts: Prompts, wanted: Wanted, person: User | None, name: str = ""
) -> Generation:
    """Queue the generation of answers and of the items that are made of them. Raises Refused.

    Prompts of a suite, and others that evaluation uses, are protected from training as they are asked.
    """
    outlook(project=project, prompts=prompts, wanted=wanted)
    spec = spec_of(project, wanted)
    asked = with_system(prompts, spec.system)
    names = ", ".join(target["name"] for target in spec.targets)
    generation = Generation(
        project=project,
        name=name_of(name, f"{names} on {prompts.words}"),
        spec=spec.model_dump(mode="json"),
        prompts=len(asked.found),
        folder=uuid.uuid4().hex,
        created_by=person,
        facts={
            "grouping": wanted.grouping or groupings_of(project.task)[0],
            "from": prompts.words,
            "refused": prompts.refused,
            "row_errors": prompts.errors,
            "sealed": prompts.sealed,
        },
    )
    keep_prompts(generation, asked.found)
    with transaction.atomic():
        _protect(project, prompts, asked)
        generation.save()
        generation.enqueue()
    return generation


def name_of(name: str, otherwise: str) -> str:
    """The name given, or another one where none is. Raises Refused where it is too long."""
    if len(name) > NAME_LENGTH:
        raise Refused(f"The name has {len(name)} characters; up to {NAME_LENGTH} are allowed.")
    return " ".join(name.split()) or otherwise[:NAME_LENGTH]


def keep_prompts(job: Any, prompts: Iterable[Prompt]) -> None:
    """Write down what is asked, in the job's folder. Raises Refused where the disk says no."""
    try:
        write_lines(job.path / PROMPTS, map(json_line, prompts))
    except OSError as error:
        raise Refused(
            f"The prompts could not be kept ({error.strerror}); free some space on the server."
        ) from error


def carry_generation(generation: Generation) -> None:
    """Claim the generation and carry it to its end, or give it back to be gone on with. Safe to repeat."""
    if generation.claim():
        generation.carry(lambda: interruptible(generation, lambda: Answering(generation).carry()))


def items_made(generation: Generation) -> QuerySet[Item]:
    """The items that a generation brought into the project."""
    return Item.objects.filter(
        project=generation.project_id,
        pk__gte=generation.facts.get("first_item", 0),
        source_kind=SOURCE_KIND,
        source_ref=source_of(generation),
    )


def source_of(generation: Generation) -> str:
    return f"generation {generation.pk}"


class Answering:
    """The asking and storing of one generation, in this process; other jobs with such a spec and prompts store the
    answers in another way."""

    kind: type[Prompt] = Prompt
    place = "answers"  # what the folder of each group begins with

    def __init__(self, generation: Any) -> None:
        self.generation = generation
        self.spec = GenerationSpec.model_validate(generation.spec, strict=False)
        self.groups = groups(
            [renamed(thawed(target["facts"]), str(index)) for index, target in enumerate(self.spec.targets)],
            engine=self.spec.engine,
        )
        identities = {str(index): target["identity"] for index, target in enumerate(self.spec.targets)}
        self.asked: dict[str, Asked] = {}
        for group in self.groups:
            self.asked |= asked_of(group, identities, self.spec.limits)
        self.desk = desk_of(generation, self.spec.limits)
        self.marks: dict[str, float] = {}  # what an answer's origin says besides how it was sampled

    def carry(self) -> None:
        for number, group in enumerate(self.groups):
            low, high = (ASKED * at / len(self.groups) for at in (number, number + 1))
            self.desk.watch = part_of(self.generation, low, high)
            self._put(group, f"{self.place}-{number}")
        self.store()

    def _put(self, group: Group, place: str) -> None:
        def requests() -> Iterator[Request]:
            for prompt in self.prompts():
                for target in group.targets:
                    yield from (request for request, _ in self._requests(prompt, target.id))

        self.desk.put(group, requests, place=place)

    def _requests(self, prompt: Prompt, target: str) -> Iterator[tuple[Request, str]]:
        """The requests for a target's answers to a prompt, each with the origin that its answer has."""
        frozen, base = self.spec.targets[int(target)], self.spec.sampling
        ask = Ask(id="", of="target", kind="complete", messages=prompt.asked)
        for temperature in self.spec.temperatures:
            sampling = base.model_copy(update={"temperature": temperature})
            for sample in range(samples_at(self.spec, temperature)):
                origin = origin_of(
                    frozen["name"],
                    frozen["hash"],
                    t=temperature,
                    p=base.top_p,
                    k=base.top_k,
                    n=base.max_tokens,
                    s=base.seed + sample,
                    **self.marks,
                )
                yield self.asked[target].request(ask, sampling_of(sampling, sample)), origin

    def store(self) -> None:
        """Make the items; those that are there stay as they are."""
        generation, tally = self.generation, Tally()
        watch = part_of(generation, ASKED, 1.0)
        done = 0
        for chunk in chunked(self.prompts()):
            drafts = []
            for prompt, answers in self.answered(chunk, tally):
                drafts += drafts_of(
                    prompt,
                    answers,
                    task=generation.project.task,
                    grouping=generation.facts["grouping"],
                    source=source_of(generation),
                    tally=tally,
                )
            add_items(project=generation.project, drafts=drafts, source_kind=SOURCE_KIND)
            done += len(chunk)
            watch(done, generation.prompts)
        self._finish(tally)

    def answered(self, chunk: list[Prompt], tally: Tally) -> Iterator[tuple[Prompt, list[Made]]]:
        """The answers that there are to some prompts, in the order of the targets and samples."""
        wanted = [
            [
                (request.id, int(target), origin)
                for target in self.asked
                for request, origin in self._requests(prompt, target)
            ]
            for prompt in chunk
        ]
        rows = Output.objects.filter(
            project=self.generation.project_id, key__in={key for some in wanted for key, _, _ in some}
        )
        found = {key: (text, finish) for key, text, finish in rows.values_list("key", "text", "finish")}
        for prompt, some in zip(chunk, wanted, strict=True):
            there = [(target, origin, *found[key]) for key, target, origin in some if key in found]
            tally.cut += sum(finish == "length" for *_, finish in there)
            yield prompt, [Made(text, target, origin) for target, origin, text, _ in there]

    def _finish(self, tally: Tally) -> None:
        generation, errors = self.generation, self.desk.errors
        first = items_made(generation).aggregate(first=Min("pk"))["first"]
        made = items_made(generation).count()
        facts = {
            **generation.facts,
            **asdict(tally),
            "failed": len(errors),
            "errors": dict(Counter(errors.values()).most_common(MOST_REASONS)),
            "warnings": self.desk.warnings({str(n): one["name"] for n, one in enumerate(self.spec.targets)}),
            "cost": self.desk.spent or None,
            "first_item": first or 0,
        }
        generation.finish(
            Status.SUCCEEDED,
            progress=1.0,
            made=made,
            duplicate=max(0, tally.drafts - made),
            dropped=tally.dropped,
            facts=facts,
        )

    def prompts(self) -> Iterator[Prompt]:
        with (self.generation.path / PROMPTS).open(encoding="utf-8") as file:
            for line in file:
                yield self.kind(**json.loads(line))


def _protect(project: Project, prompts: Prompts, asked: Prompts) -> None:
    """Prompts of a suite are protected from training though it is not frozen yet, and a prompt of evaluation stays one
    with a system message before it."""
    known = protected_hashes(project=project)
    more: dict[str, str] = {}
    for before, after in zip(prompts.found, asked.found, strict=True):
        if prompts.suite or prompt_hash(before.messages) in known:
            more |= fingerprints(one.messages for one in (before, after))
    if more:
        protect(project=project, prompts=more, reason=f"{prompts.words}, by a generation"[:200])


def chunked(prompts: Iterator[Prompt]) -> Iterator[list[Prompt]]:
    while chunk := list(islice(prompts, CHUNK)):
        yield chunk
