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
from labeling.models import DatasetVersion, Guideline

LIBRARIES = ("django", "numpy", "pyarrow", "pydantic")
JUDGMENTS = "judgments.csv"


@dataclass(slots=True)
class Counts:
    """How many rows and prompts each split has. Rows come by prompt, and a prompt has one split."""

    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    guidelines: Counter[int | None] = field(default_factory=Counter)
    rows: int = 0
    _prompt: str = ""

    def add(self, made: Made) -> None:
        name, prompt = made.row["split"], made.row["prompt_hash"]
        if name not in self.splits:
            self.splits[name] = {"rows": 0, "prompts": 0}
        split = self.splits[name]
        split["rows"] += 1
        split["prompts"] += prompt != self._prompt
        self._prompt = prompt
        for vote in made.votes:
            self.guidelines[vote.guideline_id] += 1
        self.rows += 1


def behind(row: int, made: Made) -> str:
    """A line for each judgment behind a row: row, item, judgment, its revision, the key of its guidelines."""
    return "".join(
        [
            f"{row},{vote.item_id},{vote.judgment_id},{vote.revision},{vote.guideline_id or ''}\n"
            if vote.judgment_id
            else f"{row},{made.item_id},,,\n"
            for vote in made.votes
        ]
    )


def entry(line: str) -> tuple[int, int, int | None]:
    """(row, item, judgment) of such a line."""
    row, item, judgment, _ = line.split(",", 3)
    return int(row), int(item), int(judgment) if judgment else None


def _parent(version: DatasetVersion | None) -> dict[str, str] | None:
    return None if version is None else {"dataset": str(version), "content_hash": version.content_hash}


def write_manifest(folder: Path, version: DatasetVersion, counts: Counts) -> None:
    """Everything that is known of the version; the judgments behind its rows are in a file of their own."""
    guidelines = Guideline.objects.filter(pk__in=[key for key in counts.guidelines if key])
    manifest = {
        "dataset": str(version),
        "kind": version.kind,
        "recipe": version.recipe,
        "parent": _parent(version.parent),
        "choice": version.choice,
        "content_hash": version.content_hash,
        "file_hash": version.file_hash,
        "splits": version.splits,
        "dropped": version.dropped,
        "lint": version.lint,
        "override": version.override,
        "judgments": {"file": JUDGMENTS, "sha256": file_hash(folder / JUDGMENTS)},
        "guidelines": [
            {
                "project": guideline.project.slug,
                "number": guideline.number,
                "key": guideline.pk,
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
