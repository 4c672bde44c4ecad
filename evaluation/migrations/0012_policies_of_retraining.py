import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import evaluation.models.notices


class Migration(migrations.Migration):

    dependencies = [
        ('evaluation', '0011_studies_of_win_rates'),
        ('labeling', '0012_captures_of_production'),
        ('training', '0009_pipelines_of_runs_that_wait_for_each_other'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('email', 'E-mail'), ('webhook', 'Webhook')], max_length=10)),
                ('url', models.CharField(blank=True, max_length=500)),
                ('salt', models.CharField(default=evaluation.models.notices.new_salt, editable=False, max_length=64)),
                ('events', models.JSONField(default=list)),
                ('archived_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('person', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='channels', to='labeling.project')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event', models.CharField(choices=[('candidate', 'A candidate is ready'), ('stopped', 'A run stopped before that'), ('budget', 'The budget is reached'), ('nothing_new', 'Nothing new to train on'), ('test', 'A test')], max_length=12)),
                ('key', models.CharField(max_length=80)),
                ('uid', models.CharField(default=evaluation.models.notices.new_message, max_length=40, unique=True)),
                ('subject', models.CharField(max_length=200)),
                ('text', models.TextField()),
                ('payload', models.JSONField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='labeling.project')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('sent', 'Sent'), ('given_up', 'Given up')], default='waiting', max_length=10)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('due_at', models.DateTimeField()),
                ('code', models.PositiveSmallIntegerField(null=True)),
                ('sentence', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('sent_at', models.DateTimeField(null=True)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='evaluation.channel')),
                ('notice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='evaluation.notice')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='PolicyRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trigger', models.CharField(choices=[('button', 'By hand'), ('schedule', 'By schedule'), ('judgments', 'New judgments')], max_length=10)),
                ('due_at', models.DateTimeField(null=True)),
                ('newer', models.PositiveIntegerField()),
                ('newest_judgment', models.BigIntegerField()),
                ('plan', models.JSONField()),
                ('outcome', models.CharField(blank=True, choices=[('candidate', 'Candidate ready'), ('nothing_new', 'Nothing new'), ('blocked', 'Check blocked'), ('refused', 'Refused'), ('failed', 'Failed'), ('gate', 'Gate not passed'), ('budget', 'Budget reached'), ('cancelled', 'Cancelled')], max_length=12)),
                ('sentence', models.TextField(blank=True)),
                ('faults', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('cancel_requested_at', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('known', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='labeling.datasetversion')),
                ('origin', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.trainingrun')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='policy_runs', to='labeling.project')),
                ('suite', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evaluation.suite')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.AddField(
            model_name='notice',
            name='run',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='evaluation.policyrun'),
        ),
        migrations.CreateModel(
            name='PolicyStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('freeze', 'Freeze'), ('train', 'Train'), ('evaluate', 'Evaluate'), ('gate', 'Gate'), ('candidate', 'Candidate')], max_length=10)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('stopped', 'Stopped here'), ('skipped', 'Not reached')], default='waiting', max_length=10)),
                ('sentence', models.TextField(blank=True)),
                ('findings', models.JSONField(default=dict)),
                ('seconds', models.FloatField(null=True)),
                ('cost', models.FloatField(null=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('checkpoint', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.checkpoint')),
                ('evaluation', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='policy_step', to='evaluation.evalrun')),
                ('freeze', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='policy_step', to='labeling.freeze')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='evaluation.policyrun')),
                ('training', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='policy_step', to='training.trainingrun')),
                ('version', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='labeling.datasetversion')),
            ],
            options={
                'ordering': ['run', 'id'],
            },
        ),
        migrations.CreateModel(
            name='RetrainPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_on', models.BooleanField(default=False)),
                ('days', models.JSONField(default=list)),
                ('times', models.JSONField(default=list)),
                ('zone', models.CharField(default='UTC', max_length=64)),
                ('every', models.PositiveIntegerField(null=True)),
                ('recipe', models.JSONField(null=True)),
                ('values', models.JSONField(default=dict)),
                ('override', models.CharField(blank=True, max_length=500)),
                ('engine', models.CharField(blank=True, max_length=20)),
                ('sampling', models.JSONField(default=dict)),
                ('runs_a_week', models.PositiveIntegerField(null=True)),
                ('hours_a_week', models.FloatField(null=True)),
                ('cost_a_week', models.FloatField(null=True)),
                ('quiet_from', models.TimeField(null=True)),
                ('quiet_to', models.TimeField(null=True)),
                ('pause_after', models.PositiveSmallIntegerField(default=3)),
                ('served_at', models.DateTimeField(editable=False)),
                ('resumed_at', models.DateTimeField(editable=False, null=True)),
                ('turn', models.PositiveIntegerField(default=0, editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('changed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('origin', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='training.trainingrun')),
                ('project', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='retrain_policy', to='labeling.project')),
                ('suite', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='retrain_policies', to='evaluation.suite')),
            ],
        ),
        migrations.AddField(
            model_name='policyrun',
            name='policy',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='evaluation.retrainpolicy'),
        ),
        migrations.AddConstraint(
            model_name='channel',
            constraint=models.UniqueConstraint(condition=models.Q(('archived_at', None), ('person__isnull', False)), fields=('project', 'person'), name='person_told_once'),
        ),
        migrations.AddConstraint(
            model_name='channel',
            constraint=models.UniqueConstraint(condition=models.Q(('archived_at', None), models.Q(('url', ''), _negated=True)), fields=('project', 'url'), name='address_told_once'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['state', 'due_at'], name='deliveries_due'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('notice', 'channel'), name='delivered_once'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('project', 'key'), name='said_once'),
        ),
        migrations.AddConstraint(
            model_name='policystep',
            constraint=models.UniqueConstraint(fields=('run', 'kind'), name='policy_step_once'),
        ),
        migrations.AddConstraint(
            model_name='policyrun',
            constraint=models.UniqueConstraint(condition=models.Q(('outcome', '')), fields=('project',), name='one_policy_run_at_a_time'),
        ),
    ]
