"""What a recipe process reads: verified rows and spec.json, written once and known by their hashes from then on."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.models import DatasetVersion
from labeling.protection import hashes_of, protected_hashes
from training.compatibility import shape_for, template_of
from training.models import Checkpoint, Preflight, TrainingRun
from training.remembering import retention_texts

SPEC = "spec.json"
HELD_OUT = ("validation", "test")  # splits whose loss is shown, in order of preference
BEAT_ROWS = 1000


def refuse_leak(version: DatasetVersion) -> None:
    """A prompt that became evaluation material after the freeze must not be trained on. Raises Refused."""
    exporting.verify(version)
    protected = protected_hashes(project=version.project)
    rows = rowfile.read(version.path, split="train")
    leaked = {row["prompt_hash"] for row in rows if not protected.isdisjoint(hashes_of(row))}
    if leaked:
        raise Refused(
            f"{len(leaked)} prompts of {version}'s training split are used for evaluation by now; "
            "freeze a new version, which leaves them out."
        )


def prepare(run: TrainingRun | Preflight, beat: Callable[[], None]) -> None:
    """Write the rows and, last, spec.json; `beat` is called now and then. A folder prepared earlier is left as it is.

    Raises Refused where the rows must not be trained on, and whatever `beat` raises.
    """
    if (run.path / SPEC).exists():
        return
    version = run.dataset_version
    refuse_leak(version)
    files, names = {}, {}
    held_out = next((split for split in HELD_OUT if version.splits.get(split, {}).get("rows")), None)
    for use, split in (("train", "train"), ("eval", held_out)):
        if split is not None:
            names[use] = f"data/{split}.jsonl"
            files[names[use]] = _write_rows(run, names[use], split, beat)
    if run.method != "reward" and isinstance(run, TrainingRun):
        names["retention"] = "data/retention.jsonl"
        lines = (json.dumps({"text": text}).encode() + b"\n" for text in retention_texts())
        files[names["retention"]] = _write(run.path / names["retention"], lines, beat)
    text = json.dumps(_job(run, names, files), indent=1).encode()
    building = _building(run.path / SPEC)
    building.write_bytes(text)
    run.prepared = {SPEC: hashlib.sha256(text).hexdigest(), **files}
    run.save(update_fields=["prepared"])  # before the file has its name: there is no spec without its hash
    building.rename(run.path / SPEC)


def _job(run: TrainingRun | Preflight, names: dict[str, str], files: dict[str, str]) -> dict[str, Any]:
    """What training.specs.TrainJob describes, or, of a check, PreflightJob with the job that it is about."""
    job = {
        "method": run.method,
        "seed": run.spec["seed"],
        "base": run.base.location,
        "revision": run.base.revision or None,
        "start": None if run.start.kind == Checkpoint.Kind.BASE else run.start.path,
        "reward": run.reward.path if run.reward is not None else None,
        "gold": run.gold.path if run.gold is not None else None,
        "template_hash": template_of(run.start),
        "data": {
            "train": names["train"],
            "eval": names.get("eval"),
            "retention": names.get("retention"),
            "hash": run.dataset_version.content_hash,
            "files": files,
        },
        "train": run.spec,
    }
    if isinstance(run, Preflight):
        return {"method": "preflight", "seed": run.spec["seed"], "base": run.base.location, "job": job}
    return job


def _write_rows(run: TrainingRun | Preflight, name: str, split: str, beat: Callable[[], None]) -> str:
    """Write the rows of a split in the columns of the method; returns the SHA-256 of the file."""
    rows = exporting.jsonl(run.dataset_version, split=split, shape=shape_for(run.method, run.dataset_version))
    return _write(run.path / name, rows, beat)


def _write(path: Path, lines: Iterable[bytes], beat: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    building = _building(path)
    with building.open("wb") as file:
        for number, line in enumerate(lines):
            if number % BEAT_ROWS == 0:
                beat()
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    building.rename(path)
    return digest.hexdigest()


def _building(path: Path) -> Path:
    """A name of its own for each writer: one that lost its job does not write into the file of the next."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}.building")


def check_prepared(run: TrainingRun | Preflight) -> None:
    """Raise Refused where a file is not what was prepared. Runs of before hashes were kept have none to compare."""
    for name, expected in run.prepared.items():
        try:
            with (run.path / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Refused(
                f"{name} of this run cannot be read ({error.strerror}); start a new run with the same settings."
            ) from error
        if found != expected:
            raise Refused(
                f"{name} of this run was changed on disk after it was prepared (its hash is {found[:12]}…, not "
                f"{expected[:12]}…), so what it would train is not what was asked for; start a new run."
            )
