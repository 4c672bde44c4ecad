"""Typed readers of the environment. They fail loudly, and accept NAME_FILE for secrets kept in files."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str | None = None) -> str:
    """Return the setting, or the content of the file named by NAME_FILE; without either, the default or a refusal."""
    if name in os.environ:
        return os.environ[name]
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error}") from error
    if default is None:
        raise ImproperlyConfigured(
            f"{name} is not set; give it, or {name}_FILE with the path of a file that holds it"
        )
    return default


def flag(name: str, default: bool) -> bool:
    value = text(name, str(default)).strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; use 1 or 0")


def number(name: str, default: int) -> int:
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}; give a whole number") from error


def choices(name: str, allowed: tuple[str, ...]) -> list[str]:
    """A comma-separated list of some of the names that are allowed."""
    found = words(name)
    if unknown := [one for one in found if one not in allowed]:
        raise ImproperlyConfigured(f"{name} has {unknown[0]!r}; use some of {', '.join(allowed)}, or none")
    return found


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list; empty parts are left out."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def named(prefix: str) -> frozenset[str]:
    """The names of settings that begin with a prefix and have a value; the values stay where they are."""
    return frozenset(name for name, value in os.environ.items() if name.startswith(prefix) and value)
