"""Which stage is to blame for a failure, by what the same case gives with other contexts. Pure functions.

A case is asked with the retrieved contexts (R), with the gold ones (G: the texts that hold the answer), with none (N),
and with the retrieved ones in another order (S). The first row that fits counts:

    R passes                                              passes: it does not fail with these contexts (or by chance)
    no gold context, or no answer in an arm               unknown
    G passes, R lacks a gold text                         retrieval: what holds the answer was not found
    G passes, R has all gold texts                        ranking: found, and lost among the others or in their order
    G fails, S passes, R has all gold texts               ranking: another order alone mends it
    G fails, its answer declines or is empty              instruction: it has the text and does not answer
    G fails, its answer keeps to the gold texts, N passes gold: texts and known answer say different things
    G fails, its answer keeps to the gold texts           instruction: it read the right text, and failed in form,
                                                          length or completeness, as it does without any text
    G fails, its answer departs from the gold texts       grounding: it contradicts them or does not use them
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from labeling.rag.stopwords import STOPWORDS

Use = Literal["keeps", "departs", "declines"]
PASSING = 0.5
KEEPS, HELD, RUN = 0.6, 0.8, 5
WORD = re.compile(r"\w+")
DECLINES = re.compile(
    r"\b(?:i (?:can ?not|can'?t|could not|couldn't|am (?:not able|unable)|do not know|don't know|won't|will not)"
    r"|(?:can ?not|unable to) (?:answer|say|tell|help|determine)|no (?:information|answer)|(?:is|was) not "
    r"(?:mentioned|stated|given|provided|in the (?:text|passages|context))|not enough information)\b"
)
BLAMED = ("retrieval", "ranking", "grounding", "instruction", "gold")
MENDED = ("retrieval", "ranking")  # what an arm mends, so that the gain is measured
PASSES, UNKNOWN = "passes", "unknown"


@dataclass(frozen=True, slots=True)
class Arms:
    """What one case gave: its value with each contexts, turned so that 1 is best; None without one. `found`: whether
    the retrieved contexts hold every gold text. `use`: what the answer with the gold contexts did with them."""

    retrieved: float | None
    gold: float | None
    none: float | None
    shuffled: float | None
    found: bool
    use: Use

    @property
    def values(self) -> tuple[float | None, float | None, float | None, float | None]:
        """As the arms are listed: retrieved, gold, none, shuffled."""
        return self.retrieved, self.gold, self.none, self.shuffled

    @property
    def mended(self) -> float:
        """The best value that another choice or order of contexts gave."""
        return max(value or 0.0 for value in (self.gold, self.shuffled))


def stage_of(arms: Arms) -> str:
    """The stage to blame, by the table above."""
    if arms.retrieved is not None and arms.retrieved >= PASSING:
        return PASSES
    if None in arms.values:
        return UNKNOWN
    gold, none, shuffled = (
        value is not None and value >= PASSING for value in (arms.gold, arms.none, arms.shuffled)
    )
    if gold:
        return "ranking" if arms.found else "retrieval"
    if shuffled and arms.found:
        return "ranking"
    if arms.use == "keeps" and none:
        return "gold"
    return "grounding" if arms.use == "departs" else "instruction"


def gain_of(arms: Arms, stage: str) -> float:
    """How much the case gains if the stage were mended: measured where an arm mends it, else all that is left."""
    now = arms.retrieved or 0.0
    return min(max(arms.mended - now, 0.0), 1.0) if stage in MENDED else 1.0 - now


def use_of(answer: str, gold: Sequence[str], question: str, reference: str = "") -> Use:
    """What an answer did with the gold texts, read from its words alone.

    It keeps to them where it says the known answer to the letter, or where every number of it and 60 % of its content
    words that are not the question's stand in them. For English and what is like it; a groundedness scorer of the run
    takes its place.
    """
    words, known = _words(answer), " ".join(_words(reference))
    if known and f" {known} " in f" {' '.join(words)} ":
        return "keeps"
    if not words or DECLINES.search(_plain(answer)):
        return "declines"
    asked, given = set(_words(question)), set(_words(" ".join(gold)))
    own = [word for word in words if word not in asked and word not in STOPWORDS]
    if any(word.isdigit() and word not in given for word in own):
        return "departs"
    return "keeps" if own and sum(word in given for word in own) >= KEEPS * len(own) else "departs"


def holds(retrieved: Sequence[str], gold: Sequence[str]) -> bool:
    """Whether the retrieved texts hold every gold one: to the letter (case and white space evened out), or four fifths
    of its runs of five words, so that other chunks of the same document count."""
    whole = [" ".join(_words(text)) for text in retrieved]
    runs = {run for text in whole for run in _runs(text.split())}
    return bool(gold) and all(_held(" ".join(_words(text)), whole, runs) for text in gold)


def _held(text: str, whole: Sequence[str], runs: set[tuple[str, ...]]) -> bool:
    if any(f" {text} " in f" {each} " for each in whole):
        return True
    own = _runs(text.split())
    return bool(own) and sum(run in runs for run in own) >= HELD * len(own)


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]


def _words(text: str) -> list[str]:
    return WORD.findall(_plain(text))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
