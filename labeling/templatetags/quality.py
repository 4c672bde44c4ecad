"""Filters of the pages about quality."""

from django import template

register = template.Library()


@register.filter
def percent(share: float) -> str:
    """A share without an interval, such as a rule or a setting: 0.805 as 80.5 %."""
    return f"{share * 100:.1f}".removesuffix(".0") + "\u00a0%"
