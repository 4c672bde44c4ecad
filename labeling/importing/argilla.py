"""Records of Argilla: dumps of version 1 and 2, nested as their JSON and flat as their `datasets` exports.

Answers that were discarded or are drafts are left out, as far as the dump tells: the JSON of version 2 does not.
"""

from collections.abc import Iterator
from typing import Any

from labeling.errors import RowRefused
from labeling.importing import judgments
from labeling.importing.columns import Layout, sort_out
from labeling.importing.fields import Row, licence, reference
from labeling.importing.judgments import Opinion
from labeling.intake import ItemDraft

SUGGESTION = "-suggestion-metadata"
HOUSEKEEPING = {
    "id",
    "status",
    "_server_id",
    "external_id",
    "metadata",
    "inserted_at",
    "updated_at",
    "vectors",
}

Answer = tuple[str, str, Any]
"""Person, question, value."""


def is_record(row: Row) -> bool:
    """Whether the fields of a row are those of an Argilla record, of any version."""
    if isinstance(row.get("fields"), dict):
        return True
    return "_server_id" in row or any(
        isinstance(key, str) and key.endswith((".responses", ".suggestion", SUGGESTION)) for key in row
    )


def record(row: Row) -> ItemDraft:
    """A record with the answers that people submitted."""
    fields, answers = _nested(row) if isinstance(row.get("fields"), dict) else _flat(row)
    layout = sort_out({name: value for name, value in fields.items() if value is not None})
    opinions = _opinions(layout, answers)
    return ItemDraft(
        messages=layout.prompt,
        responses=layout.responses,
        source_ref=reference("argilla", row.get("external_id") or row.get("id") or row.get("_server_id")),
        licence=licence(row, row.get("metadata")),
        extra=judgments.unread(opinions),
        verdicts=[verdict for opinion in opinions for verdict in opinion.verdicts()],
    )


def _nested(row: Row) -> tuple[Row, list[Answer]]:
    given = row.get("responses") or []
    if isinstance(given, dict):  # version 2: question → answers
        return row["fields"], [
            (_person(answer.get("user_id")), question, answer.get("value"))
            for question, answers in given.items()
            for answer in _objects(answers, question)
            if answer.get("status") in (None, "submitted")
        ]
    return row["fields"], [  # version 1: person → answers
        (_person(response.get("user_id")), question, value.get("value") if isinstance(value, dict) else value)
        for response in _objects(given, "responses")
        if response.get("status") in (None, "submitted")
        for question, value in _values(response).items()
    ]


def _values(response: Row) -> Row:
    values = response.get("values") or {}
    if not isinstance(values, dict):
        raise RowRefused(
            f"values is a {type(values).__name__}; it must be an object with one answer a question"
        )
    return values


def _flat(row: Row) -> tuple[Row, list[Answer]]:
    questions = {key.removesuffix(SUGGESTION) for key in row if key.endswith(SUGGESTION)}
    dotted = {key.rpartition(".")[0] for key in row if key.endswith((".responses", ".suggestion"))}
    skip = HOUSEKEEPING | questions | {f"{question}-suggestion" for question in questions}
    fields = {
        key: value
        for key, value in row.items()
        if key not in skip and not key.endswith(SUGGESTION) and key.partition(".")[0] not in dotted
    }
    return fields, [*_columns_of_version_1(row, questions), *_columns_of_version_2(row, dotted)]


def _columns_of_version_1(row: Row, questions: set[str]) -> Iterator[Answer]:
    for question in sorted(questions):
        for answer in _objects(_turned(row.get(question)), question):
            if answer.get("status") in (None, "submitted"):
                yield _person(answer.get("user_id")), question, answer.get("value")


def _columns_of_version_2(row: Row, questions: set[str]) -> Iterator[Answer]:
    for question in sorted(questions):
        values = _column(row, f"{question}.responses")
        people = _column(row, f"{question}.responses.users")
        statuses = _column(row, f"{question}.responses.status") or [None] * len(values)
        if not len(values) == len(people) == len(statuses):
            raise RowRefused(
                f"{question} has {len(values)} responses, {len(people)} users and {len(statuses)} statuses; "
                "the three lists must be of one length"
            )
        for value, person, status in zip(values, people, statuses, strict=True):
            if status in (None, "submitted"):
                yield _person(person), question, value


def _column(row: Row, name: str) -> list[Any]:
    value = row.get(name) or []
    if not isinstance(value, list):
        raise RowRefused(f"{name} is a {type(value).__name__}; it must be a list with one entry an answer")
    return value


def _turned(value: Any) -> Any:
    """A list of objects also where `datasets` made an object of lists of it."""
    if isinstance(value, dict) and all(isinstance(column, list) for column in value.values()):
        return [dict(zip(value, cells, strict=False)) for cells in zip(*value.values(), strict=False)]
    return value or []


def _objects(value: Any, name: str) -> list[Row]:
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise RowRefused(f"{name} must be a list of answers with user_id and value, as Argilla writes it")
    return value


def _person(identity: Any) -> str:
    return str(identity) if identity else "argilla"


def _opinions(layout: Layout, answers: list[Answer]) -> list[Opinion]:
    opinions: dict[str, Opinion] = {}
    for person, question, value in answers:
        opinion = opinions.setdefault(person, Opinion(person, layout.names))
        if value is not None:
            _hear(opinion, question, value)
    return list(opinions.values())


def _hear(opinion: Opinion, question: str, value: Any) -> None:
    """Read one answer by the shape of its value: a ranking, a rating, a label or a text."""
    ranking = _turned(value) if isinstance(value, dict) else value
    if isinstance(ranking, list):
        groups = _groups(ranking)
        if groups is None:
            opinion.unread[question] = value
        else:
            opinion.rank(question, groups, value)
    elif isinstance(value, str):
        opinion.hear(question, value)
    else:
        opinion.rate(question, value)


def _groups(ranking: list[Any]) -> list[list[Any]] | None:
    """Names from best to worst: a list of names, or of {value, rank} where equal ranks are ties."""
    if not ranking or all(isinstance(part, str) for part in ranking):
        return [[name] for name in ranking] or None
    if not all(isinstance(part, dict) and isinstance(part.get("rank"), int) for part in ranking):
        return None
    ranks = sorted({part["rank"] for part in ranking})
    return [[part.get("value") for part in ranking if part["rank"] == rank] for rank in ranks]
