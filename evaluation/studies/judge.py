"""A judge reads the pairs of a study as people do, and what it says is held against them at each look."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

from evaluation.carrying import json_line, part_of, write_lines
from evaluation.drawing import PAIRS, Pair
from evaluation.judging import Check
from evaluation.models import Study

if TYPE_CHECKING:
    from evaluation.agreeing import Said

CHUNK = 200


def write_pairs(study: Study) -> None:
    """Write down the pairs as a judge reads them: `row` is the item, the first answer that of the first model."""
    write_lines(study.path / PAIRS, map(json_line, _pairs(study)))


def ask_judge(study: Study) -> None:
    """Ask the study's judge about every pair, in both orders; what was answered before is not asked again."""
    _check(study).ask(watch=part_of(study, 0.98, 1.0))


def judged(study: Study) -> "dict[int, Said]":
    """What the judge said, by item; its first is the first model."""
    return {pair.row: said for pair, said in _check(study).told(watch=lambda done, total: None)}


def _check(study: Study) -> Check:
    """What would be the card's is the study's."""
    card = SimpleNamespace(
        version=study.judge,
        project_id=study.project_id,
        path=study.path,
        created_at=study.created_at,
        limit=study.prompts,
    )
    return Check(card)


def _pairs(study: Study) -> Iterator[Pair]:
    rows = study.pairs.exclude(item=None).select_related("item").prefetch_related("item__responses")
    for pair in rows.iterator(chunk_size=CHUNK):
        assert pair.item is not None
        texts = [answer.text for answer in pair.item.responses.all()]
        yield Pair(
            row=pair.item.pk,
            item=pair.item.content_hash,
            split="",
            cluster=pair.unit,
            prompt=pair.item.messages,
            first=texts[pair.place],
            second=texts[1 - pair.place],
            people="",
        )
