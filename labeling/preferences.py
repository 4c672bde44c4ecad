"""What a person chose for the annotating page: their keys, side by side or stacked, raw text, guidelines read.

Kept with the person, so that it follows them to every machine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from labeling.errors import Refused
from labeling.models import Task, User

COMPARED = (Task.PAIRWISE,)
RANKED = (Task.RANKING,)
WRITTEN = (Task.DEMONSTRATION, Task.EDIT)
REVIEWED = (Task.RAG,)
NAMED = {
    "Enter": "⏎",
    "Space": "Space",
    "Backspace": "⌫",
    "Delete": "Del",
    "Insert": "Ins",
    "Home": "Home",
    "End": "End",
}
DIGIT = re.compile(r"(Shift\+)?\d")
SHELL = {
    "?": "show the keys",
    "j": "go to the next row",
    "k": "go to the row before",
    "/": "search the list",
}
CHOICES: dict[str, tuple[str, ...]] = {
    "layout": ("side", "stacked"),
    "raw": ("", "raw"),
    "guide": ("open", "closed"),
}


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a key does, and the key by which it usually does. Without `kinds` it is there for each kind of
    task."""

    name: str
    words: str
    key: str
    kinds: tuple[str, ...] = ()

    def meets(self, other: "Action") -> bool:
        """Whether both are on one page, so that they need different keys."""
        return not self.kinds or not other.kinds or bool(set(self.kinds) & set(other.kinds))

    def shown_for(self, kind: str) -> bool:
        return not self.kinds or kind in self.kinds


ACTIONS = (
    Action("submit", "Submit and take the next one", "Enter"),
    Action("skip", "Skip; then a digit for the reason", "s"),
    Action("later", "Later: put it to the end of my queue", "l"),
    Action("undo", "Undo: change my last answer", "u"),
    Action("why", "Write the reason", "w"),
    Action("raw", "Raw text", "r"),
    Action("layout", "Side by side or stacked", "v"),
    Action("guide", "Guidelines", "g"),
    Action("first", "Response 1 is better", "1", COMPARED),
    Action("second", "Response 2 is better", "2", COMPARED),
    Action("tie", "Tie: equally good", "0", COMPARED),
    Action("bad", "Both bad, or all bad", "b", COMPARED + RANKED),
    Action("slightly", "Slightly better", "Shift+1", COMPARED),
    Action("clearly", "Clearly better", "Shift+2", COMPARED),
    Action("much", "Much better", "Shift+3", COMPARED),
    Action("equal", "As good as the one before", "=", RANKED),
    Action("back", "Take the last one back", "Backspace", RANKED),
    Action("write", "Go to the text", "e", WRITTEN),
    Action("preview", "Preview", "p", WRITTEN),
    Action("good", "Good answer", "+", REVIEWED),
    Action("faulty", "Bad answer", "b", REVIEWED),
    Action("addressed", "Answers the question: yes; again for partly, no", "h", REVIEWED),
    Action("next", "Select the next sentence", "n", REVIEWED),
    Action("previous", "Select the sentence before", "p", REVIEWED),
    Action("longer", "One word more at the end", ".", REVIEWED),
    Action("shorter", "One word less at the end", ",", REVIEWED),
    Action("later_start", "One word less at the beginning", ">", REVIEWED),
    Action("earlier_start", "One word more at the beginning", "<", REVIEWED),
    Action("mark", "Go to the next mark", "m", REVIEWED),
    Action("candidate", "Go to the next candidate", "q", REVIEWED),
    Action("remove", "Remove the mark, or dismiss the candidate", "Backspace", REVIEWED),
    Action("note", "Write a note to the mark", "i", REVIEWED),
    Action("chunks", "Go to the chunks; again to the next one", "c", REVIEWED),
    Action("filter", "Filter the chunks", "f", REVIEWED),
    Action("open", "Open or close the chunk", "o", REVIEWED),
    Action("link", "Link the mark to this chunk, or take the link away", "t", REVIEWED),
    Action("unlink", "No chunk supports the mark", "-", REVIEWED),
    Action("answer", "Back to the answer", "a", REVIEWED),
    Action("failures", "What is wrong with the whole answer", "d", REVIEWED),
    Action("missed", "Give the passage that should have been found", "*", REVIEWED),
    Action("correct", "Correct the answer", "e", REVIEWED),
)
USUAL = {action.name: action.key for action in ACTIONS}


