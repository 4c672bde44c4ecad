from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("labeling", "0011_rag_reviews")]

    operations = []
