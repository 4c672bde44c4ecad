"""From a judgment, an item or a withdrawal to every version and checkpoint that used it."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.db.models import Q

from labeling.curation import rowfile
from labeling.curation.splits import TRAIN
from labeling.curation.withdrawing import affected_versions, stale_versions
from labeling.models import DatasetEntry, DatasetVersion, Item, Judgment, Withdrawal
from training.models import Checkpoint


@dataclass(slots=True)
class Use:
    """Where one judgment went: the rows of versions, and the checkpoints trained on those versions or after them."""

    judgment: Judgment | None
    rows: list[tuple[DatasetVersion, int]] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)


@dataclass(slots=True)
class Affected:
    """What a withdrawal makes stale."""

    withdrawal: Withdrawal
    versions: list[DatasetVersion]
    checkpoints: list[Checkpoint]


def uses_of(item: Item) -> list[Use]:
    """Every judgment of an item, and where each went. A row of prompts only has no judgment."""
    of_item = Q(judgment__item=item) | Q(item=item, judgment__isnull=True)
    entries = (
        DatasetEntry.objects.filter(of_item).select_related("version__project").order_by("version", "row")
    )
    rows: dict[int | None, list[tuple[DatasetVersion, int]]] = defaultdict(list)
    for entry in entries:
        rows[entry.judgment_id].append((entry.version, entry.row))
    trained = checkpoints_of({version.pk for used in rows.values() for version, _ in used})
    judgments: list[Judgment | None] = [
        *Judgment.objects.filter(item=item).select_related("person", "guideline").order_by("pk")
    ]
    if rows.get(None):
        judgments.append(None)
    found = []
    for judgment in judgments:
        used = rows.get(judgment.pk if judgment else None, [])
        versions = dict.fromkeys(version.pk for version, _ in used)
        found.append(Use(judgment, used, _once(trained, versions)))
    return found


def checkpoints_of(versions: Iterable[int]) -> dict[int, list[Checkpoint]]:
    """Version → the checkpoints trained on it, and those that were trained on from there."""
    rows = Checkpoint.objects.select_related("run__dataset_version", "project").order_by("pk")
    children: dict[int | None, list[Checkpoint]] = defaultdict(list)
    by_version: dict[int, list[Checkpoint]] = defaultdict(list)
    for checkpoint in rows:
        children[checkpoint.parent_id].append(checkpoint)
        if checkpoint.run is not None:
            by_version[checkpoint.run.dataset_version_id].append(checkpoint)
            if checkpoint.run.reward_id is not None:  # what its reward model learned from reached it too
                children[checkpoint.run.reward_id].append(checkpoint)
    found = {}
    for version in versions:
        reached: dict[int, Checkpoint] = {}
        ahead = list(by_version.get(version, ()))
        while ahead:
            checkpoint = ahead.pop()
            if checkpoint.pk not in reached:
                reached[checkpoint.pk] = checkpoint
                ahead += children.get(checkpoint.pk, [])
        found[version] = [reached[key] for key in sorted(reached)]
    return found


def judgments_behind(checkpoint: Checkpoint, beat: Callable[[], object] = lambda: None) -> int:
    """How many judgments a checkpoint was trained on, each once: those behind the training rows of its dataset version
    and of all that it came from, reward models too. Reads the files of rows; `beat` is called for each."""
    versions: dict[int, DatasetVersion] = {}
    ahead: list[Checkpoint | None] = [checkpoint]
    while ahead:
        step = ahead.pop()
        if step is not None:
            ahead.append(step.parent)
            if step.run is not None:
                versions[step.run.dataset_version_id] = step.run.dataset_version
                ahead.append(step.run.reward)
    found: set[int] = set()
    for version in versions.values():
        beat()
        entries = DatasetEntry.objects.filter(version=version, judgment__isnull=False).order_by()
        splits = rowfile.splits(version.path)
        found |= {
            key for row, key in entries.values_list("row", "judgment_id").iterator() if splits[row] == TRAIN
        }
    return len(found)


def _once(trained: dict[int, list[Checkpoint]], versions: Iterable[int]) -> list[Checkpoint]:
    """The checkpoints of several versions, each once, parents before their children."""
    found = {checkpoint.pk: checkpoint for version in versions for checkpoint in trained.get(version, ())}
    return [found[key] for key in sorted(found)]


def affected(withdrawals: Iterable[Withdrawal]) -> list[Affected]:
    """For each withdrawal the versions that rest on it, and the checkpoints that learned from them."""
    found = [(withdrawal, list(affected_versions(withdrawal))) for withdrawal in withdrawals]
    trained = checkpoints_of({version.pk for _, versions in found for version in versions})
    return [
        Affected(
            withdrawal,
            versions,
            _once(trained, [version.pk for version in versions]),
        )
        for withdrawal, versions in found
    ]


def stale_checkpoints() -> set[int]:
    """The keys of the checkpoints that learned from something withdrawn since."""
    if not Withdrawal.objects.exists():
        return set()
    used = DatasetVersion.objects.filter(training_runs__isnull=False).distinct()
    return {c.pk for reached in checkpoints_of(stale_versions(used)).values() for c in reached}
