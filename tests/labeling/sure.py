"""A value that a test knows to be there."""

from typing import TypeVar

T = TypeVar("T")


def sure(value: T | None) -> T:
    assert value is not None
    return value
