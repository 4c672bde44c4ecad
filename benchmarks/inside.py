"""What a benchmark does inside our Django: arrange projects, fill them, count, import and export.

Each function runs in a process of its own installation (see `benchmarks.ours.Inside`); Django is imported inside them,
since it is configured once in a process.
"""

import json
import os
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import pairs

OWNER = "ada"
BATCH = 2000


def serve(connection: Any, settings: dict[str, str]) -> None:
    """Set Django up, then answer calls until None comes."""
    os.environ.pop("DATABASE_URL", None)
    os.environ.update(settings)
    import django

    django.setup()
    while (call := connection.recv()) is not None:
        verb, arguments = call
        try:
            connection.send((True, verb(**arguments)))
        except Exception:
            connection.send((False, traceback.format_exc()))


def prepare(*, people: int) -> dict[str, Any]:
    """Tables, an owner and labelers. Returns the headers with which the owner and each labeler call the API, and the
    owner's in the browser."""
    from django.core.management import call_command
    from django.test import Client
    from knox.models import AuthToken

    from labeling.models import User

    call_command("migrate", verbosity=0)
    users = [User.objects.create(username=name) for name in [OWNER, *(f"labeler{n}" for n in range(people))]]
    tokens = [{"Authorization": f"Token {AuthToken.objects.create(user=user)[1]}"} for user in users]
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(users[0])
    session = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    return {"owner": tokens[0], "labelers": tuple(tokens[1:]), "browser": session}


def make_projects(*, names: list[str], items: int, overlap: int = 1) -> list[str]:
    """Projects with the same items, in which all labelers may judge. Returns their slugs."""
    return [make_project(name, items, overlap).slug for name in names]


def make_project(name: str, items: int, overlap: int) -> Any:
    """The row of a new project with so many items, each to be judged by `overlap` people."""
    from labeling.intake import ItemDraft, ResponseDraft, add_items
    from labeling.models import Membership, Role, User
    from labeling.projects import create_project

    project = create_project(name=name, owner=User.objects.get(username=OWNER), overlap=overlap)
    labelers = User.objects.exclude(username=OWNER)
    Membership.objects.bulk_create(
        Membership(user=user, project=project, role=Role.ANNOTATOR) for user in labelers
    )
    for start in range(0, items, BATCH):
        drafts = []
        for number in range(start, min(items, start + BATCH)):
            prompt, *texts = pairs.pair(number)
            responses = [ResponseDraft(text, origin) for text, origin in zip(texts, "ab", strict=True)]
            drafts.append(ItemDraft(messages=[{"role": "user", "content": prompt}], responses=responses))
        add_items(project=project, drafts=drafts, source_kind="benchmark")
    return project


def twice_judged() -> int:
    """How many items, of which one judgment is wanted, were judged by more than one person."""
    from django.db.models import Count

    from labeling.models import Judgment

    single = Judgment.objects.filter(item__overlap=1).order_by().values("item")
    return single.annotate(people=Count("person", distinct=True)).filter(people__gt=1).count()


def run_import(*, name: str, file: str) -> float:
    """Seconds that our verb takes to import a file into an empty project."""
    from labeling.importing.batches import run_import as carry_out
    from labeling.importing.batches import start_import

    project = make_project(name, 0, 1)
    with Path(file).open("rb") as stream:
        batch = start_import(project=project, file=stream, filename="pairs.jsonl", person=None)
    began = time.perf_counter()
    carry_out(batch)
    seconds = time.perf_counter() - began
    batch.refresh_from_db()
    assert batch.status == "succeeded", batch.error
    assert batch.duplicate == batch.refused == 0
    return seconds


def bare_insert(*, name: str, file: str) -> float:
    """Seconds that inserting the same rows in bulk takes, when nothing is read, checked, hashed or looked up."""
    import secrets

    from django.db import transaction

    from labeling.models import Assignment, Item, Response

    project = make_project(name, 0, 1)
    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    began = time.perf_counter()
    with transaction.atomic():
        items = Item.objects.bulk_create(
            Item(
                project=project,
                content_hash=secrets.token_hex(16),
                prompt_hash=secrets.token_hex(32),
                preview=row["prompt"][:200],
                messages=[{"role": "user", "content": row["prompt"]}],
            )
            for row in rows
        )
        Response.objects.bulk_create(
            Response(item=item, position=position, **response)
            for item, row in zip(items, rows, strict=True)
            for position, response in enumerate(row["responses"])
        )
        Assignment.objects.bulk_create(Assignment(project=project, item=item, slot=0) for item in items)
    return time.perf_counter() - began


