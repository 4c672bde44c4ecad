"""Addresses of comparisons, cases of runs, gates and decisions; evaluation.urls takes them in."""

from django.urls import path

from evaluation.views import cases_of_runs, compare, decisions, gates

PROJECT = "p/<slug:slug>/"
CASES = f"{PROJECT}evaluations/<int:evaluation_id>/cases/"
urlpatterns = [
    path(f"{PROJECT}compare/", compare.compare, name="compare"),
    path(CASES, cases_of_runs.cases, name="cases"),
    path(f"{CASES}send/", cases_of_runs.send_cases, name="send_cases"),
    path(f"{CASES}<int:case_id>/", cases_of_runs.result_case, name="result_case"),
    path(f"{PROJECT}suites/<int:suite_id>/gate/", gates.gate, name="gate"),
    path(
        f"{PROJECT}evaluations/<int:evaluation_id>/gate/<int:index>/", gates.gate_verdict, name="gate_verdict"
    ),
    path(f"{PROJECT}decisions/", decisions.decisions, name="decisions"),
    path(f"{PROJECT}decisions/<int:decision_id>/", decisions.decision, name="decision"),
    path(
        f"{PROJECT}decisions/<int:decision_id>/record.<str:format>",
        decisions.decision_file,
        name="decision_file",
    ),
    path(f"{PROJECT}checkpoints/<int:checkpoint_id>/roll-back/", decisions.roll_back_to, name="roll_back"),
]
