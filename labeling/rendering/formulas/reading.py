"""The tokens of a formula, taken from left to right."""

import re

MAX_DEPTH = 40
END = ""

_TOKEN = re.compile(r"\\(?:operatorname|hspace|tag)\*|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|'+|\s+|.", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")


class Refused(Exception):
    """This formula cannot be drawn."""


class Reader:
    """A place in the tokens of a formula, and how deep it is in their groups."""

    def __init__(self, tex: str, *, depth: int = 0) -> None:
        self.tokens: list[str] = _TOKEN.findall(_COMMENT.sub("", tex))
        self.at = 0
        self.depth = depth

    def peek(self) -> str:
        """The next mark that is no space; END after the last."""
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else END

    def take(self) -> str:
        mark = self.peek()
        self.at += 1
        return mark

    def expect(self, *allowed: str) -> str:
        mark = self.take()
        if mark not in allowed:
            raise Refused
        return mark

    def deeper(self, by: int = 1) -> None:
        """Count a group that begins or, with -1, ends. Refused beyond MAX_DEPTH, which nothing people read reaches."""
        self.depth += by
        if self.depth > MAX_DEPTH:
            raise Refused

    def raw(self) -> str:
        """The source between the braces that come next."""
        self.expect("{")
        start, unclosed = self.at, 1
        while unclosed:
            if self.at >= len(self.tokens):
                raise Refused
            unclosed += {"{": 1, "}": -1}.get(self.tokens[self.at], 0)
            self.at += 1
        return "".join(self.tokens[start : self.at - 1])

    def brackets(self) -> str:
        """The source between the brackets that come next; empty where none do. Refused where they do not end."""
        if self.peek() != "[":
            return ""
        start = self.at + 1
        while (mark := self.take()) != "]":
            if mark == END:
                raise Refused
        return "".join(self.tokens[start : self.at - 1])