def export(*, slug: str, format: str) -> dict[str, float]:
    """Export all judgments of a project; seconds, rows, bytes, and by how many MB the memory of this process rose at
    its highest. Run it in a fresh process."""
    from labeling.exporting_judgments import stream_judgments
    from labeling.models import Project

    project = Project.objects.get(slug=slug)
    _fill_page_cache()
    before = _peak_mb()
    began = time.perf_counter()
    size = lines = 0
    for chunk in stream_judgments(project=project, format=format):
        size, lines = size + len(chunk), lines + chunk.count(b"\n")
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "rows": lines, "bytes": size, "peak_mb": _peak_mb() - before}


def _fill_page_cache() -> None:
    """SQLite keeps some of its file in memory, as much as the settings allow: that does not belong to an export."""
    from django.db.models import Sum
    from django.db.models.functions import Length

    from labeling.models import Item, Response

    for rows, column in ((Response.objects.order_by(), "text"), (Item.objects.order_by(), "preview")):
        rows.aggregate(total=Sum(Length(column)))


def _peak_mb() -> float:
    """The highest resident memory of this process so far, as Linux tells it."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1000


def query_counts(*, slug: str, pages: dict[str, str], loops: int = 9) -> dict[str, float]:
    """How many statements each page runs, and one judgment (its submit, and the next claim) at the median."""
    import statistics

    from django.test import Client
    from knox.models import AuthToken

    from labeling.models import User

    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(User.objects.get(username=OWNER))
    found: dict[str, float] = {
        name: _statements(partial(browser.get, page), 200)[0] for name, page in pages.items()
    }
    token = AuthToken.objects.create(user=User.objects.get(username="labeler0"))[1]
    api = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Token {token}"})
    task, counts = api.post(f"/api/v1/projects/{slug}/next/").json(), []
    for _ in range(loops):
        path = f"/api/v1/projects/{slug}/assignments/{task['assignment_id']}/submit/"
        answer = {"token": task["token"], "client_key": task["client_key"], "verdict": "first", "next": True}
        send = partial(api.post, path, answer, content_type="application/json")
        count, reply = _statements(send, 201)
        task = reply.json()["next"]
        counts.append(count)
    return found | {"judgment": statistics.median(counts)}


def _statements(ask: Callable[[], Any], expected: int) -> tuple[int, Any]:
    """The number of statements that a request runs, and its answer."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        reply = ask()
    assert reply.status_code == expected, reply.content[:500]
    return len(queries), reply


def known_pages(*, slug: str) -> dict[str, str]:
    """The list pages of a project, by what they show: first pages, ones in the middle, in other orders, filtered."""
    from django.urls import reverse

    from labeling.models import Assignment, Item

    items, review = (reverse(f"labeling:{name}", args=[slug]) for name in ("items", "review"))
    keys = Item.objects.filter(project__slug=slug).values_list("pk", flat=True)
    slots = Assignment.objects.filter(project__slug=slug, submitted_at__isnull=False).order_by("submitted_at")
    middle = slots[slots.count() // 2]
    assert middle.submitted_at is not None
    place = f"{int(middle.submitted_at.timestamp() * 1_000_000)}-{middle.pk}"
    return {
        "items": items,
        "items, in the middle": f"{items}?after={keys[keys.count() // 2]}",
        "items, newest first": f"{items}?sort=newest",
        "items, still open": f"{items}?status=open",
        "items, done": f"{items}?status=done",
        "review": review,
        "review, in the middle": f"{review}?after={place}",
        "review, newest first": f"{review}?sort=newest",
        "review, people differ": f"{review}?differs=yes",
        "disagreements": reverse("labeling:disagreements", args=[slug]),
    }


def fill_bare(settings: dict[str, str], items: int) -> None:
    """Fill the bare project, in a process of its own."""
    os.environ.pop("DATABASE_URL", None)
    os.environ.update(settings)
    from benchmarks.bare_django import fill

    fill(pairs.row(number) for number in range(items))
