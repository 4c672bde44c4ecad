"""Tasks of Label Studio with their annotations: the JSON export, and JSON-MIN and CSV with one row an annotation.

Pairwise, Ranker, Choices, Rating, Number and TextArea are read. Cancelled annotations and predictions are left out;
of several annotations by one person the newest counts.
"""

import json
from typing import Any

from labeling.errors import RowRefused
from labeling.importing import judgments
from labeling.importing.columns import LISTS, Layout, sort_out
from labeling.importing.fields import Row, licence, reference
from labeling.importing.judgments import Opinion
from labeling.intake import ItemDraft

TASK = {"annotations", "completions", "predictions", "file_upload", "inner_id", "total_annotations"}
MINIMAL = {"annotation_id", "lead_time"}
HOUSEKEEPING = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}

Result = tuple[str, Any, list[str]]
"""The control's name, its value, and the names of what it is about."""


def is_task(row: Row) -> bool:
    """Whether the fields of a row are those of a task, of the whole export or of JSON-MIN."""
    return (
        isinstance(row.get("data"), dict) and (len(row) == 1 or bool(TASK & row.keys()))
    ) or row.keys() >= MINIMAL


def task(row: Row) -> ItemDraft:
    """A task with what people submitted."""
    if isinstance(row.get("data"), dict):
        data, said = row["data"], _annotations(row)
    else:
        data, said = _minimal(row)
    layout = sort_out({name: _joined(name, value) for name, value in data.items()})
    opinions = [_opinion(layout, person, results) for person, results in said.items()]
    return ItemDraft(
        messages=layout.prompt,
        responses=layout.responses,
        source_ref=reference("label-studio", row.get("id")),
        licence=licence(data, row.get("meta")),
        extra=judgments.unread(opinions),
        verdicts=[verdict for opinion in opinions for verdict in opinion.verdicts()],
    )


def _joined(name: str, value: Any) -> Any:
    """Paragraphs are one text; a list of responses stays a list."""
    if (
        name not in LISTS
        and isinstance(value, list)
        and value
        and all(isinstance(part, str) for part in value)
    ):
        return "\n".join(value)
    return value


def _annotations(row: Row) -> dict[str, list[Result]]:
    given = row.get("annotations") or row.get("completions") or []
    if not isinstance(given, list) or not all(isinstance(annotation, dict) for annotation in given):
        raise RowRefused("annotations must be a list of objects with result, as Label Studio writes it")
    kept = [a for a in given if not (a.get("was_cancelled") or a.get("skipped"))]
    newest = sorted(kept, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))
    return {_person(a.get("completed_by")): _results(a.get("result")) for a in newest}


def _results(given: Any) -> list[Result]:
    results = given if isinstance(given, list) else []
    return [
        (str(result.get("from_name", "")), result.get("value"), _names(result.get("to_name")))
        for result in results
        if isinstance(result, dict)
    ]


def _names(given: Any) -> list[str]:
    return [str(name) for name in given] if isinstance(given, list) else str(given or "").split(",")


def _person(given: Any) -> str:
    if isinstance(given, dict):
        given = given.get("email") or given.get("id")
    if isinstance(given, int) or (isinstance(given, str) and given.isdecimal()):
        return f"label-studio-{given}"
    return str(given) if given else "label-studio"


def _minimal(row: Row) -> tuple[Row, dict[str, list[Result]]]:
    """JSON-MIN puts the data first, then id, then the results, then who gave them; CSV sorts all by name."""
    names = list(row)
    start = names.index("id") if "id" in row else len(names)
    end = names.index("annotator") if "annotator" in row else len(names)
    given = {name: _read_json(value) for name, value in row.items() if name not in HOUSEKEEPING}
    if 0 < start < end:
        controls = [name for name in names[start + 1 : end] if name in given]
    else:
        controls = [name for name in given if _structured(given[name])]
        used = sort_out({name: value for name, value in given.items() if name not in controls}).used
        controls += [name for name in given if name not in used and name not in controls]
    results: list[Result] = [
        (name, value, [])
        for name in controls
        for value in (given[name] if isinstance(given[name], list) else [given[name]])
        if value is not None
    ]
    data = {name: value for name, value in given.items() if name not in controls}
    return data, {_person(row.get("annotator")): results}


def _read_json(value: Any) -> Any:
    """A result that a CSV has as JSON."""
    if isinstance(value, str) and value.startswith("[{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _structured(value: Any) -> bool:
    known = {"selected", "ranker", "rating", "choices", "number"}
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and bool(known & first.keys())


def _opinion(layout: Layout, person: str, results: list[Result]) -> Opinion:
    opinion = Opinion(person, layout.names)
    for control, value, about in results:
        if isinstance(value, str):
            opinion.hear(control, value)
        elif not isinstance(value, dict) or not _read(opinion, control, value, about):
            opinion.unread[control] = value
    return opinion


def _read(opinion: Opinion, control: str, value: Row, about: list[str]) -> bool:
    """Read a value by its key, which is the type of the control; False where that is none of those known."""
    if "selected" in value:
        return opinion.choose(control, value["selected"], about if len(about) == 2 else ("", ""))
    if isinstance(value.get("ranker"), dict):
        return _rank(opinion, control, value["ranker"])
    if "rating" in value or "number" in value:
        opinion.rate(control, value.get("rating", value.get("number")), about[0] if len(about) == 1 else "")
        return True
    words = value.get("choices", value.get("text"))
    words = [words] if isinstance(words, str) else words
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return False
    if "choices" in value:
        return len(words) == 1 and opinion.choose(control, words[0])
    opinion.write(control, "\n".join(words))
    return True


def _rank(opinion: Opinion, control: str, buckets: Row) -> bool:
    """A ranking has one bucket; "_" holds what was not moved. Several buckets are groups, not an order."""
    named = [names for bucket, names in buckets.items() if bucket != "_"] or list(buckets.values())
    if len(named) != 1 or not isinstance(named[0], list):
        return False
    opinion.rank(control, [[name] for name in named[0]], {"ranker": buckets})
    return True
