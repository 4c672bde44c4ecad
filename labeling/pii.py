"""Personal data in texts: e-mail addresses, phone numbers and payment card numbers; found, counted, replaced.

What is found is what can be told from the digits and letters alone. Names, postal addresses and numbers without a
country code, an American grouping or a word such as "phone" before them are not.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from labeling.intake import ItemDraft
from labeling.models import Item, Project, Response

EMAIL = re.compile(
    r"(?<![A-Za-z0-9.+_-])[A-Za-z0-9][A-Za-z0-9.+_%'-]{0,63}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"
)
CARD = re.compile(
    r"(?<![A-Za-z0-9._+-])(?:"
    r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|"
    r"[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}|"
    r"[0-9]{13,19}"
    r")(?![A-Za-z0-9_]|[.-][0-9])"
)
ISSUERS = (  # first digits, lengths: ISO/IEC 7812 ranges of the large card schemes
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"6011|64[4-9]|65|62"), {16, 17, 18, 19}),
    (re.compile(r"35(?:2[89]|[3-8])"), {16}),
    (re.compile(r"30[0-5]|3[68]"), {14}),
)
ABROAD = re.compile(r"(?<![A-Za-z0-9+])(?:\+|00)[1-9][0-9 ().\u00a0\u2011/-]{6,20}[0-9](?![A-Za-z0-9])")
AMERICAN = re.compile(
    r"(?<![A-Za-z0-9.+/-])(?:1[ .-])?(?:\([2-9][0-9]{2}\)[ ]?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"
    r"(?![A-Za-z0-9]|[.-][0-9])"
)
NUMBER = re.compile(r"(?<![A-Za-z0-9])[0-9(][0-9 ().\u00a0/-]{5,18}[0-9](?![A-Za-z0-9]|[.:-][0-9])")
CALLED = re.compile(
    r"(?:\b(?:(?:tele)?phones?|tel|telefon|tél|mobile|cell|call|fax|whatsapp|text)|电话|手机|☎|📞)"
    r"(?:[ ](?:number|no|nr|is|at|me|us)\b)*[ .:：#]{0,3}$",
    re.IGNORECASE,
)
DATE = re.compile(r"[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}|[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{4}")
MANY_DIGITS = re.compile(r"[0-9](?:[ ().\u00a0\u2011/-]{0,3}[0-9]){6}")
CUE = 30
MARKS = {"email": "[EMAIL]", "card": "[CARD]", "phone": "[PHONE]"}
EXAMPLES, CHUNK = 20, 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of personal data: its kind (email, card, phone) and where it stands in the text."""

    kind: str
    start: int
    end: int
    text: str

    @property
    def masked(self) -> str:
        """The finding with all but its first and last two letters and digits hidden."""
        places = [index for index, character in enumerate(self.text) if character.isalnum()]
        shown = {places[0], *places[-2:]}
        return "".join("•" if i in set(places) - shown else c for i, c in enumerate(self.text))


@dataclass(slots=True)
class PiiReport:
    """What a project's items hold: findings by kind, the ids of the items, and masked examples."""

    scanned: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    items: list[int] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, item: int, place: str, findings: list[Finding]) -> None:
        """Count what was found in one text of an item."""
        self.counts.update(finding.kind for finding in findings)
        if findings and (not self.items or self.items[-1] != item):
            self.items.append(item)
        for finding in findings[: EXAMPLES - len(self.examples)]:
            self.examples.append({"item": item, "place": place, "kind": finding.kind, "text": finding.masked})


def find(text: str) -> list[Finding]:
    """Everything in a text that can be told to be personal data, first to last, without overlaps."""
    found: list[Finding] = []
    numbers = (_cards(text), _phones(text)) if MANY_DIGITS.search(text) else ()
    for finding in itertools.chain(_emails(text), *numbers):
        if all(finding.end <= other.start or finding.start >= other.end for other in found):
            found.append(finding)
    return sorted(found, key=lambda finding: finding.start)


def scrub(text: str) -> str:
    """The text with [EMAIL], [CARD] and [PHONE] in the place of what was found."""
    return _scrubbed(text, Counter())


def scrub_into(text: str, counts: Counter[str]) -> str:
    """The text scrubbed; `counts` grows by what was replaced, by kind."""
    return _scrubbed(text, counts)


