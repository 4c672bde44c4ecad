"""What a service says, read by its types: what no chat completion holds gets no further than this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

MOST = 2**31 - 1  # tokens that a count may tell; what a database keeps
ROUNDING = 1e-3  # nats that a log-probability may lie above 0
LEAST = -1e4  # nats; less is nothing

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Said:
    """A chat completion, or a piece of one that is streamed. Counts of tokens are None where none was told that can be;
    `likeliest` are first tokens with their log-probabilities in nats.
    """

    text: str = ""
    finish: str = ""
    tokens: int | None = None
    prompt_tokens: int | None = None
    likeliest: tuple[tuple[str, float], ...] = ()

    def after(self, before: Said) -> Said:
        """This piece with what only those before it told."""
        return Said(
            self.text,
            self.finish or before.finish,
            before.tokens if self.tokens is None else self.tokens,
            before.prompt_tokens if self.prompt_tokens is None else self.prompt_tokens,
        )


def completion(found: Any) -> Said:
    """A whole chat completion. Raises `ValueError` where it is none."""
    (choice, *_) = _a(list, _a(dict, found).get("choices"))
    return _said(found, _a(dict, choice), _a(dict, choice.get("message")))


def piece(found: dict[str, Any]) -> Said:
    """An event of a stream, which may hold counts alone. Raises `ValueError` where it is none, or tells of an error."""
    if found.get("error"):
        raise ValueError(f"an error within a stream: {found['error']}")
    choice, *_ = [*_a(list, found.get("choices") or []), {}]
    message = _a(dict, choice).get("delta") or choice.get("message") or {}
    return _said(found, choice, _a(dict, message))


def _said(found: dict[str, Any], choice: dict[str, Any], message: dict[str, Any]) -> Said:
    usage = found.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Said(
        text=_text(message.get("content")) or _text(message.get("refusal")),
        finish=_a(str, choice.get("finish_reason") or "")[:20],
        tokens=_count(counts.get("completion_tokens")),
        prompt_tokens=_count(counts.get("prompt_tokens")),
        likeliest=_likeliest(choice.get("logprobs")),
    )


def _text(content: Any) -> str:
    """A text, or its parts; those that are no text, such as what a model thinks first, are left out."""
    if isinstance(content, list):
        return "".join(_a(str, part.get("text")) for part in content if _a(dict, part).get("type") == "text")
    return "" if content is None else _a(str, content)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MOST else None


def _likeliest(told: Any) -> tuple[tuple[str, float], ...]:
    content = _a(list, _a(dict, told or {}).get("content") or [])
    top = _a(list, _a(dict, content[0]).get("top_logprobs") or []) if content else []
    return tuple((_a(str, _a(dict, one).get("token")), _logprob(one.get("logprob"))) for one in top)


def _logprob(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= ROUNDING:
        raise ValueError(f"{str(value)[:40]} is no log-probability")
    return float(max(value, LEAST))


def _a(kind: type[Kind], value: Any) -> Kind:
    """The value, which must be of this kind."""
    if not isinstance(value, kind):
        raise ValueError(f"{str(value)[:40]!r} stands where a {kind.__name__} should")
    return value
