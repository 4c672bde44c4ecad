"""The models of a study answer, and their answers become pairs: blind, begun from either side alike, asked once."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from django.db import transaction

from evaluation.candidates import ASKED, PROMPTS, Answering, chunked
from evaluation.carrying import interruptible, part_of
from evaluation.grouping import Made, Tally
from evaluation.models import Study, StudyPair
from evaluation.prompts import Prompt
from evaluation.studies.design import Design, read_design
from evaluation.studies.judge import ask_judge, write_pairs
from evaluation.studies.lineage import alike_in_training
from evaluation.studies.prompts import StudyPrompt
from labeling.allocation import take_back
from labeling.errors import Refused, RowRefused
from labeling.importing.checks import finished
from labeling.intake import ItemDraft, ResponseDraft
from labeling.lifecycle import Status
from labeling.models import Item
from labeling.offering import offer_pairs
from training.models import Checkpoint
from training.processes import beat

SOURCE_KIND = "study"
BLOCK = 4


def carry_study(study: Study) -> None:
    """Claim the study and get its answers, or give it back to be gone on with. Safe to repeat."""
    if study.claim():
        study.carry(lambda: interruptible(study, lambda: _Pairs(study).carry()))
        study.refresh_from_db()
        if study.closed_as:  # cancelled while pairs were being made
            withdraw_pairs(study)


def withdraw_pairs(study: Study) -> None:
    """Give the pairs of a study to nobody any more."""
    items = Item.objects.filter(study_pairs__study=study)
    take_back(project=study.queue, items=items)


@dataclass(slots=True)
class _Count:
    """What became of the answers. `number` is of the next prompt that has all of them."""

    number: int = 0
    same: int = 0
    pairs: int = 0
    unanswered: int = 0
    empty: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    begun: dict[tuple[int, int], int] = field(default_factory=dict)


class _Pairs(Answering):
    """The asking of one study and the making of its pairs, in this process."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.study = study
        self.marks = {"study": study.pk}
        self.design: Design = read_design(study.design)

    def prompts(self) -> Iterator[StudyPrompt]:
        with (self.study.path / PROMPTS).open(encoding="utf-8") as file:
            for line in file:
                yield StudyPrompt(**json.loads(line))

    def carry(self) -> None:
        if "alike" not in self.study.facts:
            self._look_for_copies()
        super().carry()

    def _look_for_copies(self) -> None:
        sources = [one["id"] for one in self.study.facts.get("sources", []) if one["kind"] == "checkpoint"]
        checkpoints = list(Checkpoint.objects.filter(pk__in=sources))
        found = alike_in_training(list(self.prompts()), checkpoints, beat=lambda: beat(self.study))
        self.study.facts = {**self.study.facts, "alike": found}
        self.study.save(update_fields=["facts"])

    def store(self) -> None:
        study, count, tally, done = self.study, _Count(), Tally(), 0
        watch = part_of(study, ASKED, 0.98)
        for chunk in chunked(self.prompts()):
            self._make(self.answered(chunk, tally), count)
            done += len(chunk)
            watch(done, study.prompts)
        self._end(count, tally)

    def _make(self, found: Iterator[tuple[Prompt, list[Made]]], count: _Count) -> None:
        """The pairs of some prompts. Those that are there stay as they are: a job that goes on makes the same."""
        drafts: dict[str, ItemDraft] = {}
        begins: dict[str, int] = {}
        rows: list[tuple[StudyPair, str]] = []
        for prompt, answers in found:
            assert isinstance(prompt, StudyPrompt)
            made = self._paired(prompt, answers, count)
            for pair, draft, begin in made:
                key = draft.content_hash if draft else ""
                rows.append((pair, key))
                if draft:
                    drafts[key], begins[key] = draft, begin
        with transaction.atomic():
            keys = self._offer(drafts, begins)
            for pair, key in rows:
                pair.item_id = keys.get(key)
            StudyPair.objects.bulk_create(
                [pair for pair, key in rows if pair.item_id or not key], batch_size=500, ignore_conflicts=True
            )

    def _offer(self, drafts: dict[str, ItemDraft], begins: dict[str, int]) -> dict[str, int]:
        if not drafts:
            return {}
        return offer_pairs(
            project=self.study.queue,
            drafts=list(drafts.values()),
            begins=begins,
            overlap=self.design.annotators,
            priority=self.design.priority,
            source_kind=SOURCE_KIND,
        )

    def _paired(
        self, prompt: StudyPrompt, answers: Sequence[Made], count: _Count
    ) -> list[tuple[StudyPair, ItemDraft | None, int]]:
        """Every two answers to a prompt, those of the same text without an item; nothing where an answer is missing or
        cannot be stored: all pairs of models are about the same prompts."""
        by_model = {made.target: made for made in answers}
        if len(by_model) < len(self.spec.targets):
            count.unanswered += 1
            return []
        made: list[tuple[StudyPair, ItemDraft | None, int]] = []
        for first, second in combinations(range(len(self.spec.targets)), 2):
            pair = StudyPair(
                study=self.study,
                number=count.number,
                first=first,
                second=second,
                place=_drawn(self.study, "place", count.number, first, second) % 2,
                slices=prompt.slices,
                unit=prompt.unit[:100],
            )
            sides = by_model[first], by_model[second]
            if sides[0].text.strip() == sides[1].text.strip():
                made.append((pair, None, 0))
                continue
            try:
                draft = _draft(self.study, prompt, sides, pair.place)
            except RowRefused as refusal:
                count.reasons[refusal.sentence] = count.reasons.get(refusal.sentence, 0) + 1
                return []
            made.append((pair, draft, 0))
        return self._counted(made, by_model, count)

    def _counted(
        self,
        made: list[tuple[StudyPair, ItemDraft | None, int]],
        by_model: dict[int, Made],
        count: _Count,
    ) -> list[tuple[StudyPair, ItemDraft | None, int]]:
        count.number += 1
        count.empty += sum(not answer.text.strip() for answer in by_model.values())
        found = []
        for pair, draft, _ in made:
            count.pairs += 1
            count.same += draft is None
            begin = 0
            if draft is not None:
                before = count.begun.get((pair.first, pair.second), 0)
                count.begun[pair.first, pair.second] = before + 1
                begin = pair.place if _first_begins(self.study, pair, before) else 1 - pair.place
            found.append((pair, draft, begin))
        return found

    def _end(self, count: _Count, tally: Tally) -> None:
        study = self.study
        if count.number and count.same == count.pairs:
            raise Refused(
                f"The models gave the same answer to each of the {count.number:,} prompts, so there is nothing to ask "
                "people. Sample at a higher temperature, or compare other models."
            )
        if not count.number:
            errors = list(self.desk.errors.values())
            raise Refused(
                f"No prompt has an answer of every model{f' ({errors[0]})' if errors else ''}; look at the models and "
                "go on."
            )
        write_pairs(study)
        if study.judge is not None:
            ask_judge(study)
        facts = {
            **study.facts,
            "same": count.same,
            "pairs": count.pairs,
            "unanswered": count.unanswered,
            "empty": count.empty,
            "cut": tally.cut,
            "reasons": count.reasons,
            "errors": sorted(set(self.desk.errors.values()))[:5],
            "cost": self.desk.spent or None,
        }
        study.finish(Status.SUCCEEDED, progress=1.0, planned=count.number, facts=facts)


def _draft(study: Study, prompt: StudyPrompt, sides: tuple[Made, Made], place: int) -> ItemDraft:
    """The item of two answers. Which is stored first is drawn, so that its position tells nothing."""
    ordered = sides if place == 0 else sides[::-1]
    return finished(
        ItemDraft(
            messages=prompt.messages,
            responses=[ResponseDraft(made.text, made.origin) for made in ordered],
            source_ref=f"study {study.pk}",
            licence=prompt.licence,
            synthetic=True,
            extra={"prompt_from": prompt.source},
        ),
        task=study.queue.task,
    )


def _first_begins(study: Study, pair: StudyPair, before: int) -> bool:
    """Whether the first model's answer is shown first on the first slot: in a random half of every BLOCK items."""
    block, place = divmod(before, BLOCK)
    ranked = sorted(range(BLOCK), key=lambda n: _drawn(study, "block", block, n, pair.first, pair.second))
    return ranked.index(place) < BLOCK // 2


def _drawn(study: Study, *parts: object) -> int:
    """A number that hangs on the study and the parts: the same whenever it is asked for again."""
    text = ":".join(map(str, (study.folder, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
