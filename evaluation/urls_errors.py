"""Addresses of error analyses and interventions; evaluation.urls takes them in."""

from django.urls import path

from evaluation.views import error_reading, errors, interventions

ERRORS = "p/<slug:slug>/errors/"
ONE = f"{ERRORS}<int:analysis_id>/"
KIND = f"{ONE}categories/<slug:key>/"
urlpatterns = [
    path(ERRORS, errors.analyses, name="analyses"),
    path(ONE, errors.analysis, name="analysis"),
    path(f"{ONE}table.<str:format>", errors.analysis_file, name="analysis_file"),
    path(f"{ONE}read/", error_reading.error_next, name="error_next"),
    path(f"{ONE}read/<int:place>/", error_reading.error_read, name="error_read"),
    path(f"{ONE}categories/", error_reading.error_category_new, name="error_category_new"),
    path(KIND, errors.error_category, name="error_category"),
    path(f"{KIND}send/", errors.error_send, name="error_send"),
    path(f"{ONE}interventions/", interventions.intervention_new, name="intervention_new"),
    path(f"{ONE}interventions/<int:intervention_id>/", interventions.intervention, name="intervention"),
]
