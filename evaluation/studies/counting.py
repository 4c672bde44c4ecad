"""What people said of a study's pairs: prompts that are complete, and how far the rest is."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
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
    """One prompt whose judgments are all there, by pair of models: `items` were asked about, and `said` is what people
    said of them. Pairs of the same text are in neither."""

    number: int
    unit: str
    slices: list[str]
    items: dict[Key, int]
    said: dict[Key, list[Said]]

    def worth(self, pair: Key) -> float:
        """The mean of what was said, a tie where the texts are the same."""
        found = self.said.get(pair)
        return sum(one.worth for one in found) / len(found) if found else WORTH[TIE]


@dataclass(slots=True)
class Counted:
    """`prompts` are complete, `lost` ones ended without any judgment; `over` says that nobody is asked any more.

    `given` has the keys of all judgments so far, `wanted` counts them with those to come, `people` who gave them,
    `withdrawn` those that were taken out. `begun` counts by which model was shown first, and which second.
    """

    prompts: list[PromptSaid]
    lost: int
    over: bool
    given: list[int]
    wanted: int
    people: int
    withdrawn: int
    begun: Counter[Key]

    @property
    def way_on(self) -> str:
        """What there is to do where no look can be taken."""
        if self.over:
            return "Nobody is asked any more, so all that is left is to end the study, without another look."
        return "Wait until people have judged more."

    @property
    def said(self) -> list[Said]:
        """The judgments that are counted."""
        return [one for prompt in self.prompts for some in prompt.said.values() for one in some]


def count(study: Study) -> Counted:
    """Read what was said so far. Texts are not read."""
    pairs = list(study.pairs.all())
    items = {pair.item_id: pair for pair in pairs if pair.item_id}
    said, gone = _said(study, items)
    still_open = set(open_slots().filter(item__in=_items(study)).values_list("item_id", flat=True))
    silent: list[PromptSaid] = []
    complete: list[PromptSaid] = []
    lost = waiting = 0
    for number, some in groupby(pairs, key=lambda pair: pair.number):
        prompt = _prompt(number, list(some), said)
        if not prompt.items:
            silent.append(prompt)
        elif not still_open.isdisjoint(prompt.items.values()):
            waiting += 1
        elif all(prompt.said.values()):
            complete.append(prompt)
        else:
            lost += 1
    done = len(complete) + lost
    share = done / max(1, done + waiting)
    kept = silent[: int(len(silent) * share + 1e-9)]
    every = [one for some in said.values() for one in some]
    slots = Assignment.objects.filter(item__in=_items(study), purpose=Purpose.WORK, skipped_at=None)
    return Counted(
        prompts=sorted([*complete, *kept], key=lambda prompt: prompt.number),
        lost=lost,
        over=not waiting,
        given=[one.judgment for one in every],
        wanted=slots.count(),
        people=len({one.person for one in every}),
        withdrawn=gone,
        begun=_begun(items, said),
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
    return found, gone


def _items(study: Study) -> QuerySet[Any, Any]:
    return Item.objects.filter(study_pairs__study=study).order_by().values("pk")


def _prompt(number: int, pairs: list[StudyPair], said: dict[int, list[Said]]) -> PromptSaid:
    items = {(pair.first, pair.second): pair.item_id for pair in pairs if pair.item_id}
    told = {key: said.get(item, []) for key, item in items.items()}
    return PromptSaid(number, pairs[0].unit, pairs[0].slices, items, told)


def _begun(items: dict[int, StudyPair], said: dict[int, list[Said]]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for item, some in said.items():
        first, second = items[item].first, items[item].second
        found[first, second] += sum(one.earlier is True for one in some)
        found[second, first] += sum(one.earlier is False for one in some)
    return found
