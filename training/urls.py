from django.urls import path

from training.views import lineage, runs

app_name = "training"
urlpatterns = [
    path("p/<slug:slug>/runs/", runs.runs, name="runs"),
    path("p/<slug:slug>/runs/<int:run_id>/", runs.run, name="run"),
    path("p/<slug:slug>/runs/<int:run_id>/cancel/", runs.cancel, name="cancel"),
    path("p/<slug:slug>/items/<int:item_id>/uses/", lineage.uses, name="uses"),
    path("p/<slug:slug>/withdrawals/", lineage.withdrawals, name="withdrawals"),
    path("p/<slug:slug>/checkpoints/", runs.checkpoints, name="checkpoints"),
]
