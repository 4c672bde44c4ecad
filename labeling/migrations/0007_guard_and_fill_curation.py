"""Puts the append-only triggers back on the tables that 0006 changed, and gives evaluation prompts their texts."""

from importlib import import_module

from django.db import migrations

earlier = import_module("labeling.migrations.0005_fill_queue_and_guard_reviews")
TABLES = (*earlier.TABLES, "labeling_withdrawal")


def fill(apps, schema_editor):
    items, prompts = (apps.get_model("labeling", name) for name in ("Item", "ProtectedFingerprint"))
    for prompt in prompts.objects.filter(text="").iterator():
        item = items.objects.filter(project=prompt.project_id, prompt_hash=prompt.prompt_hash).order_by("pk").first()
        if item is not None:
            prompt.text = "\n".join(message["content"] for message in item.messages)
            prompt.save(update_fields=["text"])


def guard(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    for table in TABLES:
        earlier.guard_table(schema_editor, vendor, table)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("labeling", "0006_freezes_and_withdrawals")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(guard, migrations.RunPython.noop),
    ]
