from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("evaluation", "0007_files_of_cases_and_notes_of_cases")]

    operations = []
