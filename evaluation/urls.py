from django.urls import path

from evaluation import (
    urls_candidates,
    urls_compare,
    urls_errors,
    urls_judges,
    urls_playground,
    urls_policies,
    urls_rounds,
    urls_studies,
    urls_suites,
    urls_verdict,
)
from evaluation.views import runs

app_name = "evaluation"
EVALUATION = "p/<slug:slug>/evaluations/<int:evaluation_id>/"
urlpatterns = [
    path("p/<slug:slug>/evaluations/", runs.evaluations, name="evaluations"),
    path(f"{EVALUATION}cancel/", runs.cancel, name="cancel"),
    path(f"{EVALUATION}resume/", runs.resume, name="resume"),
    path(f"{EVALUATION}again/", runs.again, name="again"),
    *urls_verdict.urlpatterns,
    *urls_compare.urlpatterns,
    *urls_errors.urlpatterns,
    *urls_suites.urlpatterns,
    *urls_rounds.urlpatterns,
    *urls_judges.urlpatterns,
    *urls_candidates.urlpatterns,
    *urls_studies.urlpatterns,
    *urls_playground.urlpatterns,
    *urls_policies.urlpatterns,
]
