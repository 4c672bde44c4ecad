"""A run's questions are put to engines, and what they give is kept: asked once, whoever asks again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from evaluation.engines import ENGINES
from evaluation.engines.files import warnings
from evaluation.engines.protocol import Answer, Limits, Request
from evaluation.models import Output
from evaluation.questions import kept, output_of
from evaluation.targets import SERVICES, Group
from labeling.errors import Refused

CHUNK = 500
MOST_WARNINGS, LONGEST_WARNING = 8, 300

Stored = Callable[[dict[str, int], bool], None]  # numbers of outputs by key, and whether they are new
Failed = Callable[[dict[str, str]], None]


class _Spent(Exception):
    """The budget is used up: the engine is to end."""


@dataclass
class Desk:
    """Where the questions of one job are put: who owns what is kept, what it may cost, and who is told how far it is.

    `errors` holds, by key, why a question got no answer; `warned` whom an engine warned of, and in which words; both
    are complete once every stage of the job has been asked. `uncounted` is whether a service gave an answer without
    what it costs.
    """

    project_id: int
    folder: Path
    limits: Limits
    watch: Callable[[int, int], None]
    budget: float | None = None
    spent: float = 0.0
    errors: dict[str, str] = field(default_factory=dict)
    warned: dict[tuple[str, str], None] = field(default_factory=dict)
    asked: int = 0
    uncounted: bool = False

    def put(
        self,
        group: Group,
        requests: Callable[[], Iterator[Request]],
        *,
        place: str,
        stored: Stored = lambda keys, new: None,
        failed: Failed = lambda errors: None,
        refusal: str = "",
    ) -> None:
        """Ask a group all that is not known yet. `stored` is told the numbers of outputs by key as they come, also of
        those that were there; `failed` the sentences of those that got none.

        `requests` gives the same questions each time it is called: the first time they are looked up, the second time
        those without an answer are asked, or refused. Safe to repeat. Raises engines.Interrupted and Refused.
        """
        owed = self._owed(requests(), stored)
        folder = self.folder / place
        if not owed and not folder.exists():
            return
        if owed and refusal:
            raise Refused(refusal)

        def take(answers: Sequence[Answer]) -> None:
            good = [answer for answer in answers if not answer.error and answer.id in owed]
            bad = {answer.id: answer.error for answer in answers if answer.error and answer.id in owed}
            with transaction.atomic():
                Output.objects.bulk_create(
                    (output_of(answer, project_id=self.project_id) for answer in good),
                    batch_size=CHUNK,
                    ignore_conflicts=True,
                )
                stored(kept(self.project_id, (answer.id for answer in good)), True)
                failed(bad)
            self.errors |= bad
            self.asked += len(good)
            self.spent += sum(answer.cost or 0.0 for answer in answers)
            self.uncounted |= group.engine == SERVICES and any(answer.cost is None for answer in good)

        with suppress(_Spent):
            ENGINES[group.engine]().ask(
                requests=unasked(requests(), owed),
                targets=group.targets,
                folder=folder,
                limits=self.limits,
                take=take,
                watch=self._watched,
            )
        self.warned |= dict.fromkeys(warnings(folder))
        self._stay_within_budget()

    def warnings(self, names: Mapping[str, str]) -> list[str]:
        """What engines warned of, each sentence once, with the name of the one that it is about (`names`, by id)."""
        said = [f"{names[id]}: {words}" if id in names else words for id, words in self.warned]
        return [words[:LONGEST_WARNING] for words in said[:MOST_WARNINGS]]

    def _owed(self, requests: Iterable[Request], stored: Stored) -> set[str]:
        """The keys of the questions that have no answer yet; `stored` is told of the others."""
        owed: set[str] = set()
        for chunk in chunks(requests):
            known = kept(self.project_id, (request.id for request in chunk))
            stored(known, False)
            owed |= {request.id for request in chunk} - known.keys()
        return owed

    def _watched(self, done: int, total: int) -> None:
        if self._is_spent:  # looked at here and not as answers are taken, so that all that came is kept first
            raise _Spent
        self.watch(done, total)

    @property
    def _is_spent(self) -> bool:
        return self.budget is not None and (self.spent > self.budget or self.uncounted)

    def _stay_within_budget(self) -> None:
        if self.budget is None:
            return
        if self.uncounted:
            raise Refused(
                "An endpoint does not tell how many tokens its answers have, so that nobody knows what they cost; what "
                "was answered is kept. Plan it again without a budget."
            )
        if self.spent > self.budget:
            raise Refused(
                f"The answers cost {self.spent:,.2f} so far, and the budget is {self.budget:,.2f}; what was answered "
                "is kept and not paid for again. Plan it again with a larger budget."
            )


def unasked(requests: Iterable[Request], owed: set[str]) -> Iterator[Request]:
    """Those of the requests that are owed, each once."""
    seen: set[str] = set()
    for request in requests:
        if request.id in owed and request.id not in seen:
            seen.add(request.id)
            yield request


def chunks(requests: Iterable[Request]) -> Iterator[list[Request]]:
    chunk: list[Request] = []
    for request in requests:
        chunk.append(request)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
