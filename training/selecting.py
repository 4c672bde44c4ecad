"""Choose the best rows of a dataset version: start, watch, read what was chosen and why, freeze it."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.utils import timezone

from labeling.curation import rowfile
from labeling.curation.freezes import start_subset
from labeling.curation.recipe import PAIRED
from labeling.curation.rows import Row, prompt_text
from labeling.curation.splits import TRAIN
from labeling.curation.subsets import check_parent
from labeling.errors import Refused
from labeling.lifecycle import TERMINAL, Status
from labeling.models import DatasetEntry, DatasetVersion, Freeze, User
from training.models import Checkpoint, Selection
from training.processes import (
    BUSY,
    STOPPED,
    Stop,
    beat,
    failure_words,
    killed_words,
    newest_event,
    run_recipe,
)
from training.registry import foundation, read_result
from training.specs import SpecRefused, SubsetJob, parse

RECIPE = "subset"
NEEDED_TO_CHOOSE = ("rows.jsonl", "*.f32", "*.building")
OWN = [
    name for name in SubsetJob.model_fields if name not in ("method", "base", "adapter")
]  # a person's to set
BEAT_ROWS = 1000


def start_selection(
    *, version: DatasetVersion, checkpoint: Checkpoint, values: dict[str, Any], person: User | None
) -> Selection:
    """Queue a choice of training rows. Raises Refused, before anything is stored, where it cannot be made."""
    try:
        spec = parse(SubsetJob, {**values, "base": checkpoint.base.location}).model_dump(include=set(OWN))
    except SpecRefused as refusal:
        raise Refused(str(refusal)) from refusal
    if checkpoint.line == Checkpoint.Line.REWARD:
        raise Refused(
            f"{checkpoint} is a reward model, which does not read texts as others do; choose another."
        )
    rows = version.splits.get(TRAIN, {"rows": 0})["rows"]
    if spec["k"] >= rows:
        raise Refused(f"{version} has {rows:,} training rows; choose fewer than that, not {spec['k']:,}.")
    spec |= _suited(version.kind, spec) | ({"weight": 0.0} if spec["quality"] == "none" else {})
    check_parent(version)
    selection = Selection.objects.create(
        project=version.project,
        dataset_version=version,
        checkpoint=checkpoint,
        spec=spec,
        folder=uuid.uuid4().hex,
        created_by=person,
    )
    selection.enqueue()
    return selection


def _suited(kind: str, spec: dict[str, Any]) -> dict[str, str]:
    """What a kind of rows leaves of the settings. Raises Refused where they ask for what the rows do not have."""
    if kind == "retriever":
        raise Refused("Rows for a retriever are no answers of a model; there is nothing to choose them by.")
    if kind == "prompts":
        if spec["quality"] != "none":
            raise Refused("Rows of prompts have no response to be good or bad; choose them without quality.")
        return {"text": "prompt"}
    if kind == "text":
        if spec["quality"] == "difficulty":
            raise Refused(
                "Rows of plain text do not tell prompt and response apart, so there is no difficulty; "
                "choose another quality."
            )
        return {"text": "response"}
    return {}


def run_selection(selection: Selection) -> None:
    """Claim the choice and carry it to an end, or give it back to be resumed. Safe to repeat."""
    if selection.claim():
        selection.carry(lambda: _choose(selection))
        selection.refresh_from_db()
        if selection.is_over:
            _forget_what_was_needed(selection)


def forget_leftovers() -> None:
    """Remove what choices needed that ended while nobody carried them."""
    lately = timezone.now() - timedelta(days=1)
    for selection in Selection.objects.filter(status__in=TERMINAL, finished_at__gt=lately):
        _forget_what_was_needed(selection)


def _forget_what_was_needed(selection: Selection) -> None:
    """Rows and vectors may be gigabytes, and nobody reads them again."""
    for pattern in NEEDED_TO_CHOOSE:
        for path in selection.path.glob(pattern):
            path.unlink(missing_ok=True)


def _choose(selection: Selection) -> None:
    def watch() -> None:
        event = newest_event(selection.path, "progress")
        share = event["done"] / event["total"] if event is not None else None
        if share:
            selection.begin()
        beat(selection, share)

    try:
        _prepare(selection, watch)
        code = run_recipe(RECIPE, selection.path, watch)
    except Stop:
        code = STOPPED
    result = read_result(selection.path)
    if result is not None:
        selection.finish(Status.SUCCEEDED, progress=1.0, result=result)
    elif selection.cancel_requested():
        selection.finish(Status.CANCELLED)
    elif code in (STOPPED, BUSY) or code < 0:
        selection.requeue(fault=killed_words(code), at_once=code != BUSY)
    else:
        selection.finish(Status.FAILED, failure_words(selection.path, code))


def _prepare(selection: Selection, watch: Callable[[], None]) -> None:
    """Write what the process reads, whole or not at all. A directory prepared earlier is left as it is."""
    path, version, checkpoint = selection.path, selection.dataset_version, selection.checkpoint
    if (path / "spec.json").exists():
        return
    check_parent(version)
    path.mkdir(parents=True, exist_ok=True)
    building = path / f"rows.{uuid.uuid4().hex}.building"
    with building.open("w", encoding="utf-8") as out:
        for number, row in enumerate(_described(version, selection.spec["quality"])):
            if number % BEAT_ROWS == 0:
                watch()
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    building.rename(path / "rows.jsonl")
    full = checkpoint.kind == Checkpoint.Kind.FULL
    spec = {
        "method": RECIPE,
        "base": checkpoint.path if full else foundation(checkpoint)[0],
        "adapter": checkpoint.path if checkpoint.kind == Checkpoint.Kind.ADAPTER else None,
        **selection.spec,
    }
    building = path / f"spec.{uuid.uuid4().hex}.building"
    building.write_text(json.dumps(spec, indent=1), encoding="utf-8")
    building.rename(path / "spec.json")


def _described(version: DatasetVersion, quality: str) -> Iterator[dict[str, Any]]:
    """The training rows as the process takes them."""
    people = _people(version) if quality == "agreement" else {}
    for number, row in enumerate(rowfile.read(version.path)):
        if row["split"] == TRAIN:
            response = _response(row, version.kind)
            known = {
                "agreement": _agreement(row, people.get(number, 0)),
                "length": float(len(response.split())),
            }
            yield {
                "row": number,
                "prompt": prompt_text(row.get("prompt") or ()),
                "messages": row.get("prompt"),
                "response": response,
                "quality": known.get(quality),
            }


def _response(row: Row, kind: str) -> str:
    if kind in PAIRED:
        return str(row["chosen"])
    return str(row.get("completion") or row.get("text") or "")


def _people(version: DatasetVersion) -> Counter[int]:
    """How many judgments each row rests on."""
    entries = DatasetEntry.objects.filter(version=version, judgment__isnull=False).order_by()
    return Counter(entries.values_list("row", flat=True).iterator())


def _agreement(row: Row, judgments: int) -> float | None:
    """How sure people are of a row: the chance that the next one would agree, by Laplace's rule of succession."""
    confidence = row.get("confidence")
    return None if confidence is None else (confidence * judgments + 1) / (judgments + 2)


def lines(
    selection: Selection, name: str, *, start: int = 0, count: int | None = None
) -> list[dict[str, Any]]:
    """Lines of the "picks", "left", "map" or "curve" of a choice. Raises Refused where the file cannot be read."""
    path: Path = selection.path / f"{name}.jsonl"
    try:
        with path.open(encoding="utf-8") as file:
            stop = None if count is None else start + count
            return [json.loads(line) for line in islice(file, start, stop)]
    except (OSError, ValueError) as error:
        raise Refused(f"What was chosen cannot be read ({error}); choose again.") from error


def freeze_selection(selection: Selection, *, person: User | None) -> Freeze:
    """Queue the chosen rows as a version. Raises Refused where nothing was chosen yet, or the version is stale."""
    if selection.status != Status.SUCCEEDED:
        raise Refused("Nothing is chosen yet; wait for the choice to end.")
    choice = {
        "selection": selection.pk,
        "model": selection.checkpoint.name,
        "model_hash": selection.checkpoint.content_hash,
        **selection.spec,
    }
    return start_subset(
        version=selection.dataset_version,
        keep=[line["row"] for line in lines(selection, "picks")],
        choice=choice,
        person=person,
    )
