import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

VOICES = [
    ("bad", "Thumbs down"),
    ("good", "Thumbs up"),
    ("chose", "One of several chosen"),
    ("silent", "No vote"),
]
STATES = [
    ("left", "No rule took it"),
    ("taken", "On its way into the queue"),
    ("queued", "In the queue"),
    ("known", "Was in the queue already"),
    ("full", "The rule was full that day"),
    ("unfit", "Does not fit the project"),
]
OUTCOMES = [
    ("stored", "Stored"),
    ("bad", "Thumbs down"),
    ("good", "Thumbs up"),
    ("duplicate", "Sent again"),
    ("no_consent", "Without consent"),
    ("refused", "Refused"),
    ("limited", "Too many at once"),
]


def key() -> tuple[str, models.BigAutoField]:
    return (
        "id",
        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
    )


def person() -> models.ForeignKey:
    return models.ForeignKey(
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
    )


class Migration(migrations.Migration):
    dependencies = [("labeling", "0011_rag_reviews")]

    operations = [
        migrations.CreateModel(
            name="CaptureToken",
            fields=[
                key(),
                ("name", models.CharField(max_length=120)),
                ("begins", models.CharField(max_length=12)),
                ("secret_hash", models.CharField(max_length=64, unique=True)),
                (
                    "per_minute",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Most captures a minute; empty for what the installation allows.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                ("window", models.BigIntegerField(default=0)),
                ("used", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("created_by", person()),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="capture_tokens",
                        to="labeling.project",
                    ),
                ),
                ("revoked_by", person()),
            ],
            options={"ordering": ["-id"]},
        ),
        migrations.CreateModel(
            name="CaptureRule",
            fields=[
                key(),
                ("position", models.PositiveIntegerField(default=0)),
                ("voice", models.CharField(blank=True, choices=VOICES, max_length=8)),
                ("slice", models.CharField(blank=True, max_length=60)),
                ("model", models.CharField(blank=True, max_length=120)),
                (
                    "share",
                    models.PositiveIntegerField(
                        default=10000,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "daily_cap",
                    models.PositiveIntegerField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                ("is_on", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("created_by", person()),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="capture_rules",
                        to="labeling.project",
                    ),
                ),
            ],
            options={"ordering": ["position", "id"]},
        ),
        migrations.CreateModel(
            name="Capture",
            fields=[
                key(),
                ("key", models.CharField(max_length=100)),
                ("uid", models.CharField(max_length=32)),
                ("voice", models.CharField(choices=VOICES, default="silent", max_length=8)),
                ("model", models.CharField(blank=True, max_length=120)),
                ("slice", models.CharField(blank=True, max_length=60)),
                ("labels", models.TextField(blank=True)),
                ("licence", models.CharField(blank=True, max_length=100)),
                ("user_hash", models.CharField(blank=True, max_length=32)),
                ("preview", models.CharField(blank=True, max_length=200)),
                ("n_answers", models.PositiveSmallIntegerField(default=1)),
                ("n_contexts", models.PositiveSmallIntegerField(default=0)),
                ("scrubbed", models.PositiveIntegerField(default=0)),
                ("draw", models.PositiveSmallIntegerField(default=0)),
                ("captured_at", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                ("state", models.CharField(choices=STATES, default="left", max_length=8)),
                ("note", models.CharField(blank=True, max_length=300)),
                ("body", models.JSONField()),
                (
                    "item",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="captures",
                        to="labeling.item",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="captures",
                        to="labeling.project",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="labeling.capturerule",
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="labeling.capturetoken",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["project", "id"], name="captures_in_order"),
                    models.Index(fields=["project", "received_at"], name="captures_by_day"),
                    models.Index(
                        condition=models.Q(("state", "taken")),
                        fields=["project", "id"],
                        name="captures_taken",
                    ),
                    models.Index(
                        condition=models.Q(("rule__isnull", False)),
                        fields=["rule", "received_at"],
                        name="captures_of_rule",
                    ),
                    models.Index(
                        condition=models.Q(("item__isnull", False)), fields=["item"], name="captures_of_item"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "key"), name="capture_once_per_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="CaptureTally",
            fields=[
                key(),
                ("day", models.DateField()),
                ("outcome", models.CharField(choices=OUTCOMES, max_length=12)),
                ("n", models.PositiveBigIntegerField(default=0)),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="labeling.project",
                    ),
                ),
            ],
            options={
                "ordering": ["-day", "outcome"],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "day", "outcome"), name="one_tally_per_day")
                ],
            },
        ),
    ]
