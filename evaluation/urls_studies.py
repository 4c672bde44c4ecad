"""Addresses of studies."""

from django.urls import path

from evaluation.views import studies

STUDIES = "p/<slug:slug>/studies/"
urlpatterns = [
    path(STUDIES, studies.studies, name="studies"),
    path(f"{STUDIES}new/", studies.study_new, name="study_new"),
    path(f"{STUDIES}<int:study_id>/", studies.study, name="study"),
    path(f"{STUDIES}<int:study_id>/look/", studies.study_look, name="study_look"),
    path(f"{STUDIES}<int:study_id>/cancel/", studies.study_cancel, name="study_cancel"),
    path(f"{STUDIES}<int:study_id>/resume/", studies.study_resume, name="study_resume"),
    path(f"{STUDIES}<int:study_id>/result.<str:format>", studies.study_file, name="study_file"),
]
