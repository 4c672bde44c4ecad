"""New suites: empty, or the held-out rows of a dataset version; their settings; putting one away."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from evaluation.models import Case, Gate, Suite
from evaluation.suites.content import Content, row_of
from evaluation.suites.measures import check_scoring
from evaluation.suites.versions import freeze_version, open_version
from evaluation.suites.writing import CHUNK, insert_rows
from labeling.curation import exporting, rowfile
from labeling.curation.recipe import PAIRED
from labeling.curation.rows import Row
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, User

NAME_LENGTH = 120
LONGEST_SYSTEM = 50_000
PREFERENCE: list[dict[str, Any]] = [
    {"name": "preference", "scorer": "preference", "weight": 1.0},
    {"name": "perplexity", "scorer": "perplexity"},
]
LIKELIHOOD: list[dict[str, Any]] = [{"name": "perplexity", "scorer": "perplexity"}]
GIVES = {**dict.fromkeys(PAIRED, PREFERENCE), "sft": LIKELIHOOD, "prompts": []}


def create_suite(
    *,
    project: Project,
    name: str,
    person: User | None,
    description: str = "",
    system: str = "",
    scoring: Sequence[Mapping[str, Any]] = (),
) -> Suite:
    """A suite without cases. Raises Refused for a name that is taken, and for scorers that do not fit."""
    return _made(
        project=project,
        name=_named(project, name),
        description=description.strip(),
        system=_system(system),
        scoring=check_scoring(scoring),
        created_by=person,
    )


def suite_called(*, project: Project, name: str, person: User | None) -> Suite:
    """The suite of this name that is not put away, or a new one. Raises Refused without a name, and where the suite of
    this name was put away."""
    words = " ".join(name.split())
    if not words:
        raise Refused("No suite was named; write the name of one, there or new.")
    known = Suite.objects.filter(project=project, name=words, archived_at=None).first()
    return known or create_suite(project=project, name=words, person=person)


def change_suite(
    *,
    suite: Suite,
    name: str | None = None,
    description: str | None = None,
    system: str | None = None,
    scoring: Sequence[Mapping[str, Any]] | None = None,
) -> Suite:
    """Change what is given. Runs keep what they froze. Raises Refused as `create_suite` does."""
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = _named(suite.project, name, suite)
    if description is not None:
        values["description"] = description.strip()
    if system is not None:
        values["system"] = _system(system)
    if scoring is not None:
        values["scoring"] = check_scoring(scoring)
    for field, value in values.items():
        setattr(suite, field, value)
    try:
        with transaction.atomic():
            suite.save(update_fields=list(values))
    except IntegrityError as error:
        raise _taken(suite.name) from error
    return suite


def archive_suite(*, suite: Suite, archived: bool = True, owner: bool = False) -> None:
    """Put a suite away, or bring it back. Its cases, versions and runs stay. Raises Refused for a suite whose gate
    somebody has set, unless an owner does it: put away, the gate would decide nothing."""
    if archived and not owner and Gate.objects.filter(suite=suite).exists():
        raise Refused(
            f"The gate of {suite} decides what goes into production; only an owner puts the suite away."
        )
    suite.archived_at = timezone.now() if archived else None
    suite.save(update_fields=["archived_at"])


def suite_from_split(*, version: DatasetVersion, split: str = "test", person: User | None) -> Suite:
    """The held-out rows of a dataset version as a frozen suite, whose prompts are protected from training.

    The same split again gives the suite that exists. Raises Refused where the split is empty, the rows have no prompt
    to be asked, or their file was changed.
    """
    found = Suite.objects.filter(dataset_version=version, split=split).first()
    if found is not None:
        return found
    if version.kind not in GIVES:
        raise Refused(
            f"{version} holds rows of the kind {version.kind}; a suite is made of the kinds {', '.join(GIVES)}."
        )
    if not version.splits.get(split, {}).get("rows"):
        raise Refused(
            f"{version} has no rows in its {split} split; freeze a version with a larger {split} share."
        )
    exporting.verify(version)
    try:
        with transaction.atomic():
            suite = _made(
                project=version.project,
                name=_free_name(version.project, f"{version} {split}"),
                dataset_version=version,
                split=split,
                scoring=GIVES[version.kind],
                created_by=person,
            )
            _fill(suite, version, person)
            freeze_version(suite=suite, person=person)
    except IntegrityError:
        return Suite.objects.get(dataset_version=version, split=split)
    return suite


def _fill(suite: Suite, version: DatasetVersion, person: User | None) -> None:
    number = open_version(suite, person).number
    rows: list[Case] = []
    seen: Counter[str] = Counter()
    for position, row in enumerate(rowfile.read(version.path, split=suite.split)):
        content = _content(row)
        uid = _again(content.identity, seen)
        source = f"{version}, {suite.split} row {position + 1}"
        rows.append(
            row_of(
                suite=suite,
                uid=uid,
                content=content,
                position=position,
                number=number,
                person=person,
                source=source,
            )
        )
        if len(rows) >= CHUNK:
            insert_rows(rows)
            rows = []
    insert_rows(rows)


def _content(row: Row) -> Content:
    return Content(
        prompt=row["prompt"],
        reference=row.get("chosen", row.get("completion")),
        rejected=row.get("rejected"),
    )


def _again(uid: str, seen: "Counter[str]") -> str:
    """A uid of its own for a row that is in the split more than once."""
    seen[uid] += 1
    return uid if seen[uid] == 1 else f"{uid[:24]}-{seen[uid]}"


def _made(**values: Any) -> Suite:
    try:
        with transaction.atomic():
            return Suite.objects.create(**values)
    except IntegrityError as error:
        if values.get("dataset_version"):
            raise
        raise _taken(values["name"]) from error


def _named(project: Project, name: str, own: Suite | None = None) -> str:
    words = " ".join(name.split())
    if not words or len(words) > NAME_LENGTH:
        raise Refused(f"The name has {len(words)} letters; give 1 to {NAME_LENGTH}.")
    others = Suite.objects.filter(project=project, name=words)
    if (others.exclude(pk=own.pk) if own else others).exists():
        raise _taken(words)
    return words


def _free_name(project: Project, name: str) -> str:
    taken = set(
        Suite.objects.filter(project=project, name__startswith=name[:100]).values_list("name", flat=True)
    )
    number = 1
    while (found := name if number == 1 else f"{name} ({number})") in taken:
        number += 1
    return found[:NAME_LENGTH]


def _taken(name: str) -> Refused:
    return Refused(f"There is a suite named {name} in this project already; choose another name.")


def _system(text: str) -> str:
    if len(text) > LONGEST_SYSTEM:
        raise Refused(
            f"The system message has {len(text):,} characters; up to {LONGEST_SYSTEM:,} are allowed."
        )
    return text.strip()
