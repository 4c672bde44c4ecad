"""What people said of a study's pairs: prompts that are complete, and how far the rest is."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from evaluation.models import Study, StudyPair
from labeling.curation.votes import open_slots, withdrawn
from labeling.models import Assignment, Item, Purpose
from labeling.reviewlist import standing
from labeling.values import BOTH_BAD, TIE

Key = tuple[int, int]
WIN, LOSS = "win", "loss"
WORTH = {WIN: 1.0, LOSS: 0.0, TIE: 0.5, BOTH_BAD: 0.5}


@dataclass(frozen=True, slots=True)
class Said:
    """One judgment of a pair, in terms of its first model. `earlier` says whether that was shown first, None where it
    is not known."""

    judgment: int
    person: int
    label: str
    earlier: bool | None

    @property
    def worth(self) -> float:
        return WORTH[self.label]


@dataclass(slots=True)
class PromptSaid:
    """One prompt whose judgments are all there: `said` by pair of models; `same` are pairs of the same text."""

    number: int
    unit: str
    slices: list[str]
    said: dict[Key, list[Said]] = field(default_factory=dict)
    items: dict[Key, int] = field(default_factory=dict)
    same: set[Key] = field(default_factory=set)

    def worth(self, pair: Key) -> float:
        """The mean of what was said, a tie where the texts are the same."""
        found = self.said.get(pair)
        return sum(one.worth for one in found) / len(found) if found else 0.5


@dataclass(slots=True)
class Counted:
    """`prompts` are complete; `asked` is how many need people at all, `done` how many of these are complete, and `lost`
    how many ended without any judgment. `silent` prompts have the same text everywhere and need nobody. `given` are
    all judgments so far, `people` how many gave them, `withdrawn` how many were taken out; `begun` counts, by pair,
    those that saw the first model first, and those that saw it second; `all` has the keys of the given judgments."""

    prompts: list[PromptSaid]
    asked: int
    done: int
    lost: int
    silent: int
    given: int
    wanted: int
    people: int
    withdrawn: int
    begun: dict[Key, tuple[int, int]]
    all: list[int]

    @property
    def judgments(self) -> list[int]:
        """The judgments that are counted."""
        return [one.judgment for prompt in self.prompts for said in prompt.said.values() for one in said]


def count(study: Study) -> Counted:
    """Read what was said so far. Texts are not read."""
    pairs = list(study.pairs.order_by("number", "first", "second"))
    items = {pair.item_id: pair for pair in pairs if pair.item_id}
    said, gone = _said(study, items)
    still_open = set(open_slots().filter(item__in=_items(study)).values_list("item_id", flat=True))
    prompts: dict[int, list[StudyPair]] = defaultdict(list)
    for pair in pairs:
        prompts[pair.number].append(pair)
    silent, complete, lost, asked = [], [], 0, 0
    for number, mine in prompts.items():
        keys = [pair.item_id for pair in mine if pair.item_id]
        if not keys:
            silent.append(_prompt(number, mine, said))
            continue
        asked += 1
        if still_open.isdisjoint(keys):
            if all(said.get(key) for key in keys):
                complete.append(_prompt(number, mine, said))
            else:
                lost += 1
    done = len(complete)
    share = (done + lost) / asked if asked else 1.0
    kept = silent[: int(len(silent) * share + 1e-9)]
    every = [one for some in said.values() for one in some]
    return Counted(
        prompts=sorted([*complete, *kept], key=lambda prompt: prompt.number),
        asked=asked,
        done=done,
        lost=lost,
        silent=len(silent),
        given=len(every),
        wanted=_wanted(study),
        people=len({one.person for one in every}),
        withdrawn=gone,
        begun=_begun(items, said),
        all=sorted(one.judgment for one in every),
    )


def _said(study: Study, items: dict[int, StudyPair]) -> tuple[dict[int, list[Said]], int]:
    """The current judgments by item, without what was withdrawn, and how many that were."""
    people, out = withdrawn([study.queue])
    rows = standing(item__in=_items(study), kind="pairwise")
    found: dict[int, list[Said]] = defaultdict(list)
    gone = 0
    columns = ("pk", "item_id", "person_id", "label", "display_order")
    for key, item, person, label, order in rows.order_by("pk").values_list(*columns):
        if person in people or item in out:
            gone += 1
            continue
        place = items[item].place
        if label not in (TIE, BOTH_BAD):
            label = WIN if int(label) == place else LOSS
        found[item].append(Said(key, person, label, order[0] == place if order else None))
    return dict(found), gone


def _items(study: Study) -> QuerySet[Any, Any]:
    return Item.objects.filter(study_pairs__study=study).order_by().values("pk")


def _wanted(study: Study) -> int:
    """Judgments given or still to be given."""
    slots = Assignment.objects.filter(item__in=_items(study), purpose=Purpose.WORK, skipped_at=None)
    return slots.count()


def _prompt(number: int, pairs: list[StudyPair], said: dict[int, list[Said]]) -> PromptSaid:
    found = PromptSaid(number, pairs[0].unit, pairs[0].slices)
    for pair in pairs:
        key = (pair.first, pair.second)
        if pair.item_id:
            found.said[key], found.items[key] = said[pair.item_id], pair.item_id
        else:
            found.same.add(key)
    return found


def _begun(items: dict[int, StudyPair], said: dict[int, list[Said]]) -> dict[Key, tuple[int, int]]:
    first: Counter[Key] = Counter()
    second: Counter[Key] = Counter()
    for item, some in said.items():
        key = (items[item].first, items[item].second)
        first[key] += sum(one.earlier is True for one in some)
        second[key] += sum(one.earlier is False for one in some)
    return {key: (first[key], second[key]) for key in sorted({*first, *second})}
