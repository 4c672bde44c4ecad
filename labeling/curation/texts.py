"""What a text should not hold if a model learns from it: found in many texts at once, and fast where there is nothing.

Each rule has words that every hit contains; only texts with one of them are looked at closely.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from labeling import pii

SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[opsu]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{22,}|glpat-[0-9A-Za-z_-]{20}"
    r"|sk-(?:[a-z]+-)*[0-9A-Za-z_-]{20,}|xox[abprs]-[0-9A-Za-z-]{10,}|AIza[0-9A-Za-z_-]{35}|hf_[A-Za-z]{30,}"
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"
)
SECRET_WORDS = (
    *("akia", "gho_", "ghp_", "ghs_", "ghu_", "github_pat_", "glpat-", "sk-", "xox", "aiza", "hf_"),
    *("private key-----", "eyj"),
)
MAKERS = "openai|anthropic|google|deepmind|meta|mistral|microsoft|alibaba|deepseek|hugging face"
MODELS = r"chatgpt|gpt-?\d\w*|claude|gemini|bard|llama|mistral|qwen|copilot|deepseek|grok|open assistant"
IDENTITY = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\bi(?:'m|’m| am)(?: just| only)? (?:an? )?(?:(?:large )?language model|ai\b|artificial intelligence"
    rf"|(?:{MODELS})\b)|\bmy name is (?:{MODELS})\b"
    rf"|\bi(?: was|'m|’m| am|'ve been| have been) (?:developed|created|trained|made|built) by (?:{MAKERS})\b"
    rf"|\b(?:ai|assistant|language model|chatbot) (?:developed|created|trained|made|built) by (?:{MAKERS})\b"
    r"|\bmy (?:knowledge|training)(?: data)? (?:cut-?off|only goes)",
    re.IGNORECASE,
)
IDENTITY_WORDS = (
    *(
        "language model",
        "an ai",
        "artificial intelligence",
        "i'm ai",
        "i am ai",
        "i’m ai",
        "cutoff",
        "cut-off",
    ),
    *("chatgpt", "gpt-", "gpt4", "gpt3", "claude", "gemini", "bard", "llama", "mistral", "qwen", "copilot"),
    *(
        "deepseek",
        "grok",
        "open assistant",
        "openai",
        "anthropic",
        "google",
        "deepmind",
        " by meta",
        "microsoft",
    ),
    *("alibaba", "hugging face", "only goes"),
)
TEMPLATE = re.compile(
    r"<\|[a-z_]+\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>"
    r"|^(?:#{2,3} ?(?:instruction|response|human|assistant|user):|(?:human|assistant): )",
    re.IGNORECASE | re.MULTILINE,
)
TEMPLATE_WORDS = (
    *(b"<|", b"inst]", b"sys>>", b"<s>", b"</s>", b"_of_turn>", b"# instruction:", b"# response:", b"human:"),
    *(b"assistant:", b"user:"),
)
CLOSED = ".!?…。！？\"'”’)]}»`*_:|>$%"
END_OF_SENTENCE = re.compile(r"[.!?。！？][\"'”’)\]]*\s")
LINE_OF_ITS_OWN = re.compile(r"\s*(?:[-*+•|#>]|\d+[.)]|[A-Za-z][.)] | {4}|\t|https?://|\$\$|\\)")
DIGITS, SPREAD = 7, 25  # a phone or card number has this many digits within so many bytes
SHORTEST = 80  # characters from which on a text can be called cut off


class Rule(NamedTuple):
    """A rule on one text: what every hit contains in lower case, and the closer look."""

    name: str
    words: tuple[bytes, ...]
    hit: Callable[[str], bool]


def _rule(name: str, words: Sequence[str], pattern: "re.Pattern[str]") -> Rule:
    return Rule(name, tuple(word.encode() for word in words), lambda text: pattern.search(text) is not None)


RULES = (
    _rule("secret", SECRET_WORDS, SECRET),
    _rule("identity", IDENTITY_WORDS, IDENTITY),
)


def hits(texts: Sequence[str]) -> dict[str, set[int]]:
    """Rule → the places of the texts that it finds something in: secret, identity, pii, template, truncated."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    starts = [0, *accumulate(len(each) + 1 for each in encoded)]
    blob = b"\0".join(encoded)
    lower = blob.lower()
    found = {
        rule.name: {place for place in _places(lower, rule.words, starts) if rule.hit(texts[place])}
        for rule in RULES
    }
    found["pii"] = {
        place
        for place in _places(blob, (b"@",), starts) | _many_digits(blob, starts)
        if pii.find(texts[place])
    }
    found["template"] = {place for place in _places(lower, TEMPLATE_WORDS, starts) if markers(texts[place])}
    found["truncated"] = {place for place, text in enumerate(texts) if truncated(text)}
    return found


def markers(text: str) -> frozenset[str]:
    """The marks of chat templates in a text."""
    return frozenset(mark.group().strip().lower() for mark in TEMPLATE.finditer(text))


def truncated(text: str) -> bool:
    """Whether a text of several sentences breaks off in the middle of one, or within a block of code."""
    text = text.rstrip()
    if text[-1:] in CLOSED and text.count("```") % 2 == 0:
        return False
    if text.count("```") % 2:
        return True
    if len(text) < SHORTEST or text[-1:].isdigit() or not (text[-1:].isalpha() or text[-1:] in ",;-–—("):
        return False
    line = text.rsplit("\n", 1)[-1]
    return not LINE_OF_ITS_OWN.match(line) and END_OF_SENTENCE.search(line) is not None


def _places(blob: bytes, words: Sequence[bytes], starts: list[int]) -> set[int]:
    """The texts that contain one of the words."""
    found: set[int] = set()
    for word in words:
        at = blob.find(word)
        while at >= 0:
            place = bisect_right(starts, at) - 1
            found.add(place)
            at = blob.find(word, starts[place + 1])  # the rest of this text adds nothing
    return found


def _many_digits(blob: bytes, starts: list[int]) -> set[int]:
    import numpy as np

    letters = np.frombuffer(blob, dtype=np.uint8)
    digits = np.flatnonzero((letters >= ord("0")) & (letters <= ord("9")))
    if len(digits) < DIGITS:
        return set()
    near = digits[: -(DIGITS - 1)][digits[DIGITS - 1 :] - digits[: -(DIGITS - 1)] <= SPREAD]
    return set((np.searchsorted(starts, near, side="right") - 1).tolist())
