"""The least that Django can do for a labeler: one view that reads a row by its key, one that inserts a row.

No accounts, no middleware, no lease, no check of what arrives: the floor under any Django product that shows an item
and stores an answer. Served by the same gunicorn, on the same kind of database with the same options, as ours.

    BARE_FOLDER=… [DATABASE_URL=…] gunicorn benchmarks.bare_django:application
"""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dj_database_url
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpRequest, JsonResponse
from django.urls import path

SQLITE = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
}


def database() -> dict[str, Any]:
    """The database of DATABASE_URL, or a file in BARE_FOLDER with the options that ours has on SQLite."""
    url = os.environ.get("DATABASE_URL") or f"sqlite:///{Path(os.environ['BARE_FOLDER']) / 'bare.sqlite3'}"
    found: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=60))
    return found | {"OPTIONS": SQLITE} if "sqlite" in found["ENGINE"] else found


if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": database()},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIDDLEWARE=[],
        ROOT_URLCONF=__name__,
        SECRET_KEY=secrets.token_hex(16),
        USE_I18N=False,
        USE_TZ=True,
    )
    django.setup()


class BareItem(models.Model):
    content = models.JSONField()

    class Meta:
        app_label = "bare"


class BareJudgment(models.Model):
    item = models.ForeignKey(BareItem, on_delete=models.PROTECT)
    person = models.PositiveIntegerField()
    client_key = models.UUIDField()
    verdict = models.CharField(max_length=20)
    active_ms = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bare"


def read(request: HttpRequest, item_id: int) -> JsonResponse:
    """One indexed read."""
    item = BareItem.objects.get(pk=item_id)
    return JsonResponse({"id": item.pk, **item.content})


def insert(request: HttpRequest) -> JsonResponse:
    """One insert."""
    return JsonResponse({"id": BareJudgment.objects.create(**json.loads(request.body)).pk}, status=201)


urlpatterns = [path("items/<int:item_id>/", read), path("judgments/", insert)]
application = get_wsgi_application()


def fill(contents: Iterable[dict[str, Any]]) -> None:
    """Make the two tables and store the items, with ids from 1 on."""
    with connection.schema_editor() as editor:
        editor.create_model(BareItem)
        editor.create_model(BareJudgment)
    BareItem.objects.bulk_create(BareItem(content=content) for content in contents)
