"""How a text is held against what it should be: shared by the scorers of text and by the checks of a case."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import regex

from evaluation.scorers.base import NoValue, failed
from labeling.errors import Refused

PATTERN_SECONDS = 1.0
LONGEST_PATTERN = 1000
MOST_REPEATS = 10_000
ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}"  # scripts without spaces: each sign counts as a word
SIGNS = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{ALONE}]]"
TOKEN = regex.compile(rf"[{ALONE}]|{SIGNS}+", regex.V1)
WORD = regex.compile(rf"[{ALONE}]|{SIGNS}+(?:['’.,\-]{SIGNS}+)*", regex.V1)
ARTICLE = regex.compile(r"\b(?:a|an|the)\b")
# Punctuation, but what makes a number: 3.14 is not 314, -5 is not 5, 5% is not 5.
MARK = regex.compile(r"(?!(?<=\d)[.,:/](?=\d))(?!(?<!\w)-(?=[\d.]))(?!(?<=\d)%)\p{P}")
PIECE = regex.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|.", regex.DOTALL)


def folded(text: str) -> str:
    """Without case and without differences of typography (Unicode NFKC, full case folding)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def normalised(text: str, *, punctuation: bool = True, articles: bool = False) -> str:
    """Folded, with single spaces; without punctuation outside numbers, and without English articles if asked for.

    After the normalisation of SQuAD (Rajpurkar et al. 2016), which also takes the point out of 3.14.
    """
    text = folded(text).replace("−", "-")
    if punctuation:
        text = MARK.sub("", text)
    if articles:
        text = ARTICLE.sub(" ", text)
    return " ".join(text.split())


def tokens(text: str) -> list[str]:
    """Runs of letters and digits, folded; a sign of Chinese or Japanese is one of its own.

    On English text these are the tokens of Google's rouge_score without stemming.
    """
    found: list[str] = TOKEN.findall(folded(text))
    return found


def count_words(text: str) -> int:
    """Words as people count them: don't, well-known and 3.14 are one each, and so is a Chinese sign."""
    return len(WORD.findall(text))


def holds(text: str, parts: Sequence[str], *, every: bool = False, ignore_case: bool = True) -> bool:
    """Whether one of the parts, or every one, stands in the text."""
    place = folded(text) if ignore_case else text
    found = ((folded(part) if ignore_case else part) in place for part in parts)
    return all(found) if every else any(found)


@lru_cache(maxsize=512)
def compiled(pattern: str, ignore_case: bool = False) -> "regex.Pattern[str]":
    """A regular expression that is safe to compile. Raises Refused with a sentence."""
    if len(pattern) > LONGEST_PATTERN:
        raise Refused(f"The pattern has {len(pattern):,} characters; {LONGEST_PATTERN:,} are allowed.")
    if (repeats := _repeats(pattern)) > MOST_REPEATS:
        raise Refused(
            f"The pattern repeats a part up to {repeats:,} times; {MOST_REPEATS:,} are allowed, so lower its counts."
        )
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise Refused(f"The pattern {pattern[:80]!r} is no regular expression: {error}.") from error


def matches(pattern: str, text: str, *, ignore_case: bool = False, whole: bool = False) -> bool:
    """Whether the pattern is found in the text, or is the whole of it. NoValue where that takes more than a second."""
    expression = compiled(pattern, ignore_case)
    find = expression.fullmatch if whole else expression.search
    try:
        return find(text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        words = f"the pattern took more than {PATTERN_SECONDS:g} s on this text; make it simpler"
        raise NoValue(failed(words)) from None


def _repeats(pattern: str) -> int:
    """How often nested counts such as (a{100}){100} repeat a part: the compiler writes every repeat out."""
    frames, last = [1], 1
    for piece in PIECE.findall(pattern):
        if piece == "(":
            frames.append(1)
        elif piece == ")" and len(frames) > 1:
            last = frames.pop()
        elif len(piece) > 1 and piece[0] == "{":
            last *= max([1, *(int(number) for number in regex.findall(r"\d+", piece))])
        else:
            last = 1
        frames[-1] = max(frames[-1], last)
    return max(frames)
