import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

TABLE = "evaluation_studylook"


def guard(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE} "
            "FOR EACH ROW EXECUTE FUNCTION prefloop_append_only()"
        )
    elif vendor == "sqlite":
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE} "
            f"BEGIN SELECT RAISE(ABORT, '{TABLE} rows are never changed'); END"
        )


class Migration(migrations.Migration):
    dependencies = [
        ("evaluation", "0010_conversations_of_playground"),
        ("labeling", "0012_captures_of_production"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Study",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("starting", "Starting"),
                            ("running", "Running"),
                            ("stopping", "Stopping"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_index=True,
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("claim_token", models.UUIDField(editable=False, null=True)),
                ("attempt", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("progress", models.FloatField(editable=False, null=True)),
                ("error", models.TextField(blank=True, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("queued_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("started_at", models.DateTimeField(editable=False, null=True)),
                ("heartbeat_at", models.DateTimeField(editable=False, null=True)),
                ("finished_at", models.DateTimeField(editable=False, null=True)),
                ("cancel_requested_at", models.DateTimeField(editable=False, null=True)),
                ("folder", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=120)),
                ("spec", models.JSONField()),
                ("design", models.JSONField()),
                ("prompts", models.PositiveIntegerField()),
                ("planned", models.PositiveIntegerField(default=0)),
                ("facts", models.JSONField(default=dict)),
                (
                    "closed_as",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("efficacy", "The difference is shown"),
                            ("futility", "Stopped as futile"),
                            ("complete", "Finished"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=10,
                    ),
                ),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "closed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "judge",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="studies",
                        to="evaluation.judgeversion",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="studies",
                        to="labeling.project",
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="asked_studies",
                        to="labeling.project",
                    ),
                ),
            ],
            options={"ordering": ["-id"]},
        ),
        migrations.CreateModel(
            name="StudyLook",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("number", models.PositiveSmallIntegerField()),
                ("final", models.BooleanField(default=False)),
                ("fraction", models.FloatField()),
                ("prompts", models.PositiveIntegerField()),
                ("judgments", models.PositiveIntegerField()),
                ("boundary", models.FloatField()),
                ("spent", models.FloatField()),
                ("zs", models.JSONField()),
                ("result", models.JSONField()),
                ("counted", models.JSONField(default=list)),
                ("taken_at", models.DateTimeField(auto_now_add=True)),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="looks",
                        to="evaluation.study",
                    ),
                ),
                (
                    "taken_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["study", "number"],
                "constraints": [
                    models.UniqueConstraint(fields=("study", "number"), name="study_look_numbered_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="StudyPair",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("number", models.PositiveIntegerField()),
                ("first", models.PositiveSmallIntegerField()),
                ("second", models.PositiveSmallIntegerField()),
                ("place", models.PositiveSmallIntegerField(default=0)),
                ("slices", models.JSONField(default=list)),
                ("unit", models.CharField(max_length=100)),
                (
                    "item",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="study_pairs",
                        to="labeling.item",
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pairs",
                        to="evaluation.study",
                    ),
                ),
            ],
            options={
                "ordering": ["study", "number", "first", "second"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("study", "number", "first", "second"), name="study_pair_once"
                    )
                ],
            },
        ),
        migrations.RunPython(guard, migrations.RunPython.noop),
        migrations.AddField(
            model_name="round",
            name="study",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rounds",
                to="evaluation.study",
            ),
        ),
    ]
