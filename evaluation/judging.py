"""Hold a judge against people: pairs that people decided are put to it, and what it says is counted.

What was answered is kept: a check that was killed goes on, and nothing is asked twice.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from evaluation.cards import DIFFERENCES, Card, as_result, trusted
from evaluation.carrying import asked_of, desk_of, interruptible, part_of, write_lines
from evaluation.drawing import Pair, draw, left_out, pairs
from evaluation.engines.protocol import Answer
from evaluation.judges import identity_of, params_of, who
from evaluation.models import AgreementCard, Judge, JudgeVersion, Output
from evaluation.questions import answer_of
from evaluation.scorers import asked as questions
from evaluation.scorers import find_scorer, marking
from evaluation.scorers.base import Ask, Facts, Given, Marker
from evaluation.specs import JUDGE_LENGTH, LimitsSpec
from evaluation.targets import frozen_target, groups, renamed, thawed
from labeling import quality
from labeling.curation.recipe import PAIRED
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, User
from training.processes import beat

if TYPE_CHECKING:
    from evaluation.agreeing import Said

__all__ = ["FEWEST", "LIMITS", "MOST", "carry_card", "start_check", "trusted"]

FEWEST, MOST = 20, 5000
LIMITS = LimitsSpec(max_length=JUDGE_LENGTH)
NAME = "judge"
CHUNK = 200


def start_check(
    *, version: JudgeVersion, dataset_version: DatasetVersion, limit: int = 500, person: User | None
) -> AgreementCard:
    """Queue a check on up to `limit` pairs of a dataset version, those held out first. Raises Refused."""
    judge = version.judge
    if dataset_version.project_id != judge.project_id:
        raise Refused(f"{dataset_version} belongs to another project; choose a version of this one.")
    if dataset_version.kind not in PAIRED:
        raise Refused(
            f"{dataset_version} holds rows of the kind {dataset_version.kind}; a judge is held against decided pairs, "
            f"of the kinds {' and '.join(PAIRED)}. Freeze such a version first."
        )
    if not FEWEST <= limit <= MOST:
        raise Refused(f"{limit:,} pairs were asked for; choose {FEWEST} to {MOST:,}.")
    if not dataset_version.rows:
        raise Refused(f"{dataset_version} has no rows; freeze one when people have judged more.")
    if version.endpoint is not None and version.endpoint.archived_at is not None:
        raise Refused(f"{version.endpoint} was put away; bring it back, or save a version that asks another.")
    card = AgreementCard.objects.create(
        project=judge.project,
        version=version,
        dataset_version=dataset_version,
        limit=limit,
        folder=uuid.uuid4().hex,
        created_by=person,
    )
    card.enqueue()
    return card


def carry_card(card: AgreementCard) -> None:
    """Claim the check and carry it to its end, or give it back to be gone on with. Safe to repeat."""
    if card.claim():
        card.carry(lambda: interruptible(card, lambda: _check(card)))


def _check(card: AgreementCard) -> None:
    draw(
        card.path,
        version=card.dataset_version,
        judge=who(card.version),
        limit=card.limit,
        watch=lambda: beat(card),
    )
    check = Check(card)
    check.ask(watch=part_of(card, 0.0, 0.98))
    card.finish(Status.SUCCEEDED, progress=1.0, result=as_result(check.count()))


@dataclass(frozen=True, slots=True)
class _Put:
    """One answer, or one pair of answers, as the scorer is given it, and its questions by key."""

    given: Given
    keys: dict[str, Ask]


class Check:
    """The asking and counting of one card, in this process; or of whatever has a judge's version and pairs as a card
    has."""

    def __init__(self, card: Any) -> None:
        self.card, self.version = card, card.version
        self.pairwise = self.version.judge.kind == Judge.Kind.PAIRWISE
        self.scorer, self.params = find_scorer(self.version.judge.kind), params_of(self.version)
        self.identity = identity_of(self.version)
        target = renamed(thawed(frozen_target(who(self.version), index=0).facts), NAME)
        (self.group,) = groups([target], engine=self.version.engine)
        self.asked = asked_of(self.group, {NAME: self.identity}, LIMITS)[NAME]
        self.desk = desk_of(card, LIMITS)
        self.cost = 0.0

    def ask(self, *, watch: Callable[[int, int], None]) -> None:
        """Put every pair to the judge that it was not asked about yet."""
        self.desk.watch = watch
        self.desk.put(
            self.group,
            lambda: (
                self.asked.request(ask)
                for pair in pairs(self.card.path)
                for put in self._puts(pair)
                for ask in put.keys.values()
            ),
            place="asked",
        )

    def count(self) -> Card:
        """The numbers; the pairs on which judge and people differ are written beside them."""
        from evaluation.agreeing import numbers  # brings SciPy

        told = list(self.told(watch=part_of(self.card, 0.98, 1.0)))
        differing = [(pair, said) for pair, said in told if said.judge not in ("", pair.people)]
        differing.sort(key=lambda one: -one[1].margin)
        write_lines(self.card.path / DIFFERENCES, (_line(pair, said) for pair, said in differing))
        measure = quality.latest(self.card.project).measure
        return Card(
            drawn=len(told),
            identity=self.identity,
            rubric=self.version.number,
            dataset=str(self.card.dataset_version),
            at=timezone.now().isoformat(),
            splits=dict(Counter(pair.split for pair, _ in told)),
            seen=left_out(self.card.path),
            people=measure.estimate("alpha") if measure else None,
            cost=self.cost or None,
            **numbers([said for _, said in told]),
        )

    def told(self, *, watch: Callable[[int, int], None]) -> "Iterator[tuple[Pair, Said]]":
        """What the judge said of each pair."""
        with marking(self.scorer, self.params) as mark:
            for number, chunk in enumerate(_chunked(pairs(self.card.path))):
                watch(number * CHUNK, self.card.limit)
                yield from self._said(chunk, mark)

    def _said(self, chunk: Sequence[Pair], mark: Marker) -> "Iterator[tuple[Pair, Said]]":
        from evaluation.agreeing import compared, rated

        puts = [self._puts(pair) for pair in chunk]
        keys = {key for some in puts for put in some for key in put.keys}
        kept = {row.key: row for row in Output.objects.filter(project=self.card.project_id, key__in=keys)}
        self.cost += sum(row.cost or 0.0 for row in kept.values() if row.created_at >= self.card.created_at)
        for pair, some in zip(chunk, puts, strict=True):
            marks = [mark(_facts(pair), self._answered(put, kept)) for put in some]
            about = (pair.people, pair.cluster, (len(pair.first), len(pair.second)))
            yield pair, compared(*about, marks[0]) if self.pairwise else rated(*about, marks)

    def _puts(self, pair: Pair) -> list[_Put]:
        givens = (
            [Given(text=pair.first, baseline=pair.second)]
            if self.pairwise
            else [Given(text=pair.first), Given(text=pair.second)]
        )
        found = []
        for given in givens:
            asks = questions(self.scorer, _facts(pair), given, self.params)
            found.append(_Put(given, {self.asked.request(ask).id: ask for ask in asks}))
        return found

    def _answered(self, put: _Put, kept: dict[str, Output]) -> Given:
        told = {}
        for key, ask in put.keys.items():
            output = kept.get(key)
            if output is None:
                error = self.desk.errors.get(key, "no answer")
                told[ask.id] = Answer(id=key, target=NAME, kind="choose", error=error)
            else:
                told[ask.id] = answer_of(output, NAME)
        return replace(put.given, told=told)


def _facts(pair: Pair) -> Facts:
    return Facts(id=pair.row, messages=pair.prompt)


def _line(pair: Pair, said: "Said") -> bytes:
    shown = {
        "row": pair.row,
        "item": pair.item,
        "prompt": pair.prompt,
        "first": pair.first,
        "second": pair.second,
        "people": pair.people,
        "judge": said.judge,
        "values": [said.first, said.second],
        "flipped": bool(said.flipped),
    }
    return json.dumps(shown, ensure_ascii=False).encode() + b"\n"


def _chunked(found: Iterator[Pair]) -> Iterator[list[Pair]]:
    while chunk := list(islice(found, CHUNK)):
        yield chunk
