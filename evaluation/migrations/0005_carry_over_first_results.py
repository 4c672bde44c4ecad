"""What the first version stored becomes versions, targets, rows and scores; rows of facts get their triggers."""

import hashlib
import json
import uuid
from importlib import import_module

from django.db import migrations

guards = import_module("labeling.migrations.0005_fill_queue_and_guard_reviews")
GUARDED = ("evaluation_decision", "evaluation_judgeversion")
METRICS = [
    {"name": "preference", "scorer": "preference", "version": 1, "params": {}, "weight": 1.0},
    {"name": "perplexity", "scorer": "perplexity", "version": 1, "params": {}, "weight": 0.0},
]
NAMES = {
    "accuracy": "preference",
    "accuracy_delta": "preference",
    "perplexity": "perplexity",
    "perplexity_ratio": "perplexity",
}


def carry(apps, schema_editor):
    get = lambda name: apps.get_model("evaluation", name)
    versions = {suite.pk: carry_suite(get, suite) for suite in get("Suite").objects.all()}
    for run in get("EvalRun").objects.all():
        carry_run(apps, get, run, versions[run.suite_id])


def carry_suite(get, suite):
    rows = list(get("Case").objects.filter(suite=suite).order_by("position"))
    for row in rows:
        row.uid = uuid.uuid4().hex
        row.preview = " ".join(row.prompt[-1]["content"].split())[:160] if row.prompt else ""
        row.content_hash = hashlib.sha256(
            json.dumps([row.prompt, row.reference, row.rejected], sort_keys=True).encode()
        ).hexdigest()
    get("Case").objects.bulk_update(rows, ["uid", "preview", "content_hash"], batch_size=200)
    suite.scoring = METRICS
    suite.save(update_fields=["scoring"])
    whole = hashlib.sha256("".join(row.content_hash for row in rows).encode()).hexdigest()
    return get("SuiteVersion").objects.create(
        suite=suite, number=1, frozen_at=suite.created_at, content_hash=whole, cases=len(rows)
    )


def carry_run(apps, get, run, version):
    run.version = version
    run.spec = {"metrics": METRICS, "primary": "preference"}
    run.save(update_fields=["version", "spec"])
    checkpoints = apps.get_model("training", "Checkpoint").objects.in_bulk(run.plan)
    targets = {}
    for index, pk in enumerate(run.plan):
        checkpoint = checkpoints[pk]
        targets[pk] = get("RunTarget").objects.create(
            run=run, index=index, name=checkpoint.name, checkpoint=checkpoint, facts={"base": checkpoint.base.location},
            identity=checkpoint.content_hash or hashlib.sha256(checkpoint.path.encode()).hexdigest(),
        )  # fmt: skip
    for old in get("OldCaseResult").objects.filter(run=run).iterator():
        result = get("CaseResult").objects.create(run=run, case_id=old.case_id, target=targets[old.checkpoint_id])
        means = [
            getattr(old, f"{side}_logprob") / getattr(old, f"{side}_tokens") for side in ("chosen", "rejected")
        ]
        preferred = 0.5 if means[0] == means[1] else float(means[0] > means[1])
        get("CaseScore").objects.create(result=result, metric="preference", state="scored", value=preferred)
        get("CaseScore").objects.create(
            result=result, metric="perplexity", state="scored", value=-old.chosen_logprob, size=old.chosen_tokens
        )
    for old in get("OldScore").objects.filter(run=run):
        get("Score").objects.create(
            run=run, target=targets[old.checkpoint_id], versus=targets.get(old.versus_id), metric=NAMES[old.metric],
            value=old.value, low=old.low, high=old.high, n=old.n, p_value=old.p_value,
            fixed=old.fixed, broken=old.broken,
        )  # fmt: skip


def guard(apps, schema_editor):
    for table in GUARDED:
        guards.guard_table(schema_editor, schema_editor.connection.vendor, table)


class Migration(migrations.Migration):
    dependencies = [
        ("evaluation", "0004_versions_of_suites_and_rows_of_runs"),
        ("labeling", "0010_states_of_starting_and_stopping"),
        ("training", "0009_pipelines_of_runs_that_wait_for_each_other"),
    ]
    operations = [
        migrations.RunPython(carry, migrations.RunPython.noop),
        migrations.RunPython(guard, migrations.RunPython.noop),
    ]
