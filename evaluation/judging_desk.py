"""Rows are put to a judge, and what it says of each is read as marks. Nothing is asked twice."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, TypeVar

from django.utils import timezone

from evaluation.cards import Card
from evaluation.carrying import asked_of, desk_of
from evaluation.drawing import left_out
from evaluation.engines.protocol import Answer, Request
from evaluation.judges import identity_of, who
from evaluation.models import Output
from evaluation.questions import answer_of
from evaluation.scorers import asked as questions
from evaluation.scorers import marking
from evaluation.scorers.base import Facts, Given, Mark, Marker, Params, Scorer
from evaluation.specs import JUDGE_LENGTH, LimitsSpec
from evaluation.targets import frozen_target, groups, renamed, thawed
from labeling import quality

LIMITS = LimitsSpec(max_length=JUDGE_LENGTH)
NAME = "judge"
Row = TypeVar("Row")
Put = tuple[Facts, Given]
"""An answer to be marked, and the case that it is of."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One answer as the scorer is given it, and the names of what it asks, each with its key: equal contexts are one
    question. What is asked is not kept, as texts stand in it many times."""

    case: Facts
    given: Given
    asked: list[tuple[str, str]]


class JudgeDesk(Generic[Row]):
    """The asking of one card, in this process; or of whatever has a judge's version, a project and a folder as a card
    has. Subclasses say which rows there are and how each is put; `chunk` are looked at together."""

    chunk = 200

    def __init__(self, card: Any, scorer: Scorer, params: Params) -> None:
        self.card, self.version = card, card.version
        self.scorer, self.params = scorer, params
        self.identity = identity_of(self.version)
        target = renamed(thawed(frozen_target(who(self.version), index=0).facts), NAME)
        (self.group,) = groups([target], engine=self.version.engine)
        self.asked = asked_of(self.group, {NAME: self.identity}, LIMITS)[NAME]
        self.desk = desk_of(card, LIMITS)
        self.cost = 0.0

    def rows(self) -> Iterable[Row]:
        raise NotImplementedError

    def draw(self, watch: Callable[[], None]) -> None:
        """Write down the rows; a draw of before is left as it is. Raises Refused where nothing is left to ask about."""
        raise NotImplementedError

    def count(self) -> Card:
        """The numbers; what judge and people differ on is written beside them."""
        raise NotImplementedError

    def puts(self, row: Row) -> Sequence[Put]:
        """What of a row is marked."""
        raise NotImplementedError

    def ask(self, *, watch: Callable[[int, int], None]) -> None:
        """Put every row to the judge that it was not asked about yet."""
        self.desk.watch = watch
        looking = (
            True  # the first time: what is asked is looked up, and the engine does not tell yet how far it is
        )

        def requests() -> Iterator[Request]:
            nonlocal looking
            beating, looking = looking, False
            for number, row in enumerate(self.rows()):
                if beating and number % self.chunk == 0:
                    watch(0, 1)
                yield from (request for put in self.puts(row) for _, request in self._requests(*put))

        self.desk.put(self.group, requests, place="asked")

    def marked(self, *, watch: Callable[[int, int], None]) -> Iterator[tuple[Row, list[Mark]]]:
        """Each row with the marks of what was put of it."""
        with marking(self.scorer, self.params) as mark:
            for number, chunk in enumerate(_chunked(iter(self.rows()), self.chunk)):
                watch(number * self.chunk, self.card.limit)
                yield from self._marked(chunk, mark)

    def facts(self, *, people: str) -> dict[str, Any]:
        """What every card says beside its numbers. `people` is the project's statistic that a judge can be held to."""
        measure = quality.latest(self.card.project).measure
        return {
            "identity": self.identity,
            "rubric": self.version.number,
            "dataset": self.card.against,
            "at": timezone.now().isoformat(),
            "seen": left_out(self.card.path),
            "people": measure.estimate(people) if measure else None,
            "cost": self.cost or None,
            "warnings": self.desk.warnings({NAME: str(who(self.version))}),
        }

    def _marked(self, chunk: Sequence[Row], mark: Marker) -> Iterator[tuple[Row, list[Mark]]]:
        asked = [self._questions(row) for row in chunk]
        keys = {key for some in asked for question in some for _, key in question.asked}
        kept = {row.key: row for row in Output.objects.filter(project=self.card.project_id, key__in=keys)}
        self.cost += sum(row.cost or 0.0 for row in kept.values() if row.created_at >= self.card.created_at)
        for row, some in zip(chunk, asked, strict=True):
            yield row, [mark(question.case, self._answered(question, kept)) for question in some]

    def _questions(self, row: Row) -> list[_Question]:
        return [
            _Question(case, given, [(name, request.id) for name, request in self._requests(case, given)])
            for case, given in self.puts(row)
        ]

    def _requests(self, case: Facts, given: Given) -> Iterator[tuple[str, Request]]:
        """What the scorer asks, by its own names."""
        for ask in questions(self.scorer, case, given, self.params):
            yield ask.id, self.asked.request(ask)

    def _answered(self, question: _Question, kept: dict[str, Output]) -> Given:
        told = {}
        for name, key in question.asked:
            output = kept.get(key)
            if output is None:
                error = self.desk.errors.get(key, "no answer")
                told[name] = Answer(id=key, target=NAME, kind="choose", error=error)
            else:
                told[name] = answer_of(output, NAME)
        return replace(question.given, told=told)


def _chunked(found: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while chunk := list(islice(found, size)):
        yield chunk
