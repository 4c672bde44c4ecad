from django.urls import path

from training.views import checks, lineage, runs, selections

app_name = "training"
urlpatterns = [
    path("p/<slug:slug>/runs/", runs.runs, name="runs"),
    path("p/<slug:slug>/runs/<int:run_id>/", runs.run, name="run"),
    path("p/<slug:slug>/runs/<int:run_id>/cancel/", runs.cancel, name="cancel"),
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
    path("p/<slug:slug>/checkpoints/", runs.checkpoints, name="checkpoints"),
]
