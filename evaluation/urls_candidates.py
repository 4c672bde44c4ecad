"""Addresses of generations of answers."""

from django.urls import path

from evaluation.views import candidates

GENERATIONS = "p/<slug:slug>/generations/"
urlpatterns = [
    path(GENERATIONS, candidates.generations, name="generations"),
    path(f"{GENERATIONS}new/", candidates.generation_new, name="generation_new"),
    path(f"{GENERATIONS}<int:generation_id>/", candidates.generation, name="generation"),
    path(f"{GENERATIONS}<int:generation_id>/cancel/", candidates.generation_cancel, name="generation_cancel"),
    path(f"{GENERATIONS}<int:generation_id>/resume/", candidates.generation_resume, name="generation_resume"),
]
