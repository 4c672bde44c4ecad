from django.urls import path

from evaluation.views import dashboard, runs

app_name = "evaluation"
urlpatterns = [
    path("p/<slug:slug>/", dashboard.dashboard, name="dashboard"),
    path("p/<slug:slug>/evaluations/", runs.evaluations, name="evaluations"),
    path("p/<slug:slug>/evaluations/<int:evaluation_id>/", runs.evaluation, name="evaluation"),
    path("p/<slug:slug>/evaluations/<int:evaluation_id>/cancel/", runs.cancel, name="cancel"),
]
