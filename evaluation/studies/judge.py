"""A judge reads the pairs of a study as people do, and what it says is held against them at each look."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.carrying import part_of, write_lines
from evaluation.drawing import PAIRS, Pair
from evaluation.judging import Check
from evaluation.models import JudgeVersion, Study
from labeling.models import Item, Project, Response

if TYPE_CHECKING:
    from evaluation.agreeing import Said

CHUNK = 200


@dataclass(frozen=True, slots=True)
class _Card:
    """What the check of a judge needs to know of where its pairs stand; the pairs are in the study's folder."""

    version: JudgeVersion
    project: Project
    project_id: int
    path: Path
    created_at: datetime
    limit: int


def write_pairs(study: Study) -> None:
    """Write down the pairs as a judge reads them: `row` is the item, first and second are as they are stored."""
    write_lines(study.path / PAIRS, (_line(pair) for pair in _pairs(study)))


def ask_judge(study: Study) -> None:
    """Ask the study's judge about every pair, in both orders; what was answered before is not asked again."""
    Check(_card(study)).ask(watch=part_of(study, 0.98, 1.0))


def judged(study: Study) -> "dict[int, Said]":
    """What the judge said, by item, its first and second being the stored ones."""
    check = Check(_card(study))
    return {pair.row: said for pair, said in check.told(watch=lambda done, total: None)}


def _card(study: Study) -> _Card:
    assert study.judge is not None
    return _Card(
        version=study.judge,
        project=study.project,
        project_id=study.project_id,
        path=study.path,
        created_at=study.created_at,
        limit=study.prompts,
    )


def _pairs(study: Study) -> Iterator[Pair]:
    rows = study.pairs.exclude(item=None).order_by("number", "first", "second")
    found = list(rows.values_list("item_id", "unit"))
    for at in range(0, len(found), CHUNK):
        some = found[at : at + CHUNK]
        items = Item.objects.only("content_hash", "messages").in_bulk([key for key, _ in some])
        texts: dict[int, list[str]] = {}
        answers = Response.objects.filter(item__in=items).order_by("item", "position")
        for key, text in answers.values_list("item_id", "text"):
            texts.setdefault(key, []).append(text)
        for key, unit in some:
            first, second = texts[key]
            item = items[key]
            yield Pair(key, item.content_hash, "", unit, item.messages, first, second, "")


def _line(pair: Pair) -> bytes:
    return json.dumps(asdict(pair), ensure_ascii=False).encode() + b"\n"
