"""Prompts of a study, each with the slices it belongs to and what it depends on others by; in a random order, so that
those that are judged first are a sample of all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evaluation.models import Suite
from evaluation.prompts import MOST, Prompt, Prompts, from_file, from_suite, refuse_count
from evaluation.suites import living
from labeling.curation import rowfile
from labeling.curation.exporting import verify
from labeling.errors import Refused
from labeling.intake import prompt_hash
from labeling.models import DatasetVersion, Project

HELD_OUT = ("test", "validation")


@dataclass(frozen=True, slots=True)
class StudyPrompt(Prompt):
    """A prompt with the tags of its case, and its unit: prompts of one unit are not independent."""

    slices: list[str] = field(default_factory=list)
    unit: str = ""


def of_suite(*, suite: Suite, count: int = MOST) -> Prompts:
    """Up to `count` prompts of a suite's open cases, drawn at random but always alike. Raises Refused."""
    found = from_suite(suite=suite)
    rows = living(suite).order_by().values_list("uid", "tags", "cluster")
    known = {f"case {uid}": (sorted(map(str, tags)), cluster) for uid, tags, cluster in rows}
    prompts = (_prompt(prompt, *known[prompt.source]) for prompt in found.found)
    return replace(found, found=_drawn(prompts, count))


def of_file(*, project: Project, path: Path, name: str, count: int = MOST) -> Prompts:
    """Up to `count` prompts of a file, drawn at random but always alike. Raises Refused."""
    found = from_file(project=project, path=path, name=name)
    return replace(found, found=_drawn(map(_prompt, found.found), count))


def of_split(*, version: DatasetVersion, split: str, count: int = MOST) -> Prompts:
    """Up to `count` prompts that a dataset version holds out, drawn at random but always alike. Raises Refused."""
    if split not in HELD_OUT:
        raise Refused(
            f"The split given is {split[:40]!r}; a study takes prompts that are held out: {' or '.join(HELD_OUT)}."
        )
    verify(version)
    found: dict[str, StudyPrompt] = {}
    for number, row in enumerate(rowfile.read(version.path, split=split)):
        if not row.get("prompt"):
            raise Refused(
                f"{version} holds plain texts, which have no prompts; choose a version of another kind."
            )
        found.setdefault(
            row["prompt_hash"], StudyPrompt(row["prompt"], f"row {number}", unit=row["prompt_hash"])
        )
    if not found:
        raise Refused(f"{version} has no rows in its {split} split; choose another split or another version.")
    return Prompts(f"the {split} split of {version}", _drawn(found.values(), count))


def _prompt(prompt: Prompt, slices: Sequence[str] = (), unit: str = "") -> StudyPrompt:
    unit = unit or prompt_hash(prompt.messages)
    return StudyPrompt(prompt.messages, prompt.source, prompt.licence, slices=list(slices), unit=unit)


def _drawn(prompts: Iterable[Prompt], count: int) -> list[Prompt]:
    refuse_count(count)
    return sorted(prompts, key=lambda prompt: prompt_hash(prompt.messages))[:count]
