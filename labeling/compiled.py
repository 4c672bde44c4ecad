"""Statements of the ORM that are compiled once and then only run.

Building SQL costs the ORM ten times what the database needs for a look-up by index. The statements of the annotators'
loop run thousands of times an hour and differ in their values only: they are written as querysets with `Param` in the
place of values, compiled at first use for each kind of database, and executed with the values of the moment.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.sql import InsertQuery, UpdateQuery

AS_IT_IS = {"AutoField", "BigAutoField", "BigIntegerField", "CharField", "SlugField", "TextField"}
Built = tuple[str, tuple[Any, ...], Any]


class Param(Expression):
    """A value that is given when the statement runs; `like` is the field whose type it has."""

    def __init__(self, name: str, like: "Field[Any, Any]") -> None:
        super().__init__(output_field=like)
        self.name, self._like = name, like
        self._plain = like.get_internal_type() in AS_IT_IS or "Integer" in like.get_internal_type()

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]

    def prepared(self, values: dict[str, Any], connection: Any) -> Any:
        """This parameter as the database takes it: whole numbers and texts as they are."""
        value = values[self.name]
        return value if self._plain else self._like.get_db_prep_value(value, connection)


def param(name: str, model: type[Model], field: str = "") -> Param:
    """The value of a field of a model, by the name of the field or another one. A foreign key takes its number."""
    found: Any = model._meta.get_field(field or name)
    while found.remote_field is not None:
        found = found.target_field
    return Param(name, found)


class Statement:
    """What all compiled statements share: the SQL for each kind of database, and its parameters."""

    def __init__(self) -> None:
        self._built: dict[str, Built] = {}

    def _compile(self, connection: Any) -> Built:
        raise NotImplementedError

    def _execute(self, connection: Any, cursor: Any, values: dict[str, Any]) -> Any:
        built = self._built.get(connection.vendor)
        if built is None:
            built = self._built[connection.vendor] = self._compile(connection)
        sql, params, rest = built
        cursor.execute(sql, [p.prepared(values, connection) if isinstance(p, Param) else p for p in params])
        return rest


class Select(Statement):
    """A `values_list` queryset, given by a function so that nothing is built before the apps are ready."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]]) -> None:
        super().__init__()
        self._build = build

    def _compile(self, connection: Any) -> Built:
        compiler = self._build().query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        columns = [column[0] for column in compiler.select[: compiler.col_count]]
        return sql, tuple(params), (compiler, compiler.get_converters(columns))

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """All rows, with the types that the ORM would give."""
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            compiler, converters = self._execute(connection, cursor, values)
            found: Iterable[Any] = cursor.fetchall()
        if converters:
            found = compiler.apply_converters(found, converters)
        return [tuple(row) for row in found]

    def first(self, **values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = self.rows(**values)
        return found[0] if found else None


class Update(Statement):
    """An update of a queryset; the values may be `Param`s or other expressions."""

    def __init__(self, build: Callable[[], tuple[QuerySet[Any, Any], dict[str, Any]]]) -> None:
        super().__init__()
        self._build = build

    def _compile(self, connection: Any) -> Built:
        rows, changes = self._build()
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(changes)
        sql, params = query.get_compiler(connection=connection).as_sql()
        return sql, tuple(params), None

    def run(self, **values: Any) -> int:
        """Run it. Returns how many rows it changed."""
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            self._execute(connection, cursor, values)
            count: int = cursor.rowcount
        return count


class Insert(Statement):
    """One new row of a model; every field but the key is given by its name."""

    def __init__(self, model: type[Model]) -> None:
        super().__init__()
        self._model = model

    def _compile(self, connection: Any) -> Built:
        fields: Sequence[Any] = [f for f in self._model._meta.concrete_fields if not f.primary_key]
        draft = self._model(
            **{field.attname: param(field.attname, self._model, field.name) for field in fields}
        )
        query = InsertQuery(self._model)
        query.insert_values(fields, [draft], raw=True)
        compiler: Any = query.get_compiler(connection=connection)
        compiler.returning_fields = [self._model._meta.pk]
        ((sql, params),) = compiler.as_sql()
        return sql, tuple(params), None

    def run(self, **values: Any) -> int:
        """Insert it. Returns the key."""
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            self._execute(connection, cursor, values)
            key: int = cursor.fetchone()[0]
        return key


def instance(model: type[models.Model], names: Sequence[str], row: Sequence[Any]) -> Any:
    """A model instance from the values of these fields; the others are deferred."""
    given = dict(zip(names, row, strict=True))
    ordered = [field.attname for field in model._meta.concrete_fields if field.attname in given]
    return model.from_db(DEFAULT_DB_ALIAS, ordered, [given[name] for name in ordered])
