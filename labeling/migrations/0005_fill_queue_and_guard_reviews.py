"""Fills what 0004 added from what was there, and puts the append-only triggers (back) on every table of facts.

SQLite makes a table anew to change it, and its triggers are lost on the way. Responses are shown in another order than
before: open leases are given back and drafts of choices go, so that nobody's click is read in the wrong order.
"""

from importlib import import_module

from django.db import migrations
from django.db.models import Count, F, Sum

earlier = import_module("labeling.migrations.0002_append_only")
TABLES = (*earlier.TABLES, "labeling_guideline", "labeling_review", "labeling_resolution")


def fill(apps, schema_editor):
    model = {name: apps.get_model("labeling", name) for name in ("Assignment", "Judgment", "Draft", "Seat", "Item")}
    slots = model["Assignment"].objects
    slots.filter(submitted_at__isnull=False).update(review="submitted")
    slots.filter(person__isnull=False, submitted_at=None, skipped_at=None).update(
        person=None, token=None, leased_at=None, expires_at=None
    )
    slots.update(turn=F("slot"))
    model["Draft"].objects.all().delete()
    odd = model["Item"].objects.annotate(n=Count("responses")).exclude(n=2)
    for item in odd.only("pk").iterator():
        model["Item"].objects.filter(pk=item.pk).update(n_responses=item.n)
    totals = model["Judgment"].objects.order_by().values("project", "person")
    model["Seat"].objects.bulk_create(
        model["Seat"](
            project_id=row["project"], person_id=row["person"], judged=row["n"], active_ms=row["ms"] or 0
        )
        for row in totals.annotate(n=Count("pk"), ms=Sum("active_ms"))
    )


def guard(apps, schema_editor):
    for table in TABLES:
        guard_table(schema_editor, schema_editor.connection.vendor, table)


def guard_table(schema_editor, vendor, table):
    place = f" ON {table}" if vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only{place}")
    if vendor == "postgresql":
        schema_editor.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION prefloop_append_only()"
        )
    elif vendor == "sqlite":
        schema_editor.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} rows are never changed'); END"
        )


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("labeling", "0004_queue_kinds_and_reviews")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(guard, migrations.RunPython.noop),
    ]
