"""Rows that are facts: added, never changed."""

from typing import Any, NoReturn, TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model)


class Unchangeable(Exception):
    """Somebody tried to change a row that is append-only."""


class AppendOnlyQuerySet(models.QuerySet[M]):
    def update(self, **_: Any) -> NoReturn:
        raise Unchangeable(f"{self.model.__name__} rows are never changed; add a new one")

    def delete(self) -> NoReturn:
        raise Unchangeable(f"{self.model.__name__} rows are never deleted")


class AppendOnly(models.Model):
    """Base of rows that are written once. A trigger in the database says so too."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None and not self._state.adding:
            raise Unchangeable(f"{type(self).__name__} {self.pk} is never changed; add a new one")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise Unchangeable(f"{type(self).__name__} {self.pk} is never deleted")