def scrub_draft(draft: ItemDraft) -> ItemDraft:
    """The draft with every text scrubbed, and in `extra["scrubbed"]` how many of each kind were replaced."""
    counts: Counter[str] = Counter()

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return _scrubbed(value, counts)
        if isinstance(value, dict):
            return {key: clean(part) for key, part in value.items()}
        return [clean(part) for part in value] if isinstance(value, list) else value

    cleaned = replace(
        draft,
        messages=[{**message, "content": clean(message["content"])} for message in draft.messages],
        responses=[replace(response, text=clean(response.text)) for response in draft.responses],
        extra=clean(draft.extra),
        contexts=[replace(c, text=clean(c.text), title=clean(c.title)) for c in draft.contexts],
        verdicts=[
            replace(
                verdict,
                text=clean(verdict.text),
                rationale=clean(verdict.rationale),
                rag=verdict.rag and clean(_moved(verdict.rag, draft)),
            )
            for verdict in draft.verdicts
        ],
    )
    return replace(cleaned, extra={**cleaned.extra, "scrubbed": dict(counts)}) if counts else cleaned


def pii_report(project: Project) -> PiiReport:
    """Look through prompts and responses of all items, a few hundred at a time."""
    report = PiiReport()
    rows = Item.objects.filter(project=project).order_by("id").values_list("id", "messages")
    stream = rows.iterator(chunk_size=CHUNK)
    while chunk := list(itertools.islice(stream, CHUNK)):
        texts: dict[int, list[tuple[str, str]]] = {
            item: [(f"message {n}", message["content"]) for n, message in enumerate(messages, start=1)]
            for item, messages in chunk
        }
        responses = Response.objects.filter(item__in=list(texts)).order_by("item_id", "position")
        for item, position, text in responses.values_list("item_id", "position", "text"):
            texts[item].append((f"response {position + 1}", text))
        for item, places in texts.items():
            report.scanned += 1
            for place, text in places:
                report.add(item, place, find(text))
    return report


def _moved(review: dict[str, Any], draft: ItemDraft) -> dict[str, Any]:
    """A review with its spans, and the candidates shown, where they are once the answer is scrubbed. One that ends
    within what is replaced takes all of it."""
    findings = find(draft.responses[0].text) if draft.responses else []

    def place(at: Any, *, last: bool) -> Any:
        if not isinstance(at, int):
            return at
        shift = 0
        for finding in findings:
            mark = len(MARKS[finding.kind])
            if finding.end <= at:
                shift += mark - (finding.end - finding.start)
            elif finding.start < at:
                return finding.start + shift + (mark if last else 0)
        return at + shift

    def moved(span: Any) -> Any:
        if not isinstance(span, dict):
            return span
        return span | {name: place(span.get(name), last=name == "end") for name in ("start", "end")}

    given = {name: review.get(name) for name in ("spans", "shown")}
    return review | {name: [*map(moved, spans)] for name, spans in given.items() if isinstance(spans, list)}


def _scrubbed(text: str, counts: Counter[str]) -> str:
    for finding in reversed(find(text)):
        counts[finding.kind] += 1
        text = text[: finding.start] + MARKS[finding.kind] + text[finding.end :]
    return text


def _emails(text: str) -> Iterator[Finding]:
    if "@" not in text:
        return
    for match in EMAIL.finditer(text):
        # git@host:path is the address of a repository, not of a person.
        if not (match[0].startswith("git@") and text[match.end() : match.end() + 1] == ":"):
            yield Finding("email", match.start(), match.end(), match[0])


def _cards(text: str) -> Iterator[Finding]:
    for match in CARD.finditer(text):
        digits = re.sub(r"[ -]", "", match[0])
        if _issued(digits) and _luhn(digits):
            yield Finding("card", match.start(), match.end(), match[0])


def _issued(digits: str) -> bool:
    return any(first.match(digits) and len(digits) in lengths for first, lengths in ISSUERS)


def _luhn(digits: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1, annex B). A number of one repeated digit is a placeholder."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0 and len(set(digits)) > 1


def _phones(text: str) -> Iterator[Finding]:
    for match in ABROAD.finditer(text):
        yield from _valid(match.start(), match[0], None)
    for match in AMERICAN.finditer(text):
        yield from _valid(match.start(), match[0], "US")
    for match in NUMBER.finditer(text):
        digits = sum(character.isdigit() for character in match[0])
        before = text[max(0, match.start() - CUE) : match.start()]
        if 7 <= digits <= 15 and not DATE.fullmatch(match[0]) and CALLED.search(before):
            yield Finding("phone", match.start(), match.end(), match[0])


def _valid(start: int, number: str, region: str | None) -> Iterator[Finding]:
    """The number where its country's numbering plan has it; without a region it must name the country."""
    import phonenumbers

    plain = f"+{number[2:]}" if region is None and number.startswith("00") else number
    try:
        parsed = phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException:
        return
    if phonenumbers.is_valid_number(parsed):
        yield Finding("phone", start, start + len(number), number)
