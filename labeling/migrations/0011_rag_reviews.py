from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("labeling", "0010_states_of_starting_and_stopping")]

    operations = []
