"""Statements of the ORM that are compiled once and then only run.

Building SQL costs the ORM ten times what the database needs for a look-up by index. The statements of the annotators'
loop run thousands of times an hour and differ in their values only: they are written as querysets with `Param` in the
place of values, compiled at first use for each kind of database, and executed by the cursor of the driver.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.base import ModelState
from django.db.models.sql import InsertQuery, UpdateQuery

AS_IT_IS = {"AutoField", "BigAutoField", "BigIntegerField", "CharField", "SlugField", "TextField"}
Built = tuple[str, tuple[Any, ...], Any]


class Param(Expression):
    """A value that is given when the statement runs; `like` is the field whose type it has."""

    def __init__(self, name: str, like: "Field[Any, Any]") -> None:
        super().__init__(output_field=like)
        self.name, self._like = name, like
        self.is_plain = like.get_internal_type() in AS_IT_IS or "Integer" in like.get_internal_type()

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]

    def prepared(self, values: dict[str, Any], connection: Any) -> Any:
        """This parameter as the database takes it."""
        return self.ready(values[self.name], connection)

    def ready(self, value: Any, connection: Any) -> Any:
        """A value as the database takes it: whole numbers and texts as they are."""
        return value if self.is_plain or value is None else self._like.get_db_prep_save(value, connection)


def param(name: str, model: type[Model], field: str = "") -> Param:
    """The value of a field of a model, by the name of the field or another one."""
    return Param(name, _valued(model._meta.get_field(field or name)))


def _valued(field: Any) -> Any:
    """The field whose values a field takes: of a foreign key, the key that it points to."""
    while field.remote_field is not None:
        field = field.target_field
    return field


class Statement:
    """What all compiled statements share: the SQL for each kind of database, and the way to run it."""

    def __init__(self) -> None:
        self._built: dict[str, Built] = {}
        self._direct: dict[str, tuple[str, tuple[Any, ...]]] = {}

    def _compile(self, connection: Any) -> Built:
        raise NotImplementedError

    def run(self, **values: Any) -> Any:
        """Run it. Returns its result: all rows, how many rows it changed, or the key of the new row."""
        connection = connections[DEFAULT_DB_ALIAS]
        built = self._built.get(connection.vendor)
        if built is None:
            built = self._built[connection.vendor] = self._compile(connection)
        if _is_watched(connection):
            sql, params, rest = built
            with connection.cursor() as cursor:
                cursor.execute(sql, _given(params, values, connection))
                return self._result(cursor, rest)
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        connection.validate_no_broken_transaction()
        driver, rest = DRIVERS[connection.vendor], built[2]
        direct = self._direct.get(connection.vendor)
        if direct is None:
            direct = self._direct[connection.vendor] = driver.translated(built[0], built[1])
        with connection.wrap_database_errors:
            given = _given(direct[1], values, connection)
            return self._result(driver.execute(connection.connection, direct[0], given), rest)

    def _result(self, cursor: Any, rest: Any) -> Any:
        raise NotImplementedError


def _is_watched(connection: Any) -> bool:
    """Whether Django has to see each statement: somebody counts or forbids them, or the driver is none of ours."""
    return bool(connection.queries_logged or connection.execute_wrappers or connection.vendor not in DRIVERS)


def _given(params: tuple[Any, ...], values: dict[str, Any], connection: Any) -> list[Any]:
    return [p.prepared(values, connection) if isinstance(p, Param) else p for p in params]


class Sqlite:
    """The cursor of sqlite3, with its own marks in the place of values."""

    @staticmethod
    def translated(sql: str, params: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        return sql % (("?",) * len(params)), params

    @staticmethod
    def execute(raw: Any, sql: str, given: list[Any]) -> Any:
        return raw.execute(sql, given)


class Postgresql:
    """A cursor of psycopg that takes PostgreSQL's own numbered places and binds values on the server, so that
    `prepare_threshold` of the connection applies. A parameter has one place however often it stands in the SQL."""

    @staticmethod
    def translated(sql: str, params: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        distinct: dict[Any, Any] = {}
        places = []
        for number, each in enumerate(params):
            key = each.name if isinstance(each, Param) else number
            distinct.setdefault(key, each)
            places.append(f"${list(distinct).index(key) + 1}")
        return sql % tuple(places), tuple(distinct.values())

    @staticmethod
    def execute(raw: Any, sql: str, given: list[Any]) -> Any:
        from psycopg import RawCursor

        return RawCursor(raw).execute(sql, given)


DRIVERS: dict[str, type[Sqlite] | type[Postgresql]] = {"sqlite": Sqlite, "postgresql": Postgresql}
"""The drivers' own cursors: those of Django translate the SQL at each execution, and plan it anew on PostgreSQL."""


