from django.db import migrations, models
from django.db.models.functions import Substr


def shorten(apps, schema_editor):
    apps.get_model("labeling", "Item").objects.update(content_hash=Substr("content_hash", 1, 32))


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL does not alter a table that has pending writes in the same transaction

    dependencies = [("labeling", "0002_append_only")]

    operations = [
        migrations.RunPython(shorten, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="item", name="content_hash", field=models.CharField(max_length=32)
        ),
    ]