def keys_of(preferences: Mapping[str, Any]) -> dict[str, str]:
    """The key of each action for this person: their own, or the usual one."""
    own = preferences.get("keys") or {}
    return {name: own.get(name, usual) for name, usual in USUAL.items()}


def key_words(key: str) -> str:
    """A key as it is written on a button: ⇧1 for Shift+1, ⌫ for Backspace."""
    return key.replace("Shift+", "⇧") if key.startswith("Shift+") else NAMED.get(key, key)


def set_keys(*, person: User, keys: Mapping[str, str]) -> None:
    """Keep the keys that differ from the usual ones. Raises Refused, with both names, where two actions would share
    one; then nothing changes."""
    chosen = {name: _name_of(keys.get(name, usual)) for name, usual in USUAL.items()}
    for action in ACTIONS:
        _check(action, chosen)
    own = {name: key for name, key in chosen.items() if key != USUAL[name]}
    _keep(person, lambda kept: {**kept, "keys": own})


def prefer(*, person: User, what: str, value: str) -> None:
    """Keep one choice of CHOICES. Raises Refused where there is no such choice."""
    if value not in CHOICES.get(what, ()):
        known = "; ".join(f"{name}: {' or '.join(values).strip()}" for name, values in CHOICES.items())
        raise Refused(f"The choice given is {what[:40]!r}: {value[:40]!r}; what can be chosen is {known}.")
    _keep(person, lambda kept: {**kept, what: value})


def mark_read(*, person: User, project_id: int, number: int) -> None:
    """Remember that this person has read the project's guidelines up to this version."""
    _keep(person, lambda kept: {**kept, "read": {**kept.get("read", {}), str(project_id): number}})


def last_read(preferences: Mapping[str, Any], project_id: int) -> int:
    """The newest version of the project's guidelines that this person has read; 0 for none."""
    return int((preferences.get("read") or {}).get(str(project_id), 0))


def _name_of(key: str) -> str:
    """A key by one name, however it was typed."""
    text = "Space" if key == " " else key.strip()
    return text.lower() if len(text) == 1 else text


def _check(action: Action, chosen: dict[str, str]) -> None:
    key = chosen[action.name]
    if not (key in NAMED or DIGIT.fullmatch(key) or (len(key) == 1 and key.isprintable())):
        given = f"is {key[:20]!r}" if key else "is empty"
        raise Refused(
            f"The key for “{action.words}” {given}; choose one letter, digit or sign, or one of "
            f"{', '.join(NAMED)}, or Shift with a digit."
        )
    if key in SHELL:
        raise Refused(
            f"The key {key} is used on every page to {SHELL[key]}; choose another for “{action.words}”."
        )
    if DIGIT.fullmatch(key) and action.kinds != COMPARED:
        raise Refused(
            f"The key {key_words(key)} stands for a response or a value; choose one that is no digit "
            f"for “{action.words}”."
        )
    for other in ACTIONS:
        if other is not action and other.meets(action) and chosen[other.name] == key:
            raise Refused(
                f"The key {key_words(key)} is given to “{action.words}” and to “{other.words}”; "
                "choose another for one of them."
            )


def _keep(person: User, change: Any) -> None:
    """Change the stored preferences; two changes at one moment both hold."""
    with transaction.atomic():
        row = User.objects.select_for_update(no_key=True).get(pk=person.pk)
        row.preferences = change(row.preferences)
        row.save(update_fields=["preferences"])
    person.preferences = row.preferences
