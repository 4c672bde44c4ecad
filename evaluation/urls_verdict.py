"""Addresses of what people read of an evaluation."""

from django.urls import path

from evaluation.views import dashboard, exports, leaderboard, sharing, verdict

ONE = "p/<slug:slug>/evaluations/<int:evaluation_id>/"
urlpatterns = [
    path("p/<slug:slug>/", dashboard.dashboard, name="dashboard"),
    path("p/<slug:slug>/leaderboard/", leaderboard.leaderboard, name="leaderboard"),
    path(ONE, verdict.evaluation, name="evaluation"),
    path(f"{ONE}result.csv", exports.result, name="result_csv"),
    path(f"{ONE}verdict.<str:format>", exports.verdict, name="verdict_file"),
    path(f"{ONE}share/", sharing.links, name="share"),
    path(f"{ONE}share/<int:link_id>/revoke/", sharing.revoke_link, name="share_revoke"),
    path("shared/<str:token>/", sharing.shared, name="shared"),
]
