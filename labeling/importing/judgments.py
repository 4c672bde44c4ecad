"""What people said in another tool → verdicts in terms of the stored responses.

Argilla and Label Studio let a project ask anything under any name. An opinion collects what one person said of one
item, as far as it can be told; what cannot be told is kept with its question, never guessed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from labeling.importing.columns import same_name
from labeling.intake import VerdictDraft
from labeling.values import BOTH_BAD, LONGEST_REASON, TIE

TIES = {"tie", "equal", "same", "equallygood", "bothgood", "draw", "nopreference"}
ALL_BAD = {"bothbad", "neither", "bothworse", "allbad", "bothwrong"}
FIRST = {"a", "1", "first", "left", "responsea", "response1", "answera", "answer1"}
SECOND = {"b", "2", "second", "right", "responseb", "response2", "answerb", "answer2"}
STRENGTH = re.compile(r"(slightly|clearly|much)(?:better|preferred)?")
STRENGTHS = {"slightly": 1, "clearly": 2, "much": 3}
PREFERENCE = re.compile(
    r"prefer|better|best|choice|choose|chosen|winner|compar|select|which|verdict|vote", re.I
)
REASON = re.compile(r"rational|reason|why|comment|explan|feedback|note|justif", re.IGNORECASE)
EDIT = re.compile(r"edit|correct|improv|revis|fix|rewrit", re.IGNORECASE)


@dataclass(slots=True)
class Opinion:
    """What one person said of one item. `names` are the tool's names of the responses, in stored order."""

    person: str
    names: Sequence[str]
    label: str = ""
    groups: list[list[int]] = field(default_factory=list)
    ratings: dict[str, list[int | None]] = field(default_factory=dict)
    strength: int | None = None
    edited: int | None = None
    text: str = ""
    rationale: str = ""
    unread: dict[str, Any] = field(default_factory=dict)

    def hear(self, question: str, value: str) -> None:
        """Words that may be a choice or a text: not every dump says which of the two was asked for."""
        if REASON.search(question) or not self.choose(question, value):
            self.write(question, value)

    def choose(self, question: str, value: Any, sides: Sequence[str] = ()) -> bool:
        """Read a choice of one response, a tie, or how much better it is; False where it is none of these.

        `sides` name the left and the right response. Without them a word such as "A" or "tie" counts only where the
        question's name asks for a preference.
        """
        word = same_name(value)
        label = "" if self.label or len(self.names) != 2 else self._label(question, word, sides)
        strength = STRENGTH.fullmatch(word)
        if label:
            self.label = label
        elif strength and self.strength is None:
            self.strength = STRENGTHS[strength[1]]
        else:
            return False
        return True

    def _label(self, question: str, word: str, sides: Sequence[str]) -> str:
        named = [same_name(name) for name in self.names]
        if word in named:
            return str(named.index(word))
        if not sides and not PREFERENCE.search(question):
            return ""
        if word in TIES or word in ALL_BAD:
            return TIE if word in TIES else BOTH_BAD
        place = 0 if word in FIRST else 1 if word in SECOND else None
        if place is None:
            return ""
        side = same_name(sides[place]) if len(sides) == 2 else ""
        return str(named.index(side) if side in named else place)

    def rank(self, question: str, groups: list[list[Any]], value: Any) -> None:
        """Responses by their names, best first; those of one group are as good as each other."""
        named = [same_name(name) for name in self.names]
        places = [[same_name(name) for name in group] for group in groups]
        if sorted(name for group in places for name in group) != sorted(named) or len(set(named)) < len(
            named
        ):
            self.unread[question] = value
            return
        self.groups = [sorted(named.index(name) for name in group) for group in places if group]

    def rate(self, question: str, value: Any, about: str = "") -> None:
        """A number for one response: the one that is named, or the only one there is."""
        position, attribute = self._about(question, about)
        if (
            position is None
            or isinstance(value, bool)
            or not isinstance(value, (int, float))
            or int(value) != value
        ):
            self.unread[question] = value
        else:
            row = self.ratings.setdefault(attribute, [None] * len(self.names))
            row[position] = int(value)

    def _about(self, question: str, about: str) -> tuple[int | None, str]:
        """Which response a question is about, and what it asks: "quality-response-2" is quality of response 2."""
        named = [same_name(name) for name in self.names]
        if same_name(about) in named:
            return named.index(same_name(about)), question
        for position, name in enumerate(self.names):
            ending = re.compile(rf"(.*?)[-_ .]*{re.escape(name)}", re.IGNORECASE).fullmatch(question)
            if ending and ending[1]:
                return position, ending[1]
        numbered = re.fullmatch(r"(.*?)[-_ .]*(\d{1,2})", question)
        if numbered and numbered[1] and 0 < int(numbered[2]) <= len(self.names) and len(self.names) > 1:
            return int(numbered[2]) - 1, numbered[1]
        return (0 if len(self.names) == 1 else None), question

    def write(self, question: str, value: str) -> None:
        """A text: the reason, an improved response, or a response where there was none."""
        if REASON.search(question):
            self.rationale = "\n".join(filter(None, [self.rationale, value]))[:LONGEST_REASON]
        elif self.text or not value.strip():
            self.unread[question] = value
        elif not self.names:
            self.text = value
        elif EDIT.search(question) and self._about(question, "")[0] is not None:
            self.edited, self.text = self._about(question, "")[0], value
        else:
            self.unread[question] = value

    def verdicts(self) -> list[VerdictDraft]:
        """One verdict for each kind of judgment that the person gave."""
        said: list[tuple[str, dict[str, Any]]] = []
        if self.label:
            graded = self.strength if self.label in ("0", "1") else None
            said.append(("pairwise", {"label": self.label, "strength": graded}))
        if self.groups:
            said.append(("ranking", {"label": order_label(self.groups)}))
        if self.ratings:
            said.append(("rating", {"ratings": self.ratings}))
        if self.text:
            kind = "demonstration" if self.edited is None else "edit"
            said.append((kind, {"edited": self.edited, "text": self.text}))
        return [
            VerdictDraft(person=self.person, kind=kind, rationale=self.rationale, **v) for kind, v in said
        ]


def order_label(groups: list[list[int]]) -> str:
    """[[2], [0, 1]] → "2>0=1"."""
    return ">".join("=".join(map(str, sorted(group))) for group in groups)


def unread(opinions: Sequence[Opinion]) -> dict[str, Any]:
    """For an item's `extra`: what could not be read as a judgment, by person and question; empty where all could."""
    found = {opinion.person: opinion.unread for opinion in opinions if opinion.unread}
    return {"unread_answers": found} if found else {}