def _rows(cursor: Any, rest: Any) -> list[tuple[Any, ...]]:
    """All rows, with the types that the ORM would give."""
    compiler, converters = rest
    found: list[Any] = cursor.fetchall()
    return [tuple(row) for row in compiler.apply_converters(found, converters)] if converters else found


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

    def _result(self, cursor: Any, rest: Any) -> list[tuple[Any, ...]]:
        return _rows(cursor, rest)

    def first(self, **values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = self.run(**values)
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

    def _result(self, cursor: Any, rest: Any) -> int:
        """How many rows it changed."""
        return int(cursor.rowcount)


class UpdateReturning(Update):
    """An update that gives the changed rows back, as they are then: these fields of them."""

    def __init__(
        self, build: Callable[[], tuple[QuerySet[Any, Any], dict[str, Any]]], names: Sequence[str]
    ) -> None:
        super().__init__(build)
        self._names = names

    def _compile(self, connection: Any) -> Built:
        sql, params, _ = super()._compile(connection)
        rows, _ = self._build()
        meta = rows.model._meta
        by_name = {field.attname: field for field in meta.concrete_fields}
        fields = [by_name[name] for name in self._names]
        compiler: Any = rows.query.get_compiler(connection=connection)
        converters = compiler.get_converters([field.get_col(meta.db_table) for field in fields])
        returning, _ = connection.ops.return_insert_columns(fields)
        return f"{sql} {returning}", params, (compiler, converters)

    def _result(self, cursor: Any, rest: Any) -> Any:
        return _rows(cursor, rest)


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

    def _result(self, cursor: Any, rest: Any) -> int:
        """The key."""
        ((key,),) = cursor.fetchall()
        return int(key)


def among(rows: QuerySet[Any], column: str, keys: Sequence[int], *, outside: bool = False) -> QuerySet[Any]:
    """The rows whose column ("table.column") is one of many keys, or none of them, given as one value: Django prepares
    and names each key of an `__in`, which takes longer than the look-up."""
    value: Any = list(keys)
    where = f"{column} = ANY(%s)"
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        where, value = f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(keys))  # noqa: S608
    where = f"NOT ({where})" if outside else where
    return rows.extra(where=[where], params=[value])  # noqa: S610 columns are named in the code


def insert_many(like: Model, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows that are as this unsaved instance but for the fields named, by their attnames: several times faster
    than `bulk_create`, which makes an object of each row and a statement of each thousand parameters. Raises
    IntegrityError; keys are not returned."""
    connection = connections[DEFAULT_DB_ALIAS]
    by_name = {field.attname: field for field in like._meta.concrete_fields if not field.primary_key}
    if like._meta.pk.attname in names:
        by_name[like._meta.pk.attname] = like._meta.pk
    given: list[Any] = [by_name.pop(name) for name in names]
    constant = [
        field.get_db_prep_save(field.pre_save(like, add=True), connection) for field in by_name.values()
    ]
    params = [Param(field.attname, _valued(field)) for field in given]
    if all(param.is_plain for param in params):
        filled = [(*constant, *row) for row in rows]
    else:
        filled = [
            (*constant, *(each.ready(value, connection) for each, value in zip(params, row, strict=True)))
            for row in rows
        ]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in (*by_name.values(), *given))
    target = f"{quote(like._meta.db_table)} ({columns})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with connection.wrap_database_errors, cursor.copy(f"COPY {target} FROM STDIN") as copy:
                for line in filled:
                    copy.write_row(line)
        else:
            places = ", ".join(["%s"] * (len(constant) + len(given)))
            cursor.executemany(f"INSERT INTO {target} VALUES ({places})", filled)  # noqa: S608


def instance(model: type[models.Model], names: Sequence[str], row: Sequence[Any]) -> Any:
    """A model instance from the values of these fields; the others are read when they are asked for.

    As `Model.from_db` makes it, without its signals and its look at every field.
    """
    made = model.__new__(model)
    made._state = ModelState()
    made._state.adding, made._state.db = False, DEFAULT_DB_ALIAS
    made.__dict__.update(zip(names, row, strict=True))
    return made
