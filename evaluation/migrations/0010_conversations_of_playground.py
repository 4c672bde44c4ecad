from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("evaluation", "0009_fixes_and_rounds")]

    operations = []
