"""The models of a study answer, and their answers become pairs: blind, begun from either side alike, asked once."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from django.db import transaction

from evaluation.candidates import ASKED, Answering, chunked
from evaluation.carrying import interruptible, part_of
from evaluation.grouping import Made, Tally
from evaluation.models import Study, StudyPair
from evaluation.prompts import Prompt
from evaluation.studies.design import FEWEST_PROMPTS, read_design
from evaluation.studies.judge import ask_judge, write_pairs
from evaluation.studies.lineage import alike_in_training, gone
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
    take_back(project=study.queue, items=Item.objects.filter(study_pairs__study=study))


@dataclass(slots=True)
class _Count:
    """What became of the answers. `complete` prompts have all of them; `begun` counts the items of two models."""

    complete: int = 0
    same: int = 0
    pairs: int = 0
    unanswered: int = 0
    empty: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    begun: Counter[tuple[int, int]] = field(default_factory=Counter)


class _Pairs(Answering):
    """The asking of one study and the making of its pairs, in this process."""

    kind = StudyPrompt

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.study = study
        self.marks = {"study": study.pk}

    def carry(self) -> None:
        if deleted := gone(self.study):
            raise Refused(
                f"{' and '.join(deleted)} {'was' if len(deleted) == 1 else 'were'} deleted before people could be "
                "asked; cancel this study, and start another one with models that are there."
            )
        if "alike" not in self.study.facts:
            self._look_for_copies()
        super().carry()

    def _look_for_copies(self) -> None:
        checkpoints = list(Checkpoint.objects.filter(pk__in=self.study.checkpoints))
        found = alike_in_training(list(self.prompts()), checkpoints, beat=lambda: beat(self.study))
        self.study.facts = {**self.study.facts, "alike": found}
        self.study.save(update_fields=["facts"])

    def store(self) -> None:
        self._refuse_few()
        count, tally, done = _Count(), Tally(), 0
        watch = part_of(self.study, ASKED, 0.98)
        for chunk in chunked(self.prompts()):
            self._make(enumerate(self.answered(chunk, tally), done), count)
            done += len(chunk)
            watch(done, self.study.prompts)
        self._end(count, tally)

    def _refuse_few(self) -> None:
        """People are asked nothing of which no look could ever be taken. Answers that are there stay; those of the
        folder that have none are forgotten, so that going on asks again."""
        count = _Count()
        for chunk in chunked(self.prompts()):
            for prompt, answers in self.answered(chunk, Tally()):
                self._paired(0, prompt, answers, count)
            if count.complete >= FEWEST_PROMPTS:
                return
        for folder in self.study.path.glob(f"{self.place}-*"):
            shutil.rmtree(folder)
        why = [f" ({each.rstrip('.')})" for each in (*self.desk.errors.values(), *count.reasons)]
        raise Refused(
            f"{count.complete:,} of {self.study.prompts:,} prompts have an answer of every model{''.join(why[:1])}, "
            f"and a study needs {FEWEST_PROMPTS}. Look at the models and go on, which asks again for what is missing, "
            "or start another study with more prompts."
        )

    def _make(self, found: Iterable[tuple[int, tuple[Prompt, list[Made]]]], count: _Count) -> None:
        """The pairs of some numbered prompts. Those that are there stay as they are: a job that goes on makes the
        same."""
        pairs: list[StudyPair] = []
        asked: list[StudyPair] = []
        offers: list[tuple[ItemDraft, int]] = []
        for number, (prompt, answers) in found:
            for pair, draft in self._paired(number, prompt, answers, count):
                pairs.append(pair)
                if draft is not None:
                    asked.append(pair)
                    offers.append((draft, self._begins(pair, count)))
        design = read_design(self.study.design)
        with transaction.atomic():
            keys = offer_pairs(
                project=self.study.queue,
                offers=offers,
                overlap=design.annotators,
                priority=design.priority,
                source_kind=SOURCE_KIND,
            )
            for pair, key in zip(asked, keys, strict=True):
                pair.item_id = key
            StudyPair.objects.bulk_create(pairs, batch_size=500, ignore_conflicts=True)

    def _paired(
        self, number: int, prompt: Prompt, answers: Sequence[Made], count: _Count
    ) -> list[tuple[StudyPair, ItemDraft | None]]:
        """Every two answers to a prompt, those of the same text without an item; nothing where an answer is missing or
        cannot be stored: all pairs of models are about the same prompts."""
        assert isinstance(prompt, StudyPrompt)
        by_model = {made.target: made for made in answers}
        if len(by_model) < len(self.spec.targets):
            count.unanswered += 1
            return []
        made: list[tuple[StudyPair, ItemDraft | None]] = []
        for first, second in combinations(sorted(by_model), 2):
            pair = StudyPair(
                study=self.study,
                number=number,
                first=first,
                second=second,
                place=_drawn(self.study, "place", number, first, second) % 2,
                slices=prompt.slices,
                unit=prompt.unit[:100],
            )
            sides = by_model[first], by_model[second]
            same = sides[0].text.strip() == sides[1].text.strip()
            try:
                made.append((pair, None if same else _draft(self.study, prompt, sides, pair.place)))
            except RowRefused as refusal:
                count.reasons[refusal.sentence] += 1
                return []
        count.complete += 1
        count.pairs += len(made)
        count.same += sum(draft is None for _, draft in made)
        count.empty += sum(not answer.text.strip() for answer in answers)
        return made

    def _begins(self, pair: StudyPair, count: _Count) -> int:
        """The position that is shown first on the first slot of the next item: that of the first model's answer in a
        random half of every BLOCK items."""
        key = pair.first, pair.second
        block, place = divmod(count.begun[key], BLOCK)
        count.begun[key] += 1
        ranked = sorted(range(BLOCK), key=lambda n: _drawn(self.study, "block", block, n, *key))
        return pair.place if place in ranked[: BLOCK // 2] else 1 - pair.place

    def _end(self, count: _Count, tally: Tally) -> None:
        study = self.study
        if count.same == count.pairs:
            raise Refused(
                f"The models gave the same answer to each of the {count.complete:,} prompts, so there is nothing to "
                "ask people. Sample at a higher temperature, or compare other models."
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
        study.finish(Status.SUCCEEDED, progress=1.0, planned=count.complete, facts=facts)


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


def _drawn(study: Study, *parts: object) -> int:
    """A number that hangs on the study and the parts: the same whenever it is asked for again."""
    text = ":".join(map(str, (study.folder, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
