"""Addresses of suites and cases; evaluation.urls takes them in."""

from django.urls import path

from evaluation.views import cases, suite_imports, suites

SUITES = "p/<slug:slug>/suites/"
SUITE = f"{SUITES}<int:suite_id>/"
urlpatterns = [
    path(SUITES, suites.suites, name="suites"),
    path(f"{SUITES}new/", suites.suite_new, name="suite_new"),
    path(f"{SUITES}pick/", suites.suite_pick, name="suite_pick"),
    path(SUITE, cases.suite, name="suite"),
    path(f"{SUITE}settings/", suites.suite_settings, name="suite_settings"),
    path(f"{SUITE}archive/", suites.suite_archive, name="suite_archive"),
    path(f"{SUITE}freeze/", suites.suite_freeze, name="suite_freeze"),
    path(f"{SUITE}seal/", suites.suite_seal, name="suite_seal"),
    path(f"{SUITE}diff/", suites.suite_diff, name="suite_diff"),
    path(f"{SUITE}cases.jsonl", cases.suite_file, name="suite_file"),
    path(f"{SUITE}imports/", suite_imports.suite_imports, name="suite_imports"),
    path(f"{SUITE}imports/<int:import_id>/", suite_imports.suite_import, name="suite_import"),
    path(
        f"{SUITE}imports/<int:import_id>/cancel/",
        suite_imports.suite_import_cancel,
        name="suite_import_cancel",
    ),
    path(f"{SUITE}new-case/", cases.case_new, name="case_new"),
    path(f"{SUITE}cases/<str:uid>/", cases.case, name="case"),
]
