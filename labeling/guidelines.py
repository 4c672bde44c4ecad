"""How to judge, in numbered versions that never change: each judgment knows the one by which it was made."""

from bisect import bisect_left
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from django.db import transaction

from labeling.errors import Refused
from labeling.models import Guideline, Project, User

LONGEST = 100_000
CONTEXT = 2


class Overtaken(Refused):
    """Somebody else saved a version meanwhile. `current` is theirs; nothing of what was sent was stored."""

    def __init__(self, sentence: str, current: Guideline) -> None:
        super().__init__(sentence)
        self.current = current


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a comparison: kept (" "), added ("+"), removed ("-"), or left out ("…", with how many as its text)."""

    sign: str
    text: str


def save_guideline(*, project: Project, text: str, person: User | None, base: int | None = None) -> Guideline:
    """Make this text the guidelines from now on, under the next number; the same text again makes no new version.

    `base` is the number that the writer began from (0 for none): where there is a newer one, Overtaken is raised.
    Raises Refused for a text that is empty or too long.
    """
    clean = "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
    if not clean.strip():
        raise Refused("The guidelines are empty; write how to judge, or leave them as they are.")
    if len(clean) > LONGEST:
        raise Refused(f"The guidelines have {len(clean):,} characters; {LONGEST:,} are the most.")
    if "\0" in clean:
        raise Refused("The text holds a NUL character, which databases refuse; remove it.")
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # who saves at once comes after
        last = Guideline.objects.filter(project=project).select_related("created_by").first()
        if last is not None and last.text == clean:
            return last
        if base is not None and base != (last.number if last else 0):
            assert last is not None
            raise Overtaken(
                f"{last.created_by or 'Somebody'} saved version {last.number} while you were writing. Your text is "
                f"still here, compared with theirs; take over what you want, then save it as {last.number + 1}.",
                last,
            )
        made = Guideline.objects.create(
            project=project, number=last.number + 1 if last else 1, text=clean, created_by=person
        )
        Project.objects.filter(pk=project.pk).update(guideline=made)
    project.guideline = made
    return made


def compare(old: str, new: str) -> list[DiffLine]:
    """What turns the old text into the new one, line by line, with two kept lines around each change."""
    before, after = old.splitlines(), new.splitlines()
    lines: list[DiffLine] = []
    for what, i, j, k, m in SequenceMatcher(None, before, after).get_opcodes():
        if what == "equal":
            lines += [DiffLine(" ", text) for text in before[i:j]]
        else:
            lines += [DiffLine("-", text) for text in before[i:j]]
            lines += [DiffLine("+", text) for text in after[k:m]]
    return _folded(lines)


def _folded(lines: list[DiffLine]) -> list[DiffLine]:
    """The lines with long stretches of kept ones left out."""
    changed = [number for number, line in enumerate(lines) if line.sign != " "]
    if not changed:
        return []
    shown = [n for n in range(len(lines)) if any(abs(n - at) <= CONTEXT for at in _near(changed, n))]
    found: list[DiffLine] = []
    for before, here in pairwise([-1, *shown, len(lines)]):
        if here - before > 1:
            gap = here - before - 1
            found.append(DiffLine("…", "1 line" if gap == 1 else f"{gap:,} lines"))
        if here < len(lines):
            found.append(lines[here])
    return found


def _near(changed: list[int], number: int) -> list[int]:
    """The changes before and after this line."""
    at = bisect_left(changed, number)
    return changed[max(0, at - 1) : at + 1]
