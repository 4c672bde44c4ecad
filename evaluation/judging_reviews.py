"""Hold a judge against the reviews of answers from given texts, by the questions of one measure."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evaluation.cards import DIFFERENCES, Card
from evaluation.carrying import part_of, write_lines
from evaluation.drawing_reviews import About, Review, draw_reviews, reviews
from evaluation.judges import who
from evaluation.judging_desk import JudgeDesk, Put
from evaluation.models import AgreementCard
from evaluation.scorers import find_scorer, read_params
from evaluation.scorers.base import Facts, Given

if TYPE_CHECKING:
    from evaluation.agreeing_reviews import Part

SETTINGS: dict[str, dict[str, Any]] = {About.GROUNDEDNESS: {"most": 200}}
AMONG_PEOPLE = {
    About.CONTEXT_RELEVANCE: "alpha_relevance",
    About.GROUNDEDNESS: "alpha_marked",
    About.ANSWER_RELEVANCE: "alpha_addressed",
}
"""The project's own statistic that is nearest to what a judge of the measure can be held to."""


class ReviewCheck(JudgeDesk[Review]):
    """Reviewed answers are put to a judge by the questions of the scorer that the card is about."""

    def __init__(self, card: AgreementCard) -> None:
        scorer = find_scorer(card.about)
        super().__init__(card, scorer, read_params(scorer, SETTINGS.get(card.about, {})))

    chunk = 20  # reviews have their contexts with them

    def draw(self, watch: Callable[[], None]) -> None:
        card = self.card
        judge = who(self.version)
        draw_reviews(
            card.path, project=card.project, about=card.about, judge=judge, limit=card.limit, watch=watch
        )

    def rows(self) -> Iterable[Review]:
        return reviews(self.card.path)

    def puts(self, review: Review) -> Sequence[Put]:
        case = Facts(id=review.row, messages=review.prompt, contexts=review.contexts)
        return [(case, Given(text=review.text))]

    def count(self) -> Card:
        from evaluation.agreeing_reviews import numbers, parts_of  # brings SciPy

        parts: list[Part] = []
        differing: list[tuple[float, bytes]] = []
        answers = split = skipped = 0
        for review, (mark,) in self.marked(watch=part_of(self.card, 0.98, 1.0)):
            found = parts_of(self.card.about, review, mark)
            answers, split, skipped = answers + 1, split + found.split, skipped + found.skipped
            parts.extend(replace(part, text="") for part in found.parts)  # contexts are long
            differing.extend(
                (-part.margin, _line(review, part))
                for part in found.parts
                if part.judge not in ("", part.people)
            )
        write_lines(self.card.path / DIFFERENCES, (line for _, line in sorted(differing)))
        return Card(
            about=self.card.about,
            scorer=self.scorer.version,
            drawn=len(parts),
            answers=answers,
            split=split,
            skipped=skipped,
            splits={},
            **self.facts(people=AMONG_PEOPLE[About(self.card.about)]),
            **numbers(parts),
        )


def _line(review: Review, part: "Part") -> bytes:
    shown = {
        "row": review.row,
        "item": review.item,
        "prompt": review.prompt,
        "text": part.text,
        "people": part.people,
        "judge": part.judge,
        "value": part.value,
    }
    return json.dumps(shown, ensure_ascii=False).encode() + b"\n"
