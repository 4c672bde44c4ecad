"""Hold a judge against people: what people decided or reviewed is put to it, and what it says is counted.

What was answered is kept: a check that was killed goes on, and nothing is asked twice.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evaluation.cards import DIFFERENCES, Card, as_result
from evaluation.carrying import interruptible, part_of, write_lines
from evaluation.drawing import Pair, draw, pairs
from evaluation.drawing_reviews import About, has_reviews
from evaluation.judges import params_of, who
from evaluation.judging_desk import JudgeDesk, Put
from evaluation.judging_reviews import ReviewCheck
from evaluation.models import AgreementCard, Judge, JudgeVersion
from evaluation.scorers import find_scorer
from evaluation.scorers.base import Facts, Given
from labeling.curation.recipe import PAIRED
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, User
from training.processes import beat

if TYPE_CHECKING:
    from evaluation.agreeing import Said

FEWEST, MOST = 20, 5000


def start_check(
    *,
    version: JudgeVersion,
    dataset_version: DatasetVersion | None = None,
    about: str = About.PAIRS,
    limit: int = 500,
    person: User | None,
) -> AgreementCard:
    """Queue a check on up to `limit` pairs of a dataset version, those held out first; or, about a measure of answers
    from given texts, on up to `limit` reviewed answers of the judge's project. Raises Refused."""
    judge = version.judge
    if about not in About.values:
        raise Refused(f"A check is about {', '.join(About.values)}; {about[:40]!r} is none of them.")
    if about == About.PAIRS:
        _check_pairs(judge, dataset_version)
    elif dataset_version is not None:
        raise Refused(
            f"{About(about).label} is held against reviews of answers, not against {dataset_version}; leave it out."
        )
    elif not has_reviews(judge.project):
        raise Refused(
            f"No answer was reviewed in {judge.project}; {About(about).label.lower()} is held against reviews of "
            "answers from given texts, so review some in this project first."
        )
    if not FEWEST <= limit <= MOST:
        raise Refused(
            f"{limit:,} {'pairs' if about == About.PAIRS else 'answers'} were asked for; choose {FEWEST} to {MOST:,}."
        )
    if version.endpoint is not None and version.endpoint.archived_at is not None:
        raise Refused(f"{version.endpoint} was put away; bring it back, or save a version that asks another.")
    card = AgreementCard.objects.create(
        project=judge.project,
        version=version,
        about=about,
        dataset_version=dataset_version,
        limit=limit,
        folder=uuid.uuid4().hex,
        created_by=person,
    )
    card.enqueue()
    return card


def _check_pairs(judge: Judge, dataset_version: DatasetVersion | None) -> None:
    if dataset_version is None:
        raise Refused("Name the dataset version whose pairs the judge is held against.")
    if dataset_version.project_id != judge.project_id:
        raise Refused(f"{dataset_version} belongs to another project; choose a version of this one.")
    if dataset_version.kind not in PAIRED:
        raise Refused(
            f"{dataset_version} holds rows of the kind {dataset_version.kind}; a judge is held against decided pairs, "
            f"of the kinds {' and '.join(PAIRED)}. Freeze such a version first."
        )
    if not dataset_version.rows:
        raise Refused(f"{dataset_version} has no rows; freeze one when people have judged more.")


def carry_card(card: AgreementCard) -> None:
    """Claim the check and carry it to its end, or give it back to be gone on with. Safe to repeat."""
    if card.claim():
        card.carry(lambda: interruptible(card, lambda: _check(card)))


def _check(card: AgreementCard) -> None:
    check: JudgeDesk[Any] = Check(card) if card.about == About.PAIRS else ReviewCheck(card)
    check.draw(lambda: beat(card))
    check.ask(watch=part_of(card, 0.0, 0.98))
    card.finish(Status.SUCCEEDED, progress=1.0, result=as_result(check.count()))


class Check(JudgeDesk[Pair]):
    """Pairs are put to a judge by its rubric."""

    def __init__(self, card: Any) -> None:
        judge = card.version.judge
        super().__init__(card, find_scorer(judge.kind), params_of(card.version))
        self.pairwise = judge.kind == Judge.Kind.PAIRWISE

    def draw(self, watch: Callable[[], None]) -> None:
        card = self.card
        draw(card.path, version=card.dataset_version, judge=who(self.version), limit=card.limit, watch=watch)

    def rows(self) -> Iterable[Pair]:
        return pairs(self.card.path)

    def puts(self, pair: Pair) -> Sequence[Put]:
        case = Facts(id=pair.row, messages=pair.prompt)
        if self.pairwise:
            return [(case, Given(text=pair.first, baseline=pair.second))]
        return [(case, Given(text=text)) for text in (pair.first, pair.second)]

    def count(self) -> Card:
        from evaluation.agreeing import numbers  # brings SciPy

        told = list(self.told(watch=part_of(self.card, 0.98, 1.0)))
        differing = [(pair, said) for pair, said in told if said.judge not in ("", pair.people)]
        differing.sort(key=lambda one: -one[1].margin)
        write_lines(self.card.path / DIFFERENCES, (_line(pair, said) for pair, said in differing))
        return Card(
            drawn=len(told),
            splits=dict(Counter(pair.split for pair, _ in told)),
            **self.facts(people="alpha"),
            **numbers([said for _, said in told]),
        )

    def told(self, *, watch: Callable[[int, int], None]) -> "Iterator[tuple[Pair, Said]]":
        """What the judge said of each pair."""
        from evaluation.agreeing import compared, rated

        for pair, marks in self.marked(watch=watch):
            about = (pair.people, pair.cluster, (len(pair.first), len(pair.second)))
            yield pair, compared(*about, marks[0]) if self.pairwise else rated(*about, marks)


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
