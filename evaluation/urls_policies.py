"""Addresses of the retrain policy, its runs, and who is told."""

from django.urls import path

from evaluation.views import notices, policies

POLICY = "p/<slug:slug>/policy/"
CHANNEL = f"{POLICY}notices/channels/<int:channel_id>/"
urlpatterns = [
    path(POLICY, policies.policy, name="policy"),
    path(f"{POLICY}settings/", policies.settings, name="policy_settings"),
    path(f"{POLICY}start/", policies.begin, name="policy_start"),
    path(f"{POLICY}go-on/", policies.resume, name="policy_go_on"),
    path(f"{POLICY}runs/<int:run_id>/", policies.policy_run, name="policy_run"),
    path(f"{POLICY}runs/<int:run_id>/cancel/", policies.cancel, name="policy_run_cancel"),
    path(f"{POLICY}runs/<int:run_id>/go-on/", policies.run_go_on, name="policy_run_go_on"),
    path(f"{POLICY}notices/", notices.notices, name="notices"),
    path(f"{POLICY}notices/<int:delivery_id>/again/", notices.delivery_again, name="delivery_again"),
    path(f"{CHANNEL}away/", notices.channel_change, {"what": "away"}, name="channel_away"),
    path(f"{CHANNEL}test/", notices.channel_change, {"what": "test"}, name="channel_test"),
    path(f"{CHANNEL}secret/", notices.channel_change, {"what": "secret"}, name="channel_secret"),
]
