"""What became of a case, and what differs between two versions of a suite."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import F

from evaluation.models import Case, Suite, SuiteVersion
from labeling.errors import Refused
from labeling.guidelines import DiffLine, compare

SHOWN = 50
WORDS = {
    "prompt": "Prompt",
    "reference": "Reference",
    "rejected": "Rejected answer",
    "contexts": "Contexts",
    "gold": "Gold contexts",
    "tags": "Tags",
    "checks": "Checks",
    "weight": "Weight",
    "cluster": "Cluster",
    "sealed": "Seal",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a case before and after, as lines."""

    words: str
    lines: list[DiffLine]


@dataclass(frozen=True, slots=True)
class Changed:
    """A case that is in both versions and differs."""

    before: Case
    after: Case

    @property
    def fields(self) -> list[Change]:
        return changes(self.before, self.after)


@dataclass(slots=True)
class Diff:
    """How many cases were added, removed and changed, how many are the same, and the first of each."""

    before: SuiteVersion
    after: SuiteVersion
    counts: dict[str, int]
    same: int
    added: list[Case] = field(default_factory=list)
    removed: list[Case] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class State:
    """One state of a case, the versions that it belongs to, and what changed from the state before it."""

    case: Case
    versions: str
    fields: list[Change]


def diff(before: SuiteVersion, after: SuiteVersion) -> Diff:
    """Compare two versions of one suite, whichever is newer. Raises Refused for versions of two suites."""
    if before.suite_id != after.suite_id:
        raise Refused(f"{before} and {after} are of two suites; compare versions of one.")
    gone, come = _only_in(before, after), _only_in(after, before)
    both = gone.keys() & come.keys()
    changed = [uid for uid in come if uid in both and gone[uid][1] != come[uid][1]]
    added, removed = ([uid for uid in side if uid not in both] for side in (come, gone))
    total = Case.objects.of(after).count()
    keys = {uid: gone[uid][0] for uid in [*removed[:SHOWN], *changed[:SHOWN]]}
    later = {uid: come[uid][0] for uid in [*added[:SHOWN], *changed[:SHOWN]]}
    rows = Case.objects.in_bulk([*keys.values(), *later.values()])
    return Diff(
        before,
        after,
        {"added": len(added), "removed": len(removed), "changed": len(changed)},
        total - len(added) - len(changed),
        [rows[later[uid]] for uid in added[:SHOWN]],
        [rows[keys[uid]] for uid in removed[:SHOWN]],
        [Changed(rows[keys[uid]], rows[later[uid]]) for uid in changed[:SHOWN]],
    )


def _only_in(version: SuiteVersion, other: SuiteVersion) -> dict[str, tuple[int, str]]:
    """Key and hash, by uid, of the rows of a version that are not in the other one, in order."""
    rows = Case.objects.of(version)
    if other.number > version.number:
        rows = rows.filter(removed__lte=other.number)
    else:
        rows = rows.filter(added__gt=other.number)
    return {uid: (key, content) for uid, key, content in rows.values_list("uid", "pk", "content_hash")}


def history(suite: Suite, uid: str) -> list[State]:
    """Every state that a case ever had, the newest first."""
    rows = list(Case.objects.filter(suite=suite, uid=uid).select_related("created_by").order_by("-pk"))
    earlier = [*rows[1:], None]
    return [
        State(row, _versions(row), changes(before, row) if before else [])
        for row, before in zip(rows, earlier, strict=True)
    ]


def changes(before: Case, after: Case) -> list[Change]:
    """The fields in which two states differ."""
    one, two = before.content(), after.content()
    return [
        Change(words, compare(_lines(one.get(name)), _lines(two.get(name))))
        for name, words in WORDS.items()
        if one.get(name) != two.get(name)
    ]


def _lines(value: Any) -> str:
    """A field as lines of text."""
    if isinstance(value, list):
        return "\n".join(_lines(part) for part in value)
    if isinstance(value, dict):
        if {"role", "content"} == value.keys():
            return f"{value['role']}: {value['content']}"
        return ", ".join(f"{key}: {_lines(part)}" for key, part in value.items())
    if isinstance(value, bool):
        return "under seal" if value else "open"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _versions(case: Case) -> str:
    if case.removed is None:
        return f"since version {case.added}"
    if case.removed <= case.added:
        return f"replaced before version {case.added} was frozen"
    last = case.removed - 1
    return f"version {case.added}" if last == case.added else f"versions {case.added} to {last}"


def ended(suite: Suite, uid: str) -> Case | None:
    """The last state of a case that was removed; None while it is in the suite, or never was."""
    rows = Case.objects.filter(suite=suite, uid=uid).order_by(F("pk").desc())
    row = rows.first()
    return row if row is not None and row.removed is not None else None
