"""The first version's results and scores step aside: 0005 carries them over, 0006 drops them."""

from django.db import migrations, models

KEYS = [
    ("CaseResult", "case", "evaluation.case", False),
    ("CaseResult", "checkpoint", "training.checkpoint", False),
    ("CaseResult", "run", "evaluation.evalrun", False),
    ("Score", "checkpoint", "training.checkpoint", False),
    ("Score", "run", "evaluation.evalrun", False),
    ("Score", "versus", "training.checkpoint", True),
]


class Migration(migrations.Migration):
    dependencies = [("evaluation", "0002_states_of_starting_and_stopping")]

    operations = [
        migrations.RemoveConstraint(model_name="case", name="case_numbered_once"),
        migrations.RemoveConstraint(model_name="caseresult", name="one_result_per_case"),
        migrations.RemoveConstraint(model_name="score", name="one_score_per_metric"),
        # Indexes keep their names when a table gets another one; the new tables want these names.
        *(
            migrations.AlterField(model, field, models.ForeignKey(to, models.PROTECT, null=null, related_name="+", db_index=False))
            for model, field, to, null in KEYS
        ),
        migrations.RenameModel("CaseResult", "OldCaseResult"),
        migrations.RenameModel("Score", "OldScore"),
        migrations.RenameField("Case", "index", "position"),
        migrations.RenameField("Case", "chosen", "reference"),
        migrations.AlterField("Case", "reference", models.TextField(null=True)),
        migrations.AlterField("Case", "rejected", models.TextField(null=True)),
    ]
