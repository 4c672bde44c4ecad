"""Addresses of fixes and rounds; evaluation.urls takes them in."""

from django.urls import path

from evaluation.views import fixes, rounds

LEDGER, ROUNDS = "p/<slug:slug>/ledger/", "p/<slug:slug>/rounds/"
urlpatterns = [
    path(LEDGER, fixes.ledger, name="ledger"),
    path(f"{LEDGER}new/", fixes.fix_new, name="fix_new"),
    path(f"{LEDGER}<int:fix_id>/", fixes.fix, name="fix"),
    path(f"{LEDGER}<int:fix_id>/take-in/", fixes.fix_take_in, name="fix_take_in"),
    path(ROUNDS, rounds.rounds, name="rounds"),
    path(f"{ROUNDS}<int:round_id>/", rounds.round, name="round"),
    path(f"{ROUNDS}<int:round_id>/edit/", rounds.round_edit, name="round_edit"),
    path(f"{ROUNDS}<int:round_id>/fill/", rounds.round_fill, name="round_fill"),
    path(f"{ROUNDS}<int:round_id>/round.<str:format>", rounds.round_file, name="round_file"),
]
