"""Addresses of judges, their cards, and endpoints."""

from django.urls import path

from evaluation.views import endpoints, judges

JUDGES, CARD, ENDPOINTS = (
    "p/<slug:slug>/judges/",
    "p/<slug:slug>/agreement-cards/<int:card_id>/",
    "p/<slug:slug>/endpoints/",
)
urlpatterns = [
    path(JUDGES, judges.judges, name="judges"),
    path(f"{JUDGES}new/", judges.judge_new, name="judge_new"),
    path(f"{JUDGES}<int:judge_id>/", judges.judge, name="judge"),
    path(f"{JUDGES}<int:judge_id>/version/", judges.judge_version, name="judge_version"),
    path(f"{JUDGES}<int:judge_id>/check/", judges.judge_check, name="judge_check"),
    path(f"{JUDGES}<int:judge_id>/archive/", judges.judge_archive, name="judge_archive"),
    path(CARD, judges.agreement_card, name="agreement_card"),
    path(f"{CARD}cancel/", judges.card_cancel, name="card_cancel"),
    path(f"{CARD}resume/", judges.card_resume, name="card_resume"),
    path(ENDPOINTS, endpoints.endpoints, name="endpoints"),
    path(f"{ENDPOINTS}new/", endpoints.endpoint_new, name="endpoint_new"),
    path(f"{ENDPOINTS}<int:endpoint_id>/", endpoints.endpoint, name="endpoint"),
    path(f"{ENDPOINTS}<int:endpoint_id>/archive/", endpoints.endpoint_archive, name="endpoint_archive"),
]
