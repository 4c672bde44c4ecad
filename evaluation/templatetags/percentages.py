"""Filters of pages about shares, their differences and parts of a metric, with their intervals."""

from django import template

from evaluation.errors.table import points_of
from labeling.estimates import Estimate

register = template.Library()
register.filter(points_of)


@register.filter
def share_value(found: Estimate) -> str:
    """A share as per cent: 71.2 %."""
    return f"{found.value * 100:.1f} %"


@register.filter
def points_value(found: Estimate) -> str:
    """A difference of shares in points, with its sign: +3.1 points."""
    return f"{found.value * 100:+.1f} points"


@register.filter
def share_range(found: Estimate) -> str:
    """The interval of a share: 64.1 to 77.9."""
    return f"{found.low * 100:.1f} to {found.high * 100:.1f}"


@register.filter
def points_range(found: Estimate) -> str:
    """The interval of a difference of shares: -1.2 to +7.4."""
    return f"{found.low * 100:+.1f} to {found.high * 100:+.1f}"
