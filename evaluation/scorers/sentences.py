"""An answer cut into sentences, each of which can be held against a source."""

import regex

CODE = regex.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1[ \t]*$|\Z)", regex.MULTILINE | regex.DOTALL)
LIST = regex.compile(r"^\s*(?:>\s*)*(?:[-*•–—+]|\(?(?:\d{1,3}|[a-z])[.)])\s+(?=\S)")
HEADING = regex.compile(r"^\s*#{1,6}\s")
RULE = regex.compile(r"^\s*(?:[-*_=|:]\s*){3,}$")
# A mark that ends a sentence, with what closes after it; Chinese and Japanese put no space behind it.
END = regex.compile(r"(?:[。！？]+|(?<![.!?…؟۔।])[.!?…؟۔।]++(?=[\"'”’»)\]*_]*(?:\s|$)))[\"'”’»)\]*_」』）]*")
SHORT = regex.compile(
    r"dr|mrs?|ms|prof|[sj]r|st|mt|rev|gen|col|capt|lt|sgt|gov|sen|rep|hon|vs|cf|approx|ca|est|eds?|al|inc|ltd|co|corp|dept"
    r"|bzw|vgl|ggf|usw"
)
NUMBERED = regex.compile(  # before a number only
    r"nos?|nr|figs?|eqs?|sec|ch|vol|pp?|art|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
INITIALS = regex.compile(r"\p{Lu}|\p{L}(?:\.\p{L})+")  # J. and U.S., e.g.
LETTERS = regex.compile(r"[\p{L}.]*")
NEAR = 20  # characters beside a mark that are looked at


def sentences(text: str) -> list[str]:
    """The sentences of an answer, in order, each with single spaces and without list marks.

    Abbreviations, initials, decimals and addresses do not end one; items of a list and lines of a table are sentences
    of their own. Headings, rules and blocks of code are left out. When in doubt it does not cut.
    """
    found = (part for line in _lines(CODE.sub("\n\n", text)) for part in _cut(line))
    return [sentence for sentence in found if regex.search(r"\w", sentence)]


def placed(text: str) -> list[tuple[str, list[int]]]:
    """The sentences of an answer, each with the places in the text where its letters, digits and other word characters
    stand; none for one that was not found again."""
    lines = CODE.sub(lambda block: " " * len(block.group()), text).splitlines(keepends=True)
    plain = "".join(" " * len(line) if HEADING.match(line) or RULE.match(line) else line for line in lines)
    places = [place for place, sign in enumerate(plain) if not sign.isspace()]
    signs, start, found = "".join(plain[place] for place in places), 0, []
    for sentence in sentences(text):
        wanted = "".join(sentence.split())
        at = signs.find(wanted, start)
        end = at + len(wanted)
        own = places[at:end] if at >= 0 else []
        start = max(start, end) if own else start
        found.append((sentence, [place for place in own if regex.match(r"\w", text[place])]))
    return found


def _lines(text: str) -> list[str]:
    """Lines, with those that only wrap the one before joined to it."""
    lines: list[str] = []
    joins = False
    for raw in text.splitlines():
        if not raw.strip() or HEADING.match(raw) or RULE.match(raw):
            joins = False
            continue
        words = " ".join(LIST.sub("", raw, count=1).split())
        if joins and words[:1].islower() and not LIST.match(raw):
            lines[-1] = f"{lines[-1]} {words}"
        else:
            lines.append(words)
        joins = True
    return lines


def _cut(line: str) -> list[str]:
    parts, start = [], 0
    for match in END.finditer(line):
        if _ends(line, match):
            parts.append(line[start : match.end()].strip())
            start = match.end()
    return [part for part in [*parts, line[start:].strip()] if part]


def _ends(line: str, match: "regex.Match[str]") -> bool:
    """Whether a mark ends the sentence, by what stands around it."""
    if match.group()[0] in "。！？":
        return True
    following = line[match.end() : match.end() + NEAR].lstrip().lstrip("\"'“‘«([*_")[:1]
    if not following or following.islower():
        return not following
    if match.group()[0] != "." or match.group().startswith(".."):
        return True
    word = _word_before(line[max(0, match.start() - NEAR) : match.start()])
    if NUMBERED.fullmatch(word.casefold()) and following.isdigit():
        return False
    return not SHORT.fullmatch(word.casefold()) and not INITIALS.fullmatch(word)


def _word_before(text: str) -> str:
    """The letters and points that a text ends with."""
    found = LETTERS.match(text[::-1])
    return found.group()[::-1] if found else ""
