"""Code with its words marked by kind, as classes that the stylesheet colours."""

import re
import time
from collections.abc import Iterator
from functools import cache
from html import escape
from typing import Any

from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, String  # type: ignore[import-untyped]

MAX_CODE = 16_000
MAX_LINE = 1_000
MAX_SPACE = 200
SECONDS = 0.25

_LANGUAGES = {
    "python": "python py python3",
    "javascript": "javascript js node mjs jsx",
    "typescript": "typescript ts tsx",
    "java": "java",
    "kotlin": "kotlin kt",
    "c": "c h",
    "cpp": "cpp c++ cc hpp",
    "csharp": "csharp c# cs",
    "go": "go golang",
    "rust": "rust rs",
    "swift": "swift",
    "dart": "dart",
    "scala": "scala",
    "php": "php",
    "ruby": "ruby rb",
    "perl": "perl pl",
    "lua": "lua",
    "r": "r",
    "julia": "julia jl",
    "haskell": "haskell hs",
    "elixir": "elixir ex",
    "bash": "bash sh shell zsh",
    "powershell": "powershell ps1",
    "sql": "sql postgresql mysql sqlite",
    "html": "html",
    "xml": "xml svg",
    "css": "css",
    "scss": "scss",
    "json": "json jsonc json5",
    "yaml": "yaml yml",
    "toml": "toml",
    "diff": "diff patch",
    "docker": "docker dockerfile",
    "tex": "tex latex",
}
# Lexers stay in memory once used and some take the square of a text's length: those named here were measured.
LANGUAGES = {alias: name for name, aliases in _LANGUAGES.items() for alias in aliases.split(" ")}
_KINDS = {
    Comment: "comment",
    Keyword: "keyword",
    Operator.Word: "keyword",
    Name.Tag: "keyword",
    String: "string",
    Number: "number",
    Keyword.Constant: "number",
    Name.Function: "name",
    Name.Class: "name",
    Name.Attribute: "name",
    Name.Decorator: "name",
    Name.Builtin: "builtin",
    Name.Exception: "builtin",
    Keyword.Type: "builtin",
    Name.Namespace: "builtin",
    Generic.Inserted: "added",
    Generic.Deleted: "removed",
    Generic.Heading: "comment",
    Generic.Subheading: "comment",
}
CODE_CLASSES = frozenset(f"code-{kind}" for kind in _KINDS.values())
_WIDE_SPACE = re.compile(rf"\s{{{MAX_SPACE}}}")


class Clock:
    """Processor time that one text may take for the colours of its code."""

    def __init__(self) -> None:
        self.spent = 0.0

    def left(self) -> float:
        return SECONDS - self.spent


def highlighted(code: str, language: str, clock: Clock) -> str:
    """`code` escaped, with spans of CODE_CLASSES where `language` is one of LANGUAGES.

    Plain beyond MAX_CODE characters, lines of MAX_LINE, MAX_SPACE spaces in a row or the time on `clock`: some lexers
    take the square of what they read, and colours are not worth a waiting page.
    """
    name = LANGUAGES.get(language.lower())
    if name is None or len(code) > MAX_CODE or clock.left() <= 0 or _is_odd(code):
        return escape(code, quote=False)
    began = time.thread_time()
    runs = list(_runs(code, name, began + clock.left()))
    clock.spent += time.thread_time() - began
    if "".join(words for words, _ in runs) != code:  # colours never change what is judged
        return escape(code, quote=False)
    return "".join(_span(words, kind) for words, kind in runs)


def _is_odd(code: str) -> bool:
    return any(len(line) > MAX_LINE for line in code.split("\n")) or bool(_WIDE_SPACE.search(code))


def _runs(code: str, name: str, deadline: float) -> Iterator[tuple[str, str]]:
    """The code in pieces of one kind each; what is left at `deadline` is of none."""
    kind, read = "", 0
    words: list[str] = []
    for start, token, word in _lexer(name).get_tokens_unprocessed(code):
        if time.thread_time() > deadline:
            break
        found = _kind(token) if word.strip() else kind
        if found != kind:
            yield "".join(words), kind
            kind, words = found, []
        words.append(word)
        read = start + len(word)
    yield "".join(words), kind
    yield code[read:], ""


def _span(words: str, kind: str) -> str:
    inner = escape(words, quote=False)
    return f'<span class="code-{kind}">{inner}</span>' if kind and words else inner


@cache
def _lexer(name: str) -> Any:
    return get_lexer_by_name(name)


@cache
def _kind(token: Any) -> str:
    while token is not None:
        if token in _KINDS:
            return _KINDS[token]
        token = token.parent
    return ""
