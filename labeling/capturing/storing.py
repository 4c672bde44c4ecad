"""Captures into the database: one statement for all of a request, which says what was new, and one for the counts."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from django.db import connection

from labeling.capturing.reading import CaptureDraft
from labeling.models import Capture, CaptureRule, CaptureState, CaptureTally, CaptureToken, Project

TYPES = {  # column → its type on PostgreSQL, in the order of the values
    **dict.fromkeys(
        ("key", "uid", "voice", "model", "slice", "labels", "licence", "user_hash", "preview"), "text"
    ),
    **dict.fromkeys(("n_answers", "n_contexts", "scrubbed", "draw"), "integer"),
    "captured_at": "timestamptz",
    "body": "jsonb",
    "state": "text",
    "rule_id": "bigint",
}
DRAFTED = tuple(name for name in TYPES if name not in ("state", "rule_id"))


def insert_new(
    *, token: CaptureToken, rows: Sequence[tuple[CaptureDraft, CaptureRule | None]], now: datetime
) -> set[str]:
    """Store the captures, each with the rule that takes it, whose keys the project does not have. Returns those keys.

    Rows go in the order of their keys: two requests with the same ones then wait for each other, and never both.
    """
    ordered = sorted(rows, key=lambda row: row[0].key)
    taken, left = CaptureState.TAKEN, CaptureState.LEFT
    values = [
        (*(getattr(draft, name) for name in DRAFTED), taken if rule else left, rule and rule.pk)
        for draft, rule in ordered
    ]
    insert = _postgresql if connection.vendor == "postgresql" else _sqlite
    return insert(token, values, now)


def _postgresql(token: CaptureToken, values: Sequence[tuple[Any, ...]], now: datetime) -> set[str]:
    places = ", ".join(f"%s::{kind}[]" for kind in TYPES.values())
    columns = [list(column) for column in zip(*values, strict=True)]
    return _run(
        f"unnest({places}) AS given({_names(TYPES)})",
        _names(TYPES),
        [token.project_id, token.pk, now, *columns],
    )


def _sqlite(token: CaptureToken, values: Sequence[tuple[Any, ...]], now: datetime) -> set[str]:
    time = connection.ops.adapt_datetimefield_value
    rows = [[time(value) if isinstance(value, datetime) else value for value in row] for row in values]
    taken = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(TYPES)))
    given = [token.project_id, token.pk, time(now), orjson.dumps(rows).decode()]
    return _run("json_each(%s)", taken, given)


def _run(source: str, taken: str, params: list[Any]) -> set[str]:
    table = Capture._meta.db_table
    columns = f"project_id, token_id, received_at, note, {_names(TYPES)}"
    sql = (
        f"INSERT INTO {table} ({columns}) SELECT %s, %s, %s, '', {taken} FROM {source} WHERE true "  # noqa: S608
        "ON CONFLICT (project_id, key) DO NOTHING RETURNING key"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {key for (key,) in cursor.fetchall()}


def _names(columns: Mapping[str, str]) -> str:
    return ", ".join(connection.ops.quote_name(name) for name in columns)


def there(project: Project, keys: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """Key → uid and hash of what was sent, of captures that are there; None of those from before hashes were kept."""
    rows = Capture.objects.filter(project=project, key__in=keys).order_by()
    return {key: (uid, sent) for key, uid, sent in rows.values_list("key", "uid", "body__sent")}


def count(*, project: Project, day: date, outcomes: Mapping[str, int]) -> None:
    """Add to the counts of a day, by one statement, in an order that is everybody's."""
    rows = sorted((outcome, n) for outcome, n in outcomes.items() if n)
    if not rows:
        return
    table = CaptureTally._meta.db_table
    places = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
    sql = (
        f"INSERT INTO {table} (project_id, day, outcome, n) VALUES {places} "  # noqa: S608
        f"ON CONFLICT (project_id, day, outcome) DO UPDATE SET n = {table}.n + excluded.n"
    )
    written = connection.ops.adapt_datefield_value(day)
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for outcome, n in rows for value in (project.pk, written, outcome, n)])
