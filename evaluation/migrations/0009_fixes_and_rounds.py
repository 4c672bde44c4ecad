from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("evaluation", "0008_error_analyses")]

    operations = []
