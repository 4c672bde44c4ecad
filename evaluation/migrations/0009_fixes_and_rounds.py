import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("labeling", "0011_rag_reviews"),
        ("training", "0009_pipelines_of_runs_that_wait_for_each_other"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("evaluation", "0008_error_analyses"),
    ]

    operations = [
        migrations.CreateModel(
            name="Fix",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("metric", models.CharField(max_length=60)),
                ("ceiling_value", models.FloatField(null=True)),
                ("ceiling_low", models.FloatField(null=True)),
                ("ceiling_high", models.FloatField(null=True)),
                ("ceiling_n", models.PositiveIntegerField(null=True)),
                ("note", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("analysis", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="fixes", to="evaluation.analysis")),
                ("category", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="fixes", to="labeling.errorcategory")),
                ("created_by", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="fixes", to="labeling.project")),
                ("run", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="fixes", to="evaluation.evalrun")),
                ("target", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="evaluation.runtarget")),
            ],
            options={"ordering": ["-id"]},
        ),
        migrations.CreateModel(
            name="FixCase",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("role", models.CharField(choices=[("sibling", "Held out"), ("lesson", "Sent to labeling")], max_length=10)),
                ("case", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="evaluation.case")),
                ("fix", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="cases", to="evaluation.fix")),
            ],
            options={
                "ordering": ["fix", "id"],
                "constraints": [models.UniqueConstraint(fields=("fix", "case"), name="case_once_per_fix")],
            },
        ),
        migrations.CreateModel(
            name="FixItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("case", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="evaluation.case")),
                ("fix", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="items", to="evaluation.fix")),
                ("item", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="fix_items", to="labeling.item")),
            ],
            options={
                "ordering": ["fix", "id"],
                "constraints": [models.UniqueConstraint(fields=("fix", "item"), name="item_once_per_fix")],
            },
        ),
        migrations.CreateModel(
            name="Round",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120)),
                ("note", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                ("checkpoints", models.ManyToManyField(blank=True, related_name="rounds", to="training.checkpoint")),
                ("created_by", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("dataset_version", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="rounds", to="labeling.datasetversion")),
                ("decision", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="rounds", to="evaluation.decision")),
                ("evaluations", models.ManyToManyField(blank=True, related_name="rounds", to="evaluation.evalrun")),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="rounds", to="labeling.project")),
                ("runs", models.ManyToManyField(blank=True, related_name="rounds", to="training.trainingrun")),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [models.UniqueConstraint(fields=("project", "name"), name="round_name_once")],
            },
        ),
    ]
