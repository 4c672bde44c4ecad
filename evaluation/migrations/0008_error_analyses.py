from importlib import import_module

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

earlier = import_module("labeling.migrations.0005_fill_queue_and_guard_reviews")


def guard(apps, schema_editor):
    earlier.guard_table(schema_editor, schema_editor.connection.vendor, "evaluation_errorreadchange")


class Migration(migrations.Migration):
    dependencies = [
        ("evaluation", "0007_files_of_cases_and_notes_of_cases"),
        ("labeling", "0011_rag_reviews"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='case',
            name='gold',
            field=models.JSONField(default=list),
        ),
        migrations.CreateModel(
            name='Analysis',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('metric', models.CharField(max_length=60)),
                ('seed', models.PositiveIntegerField()),
                ('order', models.JSONField(editable=False)),
                ('evaluated', models.PositiveIntegerField()),
                ('failing', models.PositiveIntegerField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='analyses', to='labeling.project')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='analyses', to='evaluation.evalrun')),
                ('target', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='analyses', to='evaluation.runtarget')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='CategoryPlan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('effort', models.FloatField(null=True)),
                ('status', models.CharField(choices=[('open', 'Open'), ('working', 'In work'), ('fixed', 'Fixed'), ('left', 'Left as it is')], default='open', max_length=10)),
                ('note', models.TextField(blank=True)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('category', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='plan', to='labeling.errorcategory')),
                ('changed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='category_plans', to='labeling.project')),
            ],
        ),
        migrations.CreateModel(
            name='ErrorRead',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.PositiveIntegerField()),
                ('claimed_at', models.DateTimeField()),
                ('read_at', models.DateTimeField(null=True)),
                ('categories', models.JSONField(default=list)),
                ('note', models.TextField(blank=True)),
                ('analysis', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='reads', to='evaluation.analysis')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evaluation.case')),
                ('reader', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['analysis', 'place'],
            },
        ),
        migrations.CreateModel(
            name='ErrorReadChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('categories', models.JSONField(default=list)),
                ('note', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('read', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='evaluation.errorread')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Intervention',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(choices=[('failing', 'Failing cases'), ('whole', 'The whole split')], max_length=10)),
                ('cases', models.PositiveIntegerField()),
                ('seed', models.PositiveIntegerField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('analysis', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='interventions', to='evaluation.analysis')),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='InterventionArm',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contexts', models.CharField(max_length=10)),
                ('intervention', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='arms', to='evaluation.intervention')),
                ('run', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='arm', to='evaluation.evalrun')),
            ],
            options={
                'ordering': ['intervention', 'id'],
            },
        ),
        migrations.AddConstraint(
            model_name='analysis',
            constraint=models.UniqueConstraint(fields=('run', 'target', 'metric'), name='one_analysis_per_metric'),
        ),
        migrations.AddConstraint(
            model_name='errorread',
            constraint=models.UniqueConstraint(fields=('analysis', 'place'), name='one_read_per_place'),
        ),
        migrations.AddConstraint(
            model_name='interventionarm',
            constraint=models.UniqueConstraint(fields=('intervention', 'contexts'), name='one_arm_per_contexts'),
        ),
        migrations.RunPython(guard, migrations.RunPython.noop),
    ]
