"""What is written beside the rows of a version: everything that is known of how they came to be."""

import hashlib
import json
import os
import platform
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from pathlib import Path

from labeling.curation.rowfile import file_hash
from labeling.curation.rows import Made
from labeling.models import DatasetEntry, DatasetVersion, Guideline

LIBRARIES = ("django", "numpy", "pyarrow", "pydantic")
BATCH = 5000


@dataclass(slots=True)
class Counts:
    """How many rows and prompts each split has. Rows come by prompt, and a prompt has one split."""

    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    guidelines: Counter[int | None] = field(default_factory=Counter)
    rows: int = 0
    _prompt: str = ""

    def add(self, made: Made) -> None:
        split = self.splits.setdefault(made.row["split"], {"rows": 0, "prompts": 0})
        split["rows"] += 1
        split["prompts"] += made.row["prompt_hash"] != self._prompt
        self._prompt = made.row["prompt_hash"]
        self.guidelines.update(vote.guideline_id for vote in made.votes if vote.judgment_id)
        self.rows += 1


def write_manifest(folder: Path, version: DatasetVersion, counts: Counts) -> None:
    """Everything that is known of the version, and each judgment behind it with its revision, a line each."""
    judged = DatasetEntry.objects.filter(version=version, judgment__isnull=False).order_by("row", "judgment")
    rows = judged.values_list("row", "judgment_id", "judgment__revision", "judgment__guideline__number")
    with (folder / "judgments.csv").open("w", encoding="utf-8") as out:
        out.write("row,judgment,revision,guideline\n")
        for row, judgment, revision, guideline in rows.iterator(chunk_size=BATCH):
            out.write(f"{row},{judgment},{revision},{guideline or ''}\n")
    guidelines = Guideline.objects.filter(pk__in=[key for key in counts.guidelines if key])
    manifest = {
        "dataset": str(version),
        "kind": version.kind,
        "recipe": version.recipe,
        "content_hash": version.content_hash,
        "file_hash": version.file_hash,
        "splits": version.splits,
        "dropped": version.dropped,
        "lint": version.lint,
        "override": version.override,
        "judgments": {"file": "judgments.csv", "sha256": file_hash(folder / "judgments.csv")},
        "guidelines": [
            {
                "project": guideline.project.slug,
                "number": guideline.number,
                "sha256": hashlib.sha256(guideline.text.encode()).hexdigest(),
                "judgments": counts.guidelines[guideline.pk],
            }
            for guideline in guidelines.select_related("project").order_by("project__slug", "number")
        ],
        "last_judgment": version.last_judgment_id,
        "created_at": version.created_at.isoformat(),
        "created_by": version.created_by.username if version.created_by else None,
        "software": {
            "python": platform.python_version(),
            **{name: version_of(name) for name in LIBRARIES},
        },
    }
    with (folder / "manifest.json").open("w", encoding="utf-8") as out:
        json.dump(manifest, out, indent=1, ensure_ascii=False)
        out.flush()
        os.fsync(out.fileno())
