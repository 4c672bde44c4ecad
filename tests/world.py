"""The people and things that tests talk about: short verbs to arrange a project, its items and its judgments."""

import gzip
import io
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.db import connections
from django.test import Client

from labeling.annotating import Sent, save_draft, submit
from labeling.curation.freezing import freeze
from labeling.curation.recipe import Recipe
from labeling.importing.batches import run_import, start_import
from labeling.intake import ItemDraft, ResponseDraft, add_items
from labeling.models import (
    Assignment,
    DatasetVersion,
    ImportBatch,
    Item,
    Judgment,
    Membership,
    Project,
    Role,
    User,
)
from labeling.projects import create_project
from labeling.queue import claim_next
from labeling.tasks import shown_order
from labeling.values import Answer, PairwiseAnswer

PASSWORD = "correct horse battery"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
ROLES = {
    "ada": Role.OWNER,
    "ben": Role.ANNOTATOR,
    "bea": Role.ANNOTATOR,
    "cleo": Role.REVIEWER,
    "emma": Role.ENGINEER,
    "leo": Role.LEAD,
}
FIRST_NUMBER = 1_000


def person(name: str) -> User:
    """Somebody by their name; those of ROLES have the same number in every test, on which their queue's dice depend."""
    found = User.objects.filter(username=name).first()
    number = FIRST_NUMBER + list(ROLES).index(name) if name in ROLES else None
    return found or User.objects.create(pk=number, username=name)


def make_project(name: str = "Helpfulness", *, overlap: int = 1, **fields: Any) -> Project:
    """A project in which everyone of ROLES has their role, and Mallory none."""
    project = create_project(name=name, owner=None, overlap=overlap, order_key="a fixed key")
    Project.objects.filter(pk=project.pk).update(**{"gold_share": 0, "repeat_share": 0, **fields})
    for username, role in ROLES.items():
        Membership.objects.create(user=person(username), project=project, role=role)
    project.refresh_from_db()
    return project


def draft(number: int, *, prompt: str = "", first: str = "", second: str = "", **fields: Any) -> ItemDraft:
    return ItemDraft(
        messages=[{"role": "user", "content": prompt or f"Question {number}?"}],
        responses=[
            ResponseDraft(first or f"Answer one to {number}", origin="secret-model-a"),
            ResponseDraft(second or f"Answer two to {number}", origin="secret-model-b"),
        ],
        **fields,
    )


def fill(project: Project, count: int, *, start: int = 0) -> list[Item]:
    """Put `count` items into the project; returns them in the order in which they are served."""
    add_items(project=project, drafts=[draft(start + n) for n in range(count)], source_kind="test")
    return list(project.items.order_by("id")[start : start + count])


def put(project: Project, *drafts: ItemDraft) -> list[Item]:
    add_items(project=project, drafts=drafts, source_kind="test")
    return list(project.items.filter(content_hash__in=[d.content_hash for d in drafts]).order_by("id"))


def verdict_for(label: str, slot: Assignment) -> str:
    """What the holder of the slot clicks for the stored response `label` to be the preferred one."""
    if label not in ("0", "1"):
        return label
    return ("first", "second")[shown_order(slot, slot.turn).index(int(label))]


def send(slot: Assignment, who: User, answer: Answer, **changes: Any) -> Judgment:
    """Submit an answer to a slot, with the token that it was leased by."""
    sent: dict[str, Any] = {"token": slot.token, "client_key": uuid.uuid4(), **changes}
    return submit(project=slot.project, assignment_id=slot.pk, person=who, answer=answer, sent=Sent(**sent))


def keep_draft(slot: Assignment, who: User, answer: dict[str, Any]) -> None:
    save_draft(
        project=slot.project,
        assignment_id=slot.pk,
        person=who,
        token=slot.token or uuid.uuid4(),
        answer=answer,
    )


def judge_next(project: Project, who: User, label: str = "0") -> Judgment | None:
    """Let somebody judge the next item they are given; None when they are given none."""
    slot = claim_next(project=project, person=who)
    if slot is None:
        return None
    return send(slot, who, PairwiseAnswer.model_validate({"verdict": verdict_for(label, slot)}))


def judge_all(project: Project, who: User, labels: Iterable[str] = ()) -> int:
    """Let somebody judge until nothing is left for them, with these labels in turn (then always "0")."""
    given, count = iter(labels), 0
    while judge_next(project, who, next(given, "0")) is not None:
        count += 1
    return count


def frozen(project: Project, **recipe: Any) -> DatasetVersion:
    """Freeze whatever was judged so far, and whatever the check finds."""
    made = Recipe(**{"complete": False, **recipe})
    return freeze(project=project, recipe=made, person=None, override="a test")


def import_file(project: Project, content: bytes, name: str = "rows.jsonl", **options: Any) -> ImportBatch:
    """Send a file and run its import to the end."""
    batch = start_import(project=project, file=io.BytesIO(content), filename=name, person=None, **options)
    run_import(batch)
    batch.refresh_from_db()
    return batch


def json_lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def good_row(number: int) -> dict[str, Any]:
    return {"prompt": f"Question {number}?", "chosen": f"yes {number}", "rejected": f"no {number}"}


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def sign_in(who: User) -> Client:
    client = Client()
    client.force_login(who)
    return client


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all calls at the same moment, each in a thread with a database connection of its own."""
    barrier = threading.Barrier(len(calls), timeout=60)

    def one(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait()
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(one, call) for call in calls]]
