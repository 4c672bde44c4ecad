"""What changed between two texts, word by word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"
    r"|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+|\s+|[^\w\s]"
)
MOST_WORK = 4_000_000  # words times words; beyond it the middle counts as replaced
Kind = Literal["same", "gone", "come"]


@dataclass(frozen=True, slots=True)
class Span:
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Two texts in one row of spans: the first has those that are `same` and `gone`, the second `same` and `come`."""

    both: list[Span]

    @property
    def first(self) -> list[Span]:
        return _joined([span for span in self.both if span.kind != "come"])

    @property
    def second(self) -> list[Span]:
        return _joined([span for span in self.both if span.kind != "gone"])

    @property
    def is_empty(self) -> bool:
        return all(span.kind == "same" for span in self.both)


def word_difference(first: str, second: str) -> Difference:
    """The words that went and those that came. Nothing is lost: the spans of a side add up to its text."""
    a, b = WORD.findall(first), WORD.findall(second)
    start, end = _shared(a, b)
    middle_a, middle_b = a[start : len(a) - end], b[start : len(b) - end]
    before, after = Span("same", "".join(a[:start])), Span("same", "".join(a[len(a) - end :]))
    spans = [before, *_middle(middle_a, middle_b), after]
    return Difference([span for span in spans if span.text])


def _shared(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """How many words the two share at their beginning and at their end."""
    most, start, end = min(len(a), len(b)), 0, 0
    while start < most and a[start] == b[start]:
        start += 1
    while end < most - start and a[-1 - end] == b[-1 - end]:
        end += 1
    return start, end


def _middle(a: Sequence[str], b: Sequence[str]) -> list[Span]:
    if len(a) * len(b) > MOST_WORK:
        return [Span("gone", "".join(a)), Span("come", "".join(b))]
    found: list[Span] = []
    for kind, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Span("same", "".join(a[i:j])))
        else:
            found += [Span("gone", "".join(a[i:j])), Span("come", "".join(b[k:m]))]
    return found


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Neighbours of one kind in one, and a lone space between two changes counted with them."""
    found: list[Span] = []
    for place, span in enumerate(spans):
        kind = span.kind
        if kind == "same" and not span.text.strip() and 0 < place < len(spans) - 1:
            around = {spans[place - 1].kind, spans[place + 1].kind}
            kind = around.pop() if len(around) == 1 else kind
        if found and found[-1].kind == kind:
            found[-1] = Span(kind, found[-1].text + span.text)
        else:
            found.append(Span(kind, span.text))
    return found
