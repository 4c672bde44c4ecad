"""Files of InspectorRAGet: one JSON object with tasks, documents and people's ratings of each model's answer.

Each evaluated answer becomes a row. Its number is its place among the evaluations.
"""

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from labeling.errors import ImportRefused, RowRefused
from labeling.importing.fields import Row, licence, messages, optional, reference
from labeling.importing.jsonrows import DAMAGED
from labeling.importing.reviews import contexts_of
from labeling.intake import ItemDraft, ResponseDraft, VerdictDraft
from labeling.rag.answers import BAD, GOOD

HEAD, LARGEST = 4096, 200_000_000
KEYS = re.compile(rb'"(name|filters|models|metrics|documents|tasks|evaluations)"\s*:')
DECIDING = ("faithfulness", "appropriateness", "completeness")
SCALE, GOOD_FROM = (1, 4), 3
KEPT = ("task_type", "Question Type", "Multi-Turn", "Answerability", "Turn", "Collection")


def is_report(head: bytes) -> bool:
    """Whether a file of JSON objects that begins so is a report as a whole."""
    return len(set(KEYS.findall(head))) >= 3


def rows(stream: IO[bytes], name: str) -> Iterator[tuple[int, Any | RowRefused]]:
    """One row an evaluation: {evaluation, task, contexts, metrics}. Raises ImportRefused where it is no report."""
    try:
        whole = stream.read(LARGEST + 1)
        if len(whole) > LARGEST:
            raise ImportRefused(
                f"{name} has more than {LARGEST:,} bytes; split its tasks into several files."
            )
        report = json.loads(whole)
    except DAMAGED as error:
        raise ImportRefused(f"{name} cannot be unpacked: {error}; compress it again.") from error
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f"{name} is not one JSON object: {error}; save it again.") from error
    tasks = _by_id(report, "tasks", "task_id", name)
    documents = _by_id(report, "documents", "document_id", name)
    metrics = [m.get("name") for m in _list(report, "metrics", name) if m.get("author") == "human"]
    for number, evaluation in enumerate(_list(report, "evaluations", name), start=1):
        task = tasks.get(str(evaluation.get("task_id")))
        if task is None:
            named = str(evaluation.get("task_id"))[:60]
            yield number, RowRefused(f"its task {named!r} is not among the tasks")
            continue
        contexts = [_context(given, documents) for given in _many(task.get("contexts"))]
        row = {"evaluation": evaluation, "task": task, "contexts": contexts, "metrics": metrics}
        yield number, row


def is_row(row: Row) -> bool:
    return isinstance(row.get("evaluation"), dict) and isinstance(row.get("task"), dict)


def review(row: Row) -> ItemDraft:
    """The answer with its passages. Each person's ratings become a review, and a rating of each metric."""
    if not is_row(row):
        raise RowRefused("the row is no evaluation with its task; import the whole report as one file")
    evaluation, task = row["evaluation"], row["task"]
    answer = evaluation.get("model_response")
    if not isinstance(answer, str):
        raise RowRefused("model_response is missing; give the text of the answer")
    people = _ratings(evaluation.get("annotations"), row.get("metrics"))
    return ItemDraft(
        messages=messages(_turns(task.get("input")), "input of the task"),
        responses=[ResponseDraft(answer, origin=optional(evaluation, "model_id"))],
        source_ref=reference("inspector", evaluation.get("task_id")),
        licence=licence(row, task),
        extra={name: task[name] for name in KEPT if task.get(name) not in (None, "", [])},
        verdicts=[verdict for person, given in people.items() for verdict in _verdicts(person, given)],
        contexts=contexts_of(row),
    )


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _verdicts(person: str, given: dict[str, int]) -> Iterator[VerdictDraft]:
    """What the ratings say as a review: good where nothing that decides is below "mostly yes"."""
    deciding = [given[metric] for metric in DECIDING if metric in given]
    if deciding:
        words = ", ".join(f"{metric} {value}" for metric, value in given.items())
        rag = {
            "verdict": GOOD if min(deciding) >= GOOD_FROM else BAD,
            "rationale": f"Rated {words} of {SCALE[1]}.",
            "unasked": ["relevance", "spans", "answers_question"],
        }
        yield VerdictDraft(person=person, kind="rag", rag=rag)
    if given:
        ratings: dict[str, list[int | None]] = {metric: [value] for metric, value in given.items()}
        yield VerdictDraft(person=person, kind="rating", ratings=ratings)


def _ratings(annotations: Any, metrics: Any) -> dict[str, dict[str, int]]:
    """person → metric → value, of the metrics that people rate on the scale."""
    found: dict[str, dict[str, int]] = {}
    rated = annotations if isinstance(annotations, dict) else {}
    for metric in map(str, _many(metrics)):
        given = rated.get(metric)
        for person, entry in given.items() if isinstance(given, dict) else ():
            value = str(entry.get("value") if isinstance(entry, dict) else "")
            whole = int(value) if value.isdecimal() and len(value) < 4 else None
            if whole is not None and SCALE[0] <= whole <= SCALE[1]:
                found.setdefault(str(person), {})[metric] = whole
    return found


def _turns(given: Any) -> Any:
    """Turns with speaker and text as messages with role and content."""
    if not isinstance(given, list):
        return given
    turns = [turn if isinstance(turn, dict) else {} for turn in given]
    said = [(turn.get("speaker"), turn.get("text")) for turn in turns]
    return [{"role": "assistant" if who == "agent" else who, "content": words} for who, words in said]


def _context(given: Any, documents: dict[str, Row]) -> dict[str, str]:
    """A context of a task: with its own text, or that of the document it names."""
    own = given if isinstance(given, dict) else {"text": given}
    known = {**documents.get(str(own.get("document_id")), {}), **own}
    return {
        "text": str(known.get("text") or ""),
        "title": str(known.get("title") or "")[:500],
        "ref": str(known.get("ref") or known.get("document_id") or "")[:500],
    }


def _list(report: Any, key: str, name: str) -> list[Row]:
    found = report.get(key) if isinstance(report, dict) else None
    if not isinstance(found, list):
        raise ImportRefused(f"{name} has no list of {key}; give the file as InspectorRAGet exports it.")
    return [one for one in found if isinstance(one, dict)]


def _by_id(report: Any, key: str, identity: str, name: str) -> dict[str, Row]:
    return {str(one[identity]): one for one in _list(report, key, name) if identity in one}
