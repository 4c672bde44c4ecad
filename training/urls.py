from django.urls import path

from training.views import checks, comparing, launches, lineage, logs, registry, retraining, runs, selections

app_name = "training"
urlpatterns = [
    path("p/<slug:slug>/runs/", runs.runs, name="runs"),
    path("p/<slug:slug>/runs/new/", launches.new_run, name="new_run"),
    path("p/<slug:slug>/retrain/", retraining.retrain, name="retrain"),
    path("p/<slug:slug>/retrain/<int:retraining_id>/cancel/", retraining.cancel, name="retrain_cancel"),
    path("p/<slug:slug>/runs/needs/", launches.run_needs, name="run_needs"),
    path("p/<slug:slug>/runs/compare/", comparing.compare, name="compare_runs"),
    path("p/<slug:slug>/runs/<int:run_id>/", runs.run, name="run"),
    path("p/<slug:slug>/runs/<int:run_id>/log/", logs.log_part, name="run_log"),
    path("p/<slug:slug>/runs/<int:run_id>/log.txt", logs.whole_log, name="run_log_file"),
    path("p/<slug:slug>/runs/<int:run_id>/cancel/", runs.cancel, name="cancel"),
    path("p/<slug:slug>/runs/<int:run_id>/resume/", runs.resume, name="resume"),
    path("p/<slug:slug>/runs/<int:run_id>/saw/", checks.report, name="run_report"),
    path("p/<slug:slug>/checks/<int:check_id>/", checks.check, name="check"),
    path("p/<slug:slug>/checks/<int:check_id>/cancel/", checks.cancel, name="check_cancel"),
    path("p/<slug:slug>/checks/<int:check_id>/start/", checks.start, name="check_start"),
    path("p/<slug:slug>/items/<int:item_id>/uses/", lineage.uses, name="uses"),
    path("p/<slug:slug>/withdrawals/", lineage.withdrawals, name="withdrawals"),
    path("p/<slug:slug>/datasets/<int:number>/choose/", selections.choose, name="choose"),
    path("p/<slug:slug>/choices/<int:selection_id>/", selections.selection, name="selection"),
    path("p/<slug:slug>/choices/<int:selection_id>/cancel/", selections.cancel, name="selection_cancel"),
    path("p/<slug:slug>/choices/<int:selection_id>/freeze/", selections.freeze, name="selection_freeze"),
    path("p/<slug:slug>/bases/", registry.bases, name="bases"),
    path("p/<slug:slug>/checkpoints/", registry.checkpoints, name="checkpoints"),
    path("p/<slug:slug>/checkpoints/<int:checkpoint_id>/", registry.checkpoint, name="checkpoint"),
    path("p/<slug:slug>/checkpoints/<int:checkpoint_id>/stage/", registry.stage, name="stage"),
    path("p/<slug:slug>/checkpoints/<int:checkpoint_id>/notes/", registry.notes, name="notes"),
    path("p/<slug:slug>/checkpoints/<int:checkpoint_id>/merge/", registry.merge, name="merge"),
    path(
        "p/<slug:slug>/checkpoints/<int:checkpoint_id>/merge/cancel/",
        registry.merge_cancel,
        name="merge_cancel",
    ),
    path("p/<slug:slug>/checkpoints/<int:checkpoint_id>/measure/", registry.measure, name="measure"),
    path("p/<slug:slug>/checkpoints/<int:checkpoint_id>/README.md", registry.card, name="card"),
    path("p/<slug:slug>/checkpoints/<int:checkpoint_id>/weights.tar", registry.weights, name="weights"),
]
