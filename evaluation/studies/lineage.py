"""Prompts that a model of a study may have learned from: looked for in the rows behind it and all its ancestors."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from evaluation.models import Case, Study
from evaluation.planning import trained_on
from evaluation.prompts import Prompt
from labeling.curation import rowfile
from labeling.errors import Refused
from labeling.intake import prompt_hash
from labeling.models import Item
from labeling.protection import hashes_of
from training.models import Checkpoint

LISTED, SHOWN = 100, 120


@dataclass(frozen=True, slots=True)
class Seen:
    """A prompt that a checkpoint was trained on, and by which dataset version."""

    number: int
    prompt: str
    checkpoint: str
    version: str


class SeenInTraining(Refused):
    """Prompts were trained on. `seen` lists the first of them."""

    def __init__(self, seen: Sequence[Seen], prompts: int) -> None:
        count = len({one.number for one in seen})
        first = seen[0]
        super().__init__(
            f"{count:,} of the {prompts:,} prompts {'was' if count == 1 else 'were'} trained on, such as "
            f"“{first.prompt}” by {first.checkpoint} with {first.version}. A model repeats what it was told; leave "
            "them out, or choose other prompts."
        )
        self.seen = list(seen[:LISTED])


def seen_in_training(prompts: Sequence[Prompt], checkpoints: Sequence[Checkpoint]) -> list[Seen]:
    """The prompts that stand, case and white space evened out, among the training rows behind a checkpoint."""
    numbers: dict[str, list[int]] = {}
    for number, prompt in enumerate(prompts):
        numbers.setdefault(prompt_hash(prompt.messages), []).append(number)
    by_version: dict[int, list[int]] = {}
    found = []
    for checkpoint in checkpoints:
        for version in trained_on(checkpoint):
            if version.pk not in by_version:
                rows = rowfile.read(version.path, split="train")
                seen = {key for row in rows for key in hashes_of(row)} & numbers.keys()
                by_version[version.pk] = sorted(number for key in seen for number in numbers[key])
            for number in by_version[version.pk]:
                found.append(Seen(number, words_of(prompts[number]), checkpoint.name, str(version)))
    return found


def asked_in_studies(hashes: Collection[str]) -> set[str]:
    """Those of these prompts that people were asked about in a study: they stay protected for good, or what was said of
    models would become what they are trained on."""
    rows = Item.objects.filter(study_pairs__isnull=False, prompt_hash__in=list(hashes))
    return set(rows.order_by().values_list("prompt_hash", flat=True))


def gone(study: Study) -> list[str]:
    """The models that were deleted since: their answers and numbers stay. Endpoints are only put away."""
    there = set(Checkpoint.objects.filter(pk__in=study.checkpoints).values_list("pk", flat=True))
    return [name for key, name in study.checkpoints.items() if key not in there]


def alike_in_training(
    prompts: Sequence[Prompt], checkpoints: Sequence[Checkpoint], *, beat: Callable[[], object]
) -> list[dict[str, str]]:
    """Prompts that share a run of words with training rows or are nearly alike to some, each with the checkpoint and
    why, the first LISTED of them. That is less than having learned them, and is told rather than refused."""
    from evaluation.contamination import REASONS, dirty_cases  # brings NumPy

    cases = (
        Case(pk=number, prompt=prompt.messages, prompt_hash=prompt_hash(prompt.messages))
        for number, prompt in enumerate(prompts)
    )
    dirty = dirty_cases(cases, checkpoints, beat)
    found = [
        {"prompt": words_of(prompts[number]), "checkpoint": checkpoint.name, "why": REASONS[reason]}
        for checkpoint in checkpoints
        for number, reason in dirty[checkpoint.pk].items()
    ]
    return found[:LISTED]


def words_of(prompt: Prompt) -> str:
    """The beginning of what a prompt asks."""
    words = " ".join(prompt.messages[-1]["content"].split())
    return words if len(words) <= SHOWN else f"{words[: SHOWN - 1]}…"
