"""A round as it is shown and exported: everything that it ties, with hashes, and whether it is stale."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from evaluation.models import EvalRun, Round, Study
from evaluation.reading import TargetLine, target_lines, verdict
from evaluation.records import plain
from evaluation.rounds.staleness import Stale, stale_of
from evaluation.targets import digest
from labeling.models import DatasetVersion, Guideline, Judgment
from training.models import Checkpoint, TrainingRun


@dataclass(frozen=True, slots=True)
class Used:
    """A version of the guidelines, and how many of a dataset version's judgments were made by it."""

    version: DatasetVersion
    guideline: Guideline
    judgments: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Measured:
    """An evaluation, what it lets one say, and its numbers."""

    run: EvalRun
    sentence: str
    lines: list[TargetLine]


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that a round ties."""

    round: Round
    guidelines: list[Used]
    runs: list[TrainingRun]
    checkpoints: list[Checkpoint]
    evaluations: list[Measured]
    stale: Stale
    study: str = ""

    @property
    def missing(self) -> list[str]:
        """What a whole turn has and this round has not yet."""
        parts = {
            "a dataset version": self.round.dataset_version,
            "a training run": self.runs,
            "a checkpoint": self.checkpoints,
            "an evaluation": self.evaluations,
            "a study": self.round.study,
            "a decision": self.round.decision,
        }
        return [words for words, there in parts.items() if not there]


def sheet_of(round: Round) -> Sheet:
    """Read the round whole."""
    stale = stale_of([round])[round.pk]
    evaluations = round.evaluations.select_related("version__suite", "suite").defer("facts").order_by("pk")
    return Sheet(
        round,
        [used for version in stale.versions for used in guidelines_of(version)],
        list(
            round.runs.select_related("dataset_version__project", "base")
            .defer("spec", "result")
            .order_by("pk")
        ),
        list(round.checkpoints.select_related("base", "parent").defer("deltas").order_by("pk")),
        [_measured(run) for run in evaluations],
        stale,
        _said_of(round.study) if round.study is not None else "",
    )


def _said_of(study: Study) -> str:
    from evaluation.studies.sentences import headline

    return headline(study, study.looks.last())


def guidelines_of(version: DatasetVersion) -> list[Used]:
    """The guidelines by which a version's judgments were made, as its manifest says; where that is gone, as its
    judgments do."""
    try:
        written = json.loads((version.path / "manifest.json").read_text(encoding="utf-8"))["guidelines"]
        counts = {each["key"]: each["judgments"] for each in written}
    except (OSError, ValueError, KeyError, TypeError):
        rows = Judgment.objects.filter(dataset_entries__version=version, guideline__isnull=False).order_by()
        counts = dict(rows.values_list("guideline_id").annotate(n=Count("pk", distinct=True)))
    rows_of = Guideline.objects.filter(pk__in=counts).select_related("project").order_by("project", "number")
    return [
        Used(version, each, counts[each.pk], hashlib.sha256(each.text.encode()).hexdigest())
        for each in rows_of
    ]


def _measured(run: EvalRun) -> Measured:
    lines = target_lines(run)
    return Measured(run, str(verdict(lines)) if lines else run.get_status_display(), lines)


def as_dict(sheet: Sheet) -> dict[str, Any]:
    """The round as plain data with the hashes of everything in it; `sha256` is over the rest, as canonical JSON."""
    round, version, decision = sheet.round, sheet.round.dataset_version, sheet.round.decision
    found: dict[str, Any] = {
        "round": {"id": round.pk, "name": round.name, "note": round.note, "project": round.project.slug},
        "stale": sheet.stale.words or None,
        "altered": sheet.stale.as_list(),
        "dataset_version": _version(version),
        "guidelines": [
            {
                "dataset_version": str(each.version),
                "project": each.guideline.project.slug,
                "number": each.guideline.number,
                "judgments": each.judgments,
                "sha256": each.sha256,
            }
            for each in sheet.guidelines
        ],
        "runs": [
            {
                "id": each.pk,
                "name": each.name,
                "method": each.method,
                "status": each.status,
                "dataset_version": str(each.dataset_version),
                "dataset_hash": each.dataset_version.content_hash,
            }
            for each in sheet.runs
        ],
        "checkpoints": [
            {"id": each.pk, "name": each.name, "content_hash": each.content_hash, "stage": each.stage}
            for each in sheet.checkpoints
        ],
        "evaluations": [_evaluation(each) for each in sheet.evaluations],
        "study": {"id": round.study.pk, "name": round.study.name, "sentence": sheet.study}
        if round.study is not None
        else None,
        "decision": None
        if decision is None
        else {
            "id": decision.pk,
            "action": decision.action,
            "candidate": decision.candidate.name,
            "content_hash": decision.content_hash,
        },
    }
    return found | {"sha256": digest(found)}


def _version(version: DatasetVersion | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {
        "name": str(version),
        "kind": version.kind,
        "rows": version.rows,
        "content_hash": version.content_hash,
        "file_hash": version.file_hash,
        "last_judgment": version.last_judgment_id,
    }


def _evaluation(each: Measured) -> dict[str, Any]:
    run = each.run
    return {
        "id": run.pk,
        "name": run.name,
        "suite": str(run.version),
        "suite_hash": run.version.content_hash,
        "split": run.split,
        "sentence": each.sentence,
        "scores": [
            {
                "target": line.name,
                "identity": line.target.identity,
                "metric": line.primary.metric.name,
                "score": line.primary.estimate.as_dict() if line.primary.estimate else None,
                "difference": line.primary.difference.as_dict() if line.primary.difference else None,
            }
            for line in each.lines
        ],
    }


def as_markdown(sheet: Sheet) -> str:
    """The round as Markdown that stands by itself."""
    data, round = as_dict(sheet), sheet.round
    rows = [
        ("Project", round.project.name),
        ("Stale", data["stale"] or "no: its judgments are as they were"),
        *_lines_of_data(data),
        *_lines_of_models(data),
    ]
    table = ["| Part | What |", "| --- | --- |", *(f"| {name} | {plain(words)} |" for name, words in rows)]
    parts = [
        f"# {plain(round.name)}",
        round.note.strip(),
        "\n".join(table),
        f"SHA-256 of the data: {data['sha256']}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _lines_of_data(data: dict[str, Any]) -> list[tuple[str, str]]:
    version, words = data["dataset_version"], "none yet"
    if version is not None:
        words = f"{version['name']}, {version['rows']:,} rows, hash {version['content_hash']}"
    guidelines = [
        f"{each['project']} version {each['number']}, {each['judgments']:,} judgments of {each['dataset_version']}, "
        f"hash {each['sha256']}"
        for each in data["guidelines"]
    ]
    return [("Dataset version", words), *(("Guidelines", each) for each in guidelines or ["none"])]


def _lines_of_models(data: dict[str, Any]) -> list[tuple[str, str]]:
    found = [
        (
            "Training run",
            f"{each['name']} ({each['method']}) on {each['dataset_version']}, hash {each['dataset_hash']}: "
            f"{each['status']}",
        )
        for each in data["runs"]
    ]
    for each in data["checkpoints"]:
        words = f"{each['name']}, {each['stage']}, hash {each['content_hash'] or 'not known'}"
        found.append(("Checkpoint", words))
    for each in data["evaluations"]:
        words = f"{each['name']} on {each['suite']}, hash {each['suite_hash']}: {each['sentence']}"
        found.append(("Evaluation", words))
    if data["study"] is not None:
        found.append(("Study", f"{data['study']['name']}: {data['study']['sentence']}"))
    decision = data["decision"]
    words = "none yet"
    if decision is not None:
        words = f"{decision['candidate']} {decision['action']}, record {decision['content_hash']}"
    return [*found, ("Decision", words)]
