"""Filters used by two or more pages."""

from django import template
from django.utils.safestring import SafeString

from labeling.estimates import Estimate
from labeling.rag.reviewed import Reviewed
from labeling.rag.screening import readable
from labeling.rendering import render, render_to_mark, render_written
from labeling.rendering.drawing import Mark, draw

register = template.Library()
register.filter(readable)
NOT_ENOUGH = "not enough data"


@register.filter
def estimate_pct(value: Estimate | None) -> str:
    """A share as per cent with its interval: 71.2 % [64.1, 77.9], n 160."""
    if value is None:
        return NOT_ENOUGH
    return f"{value.value:.1%} [{value.low * 100:.1f}, {value.high * 100:.1f}], n {value.n:,}".replace(
        "%", " %"
    )


@register.filter
def estimate_num(value: Estimate | None) -> str:
    """A number with its interval: 12.31 [11.80, 12.94], n 198."""
    if value is None:
        return NOT_ENOUGH
    places = 0 if abs(value.value) >= 1000 else 2
    return f"{value.value:,.{places}f} [{value.low:,.{places}f}, {value.high:,.{places}f}], n {value.n:,}"


@register.filter
def rendered(text: str) -> SafeString:
    """Text that people judge as safe HTML: Markdown, code and formulas. Its colours are in css/prose.css."""
    return render(text)


@register.filter
def to_mark(text: str) -> SafeString:
    """The same for a text whose spans are marked: each piece says where it stands in `text`."""
    return render_to_mark(text)


@register.filter
def written(text: str) -> SafeString:
    """Text as it is written, in pieces that say where they stand in it."""
    return render_written(text)


@register.filter
def drawn(review: Reviewed) -> SafeString:
    """The answer of a review with its spans drawn in it."""
    marks = [Mark(s.start, s.end, s.number, "error" if s.is_error else "supported") for s in review.spans]
    return draw(review.text, marks)
