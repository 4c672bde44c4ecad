"""Versioned evaluation suites: the verbs, by the names that other modules call them."""

from evaluation.suites.diffing import diff, history
from evaluation.suites.editing import (
    Overtaken,
    add_case,
    edit_case,
    remove_cases,
    restore_cases,
    retag,
)
from evaluation.suites.importing import import_cases, run_import, start_import
from evaluation.suites.making import archive_suite, change_suite, create_suite, suite_called, suite_from_split
from evaluation.suites.picking import add_picked, suite_from_items
from evaluation.suites.sealing import check_seal, refuse_undecided, seal, seal_share, unseal
from evaluation.suites.versions import current_version, freeze_version, frozen, living
from evaluation.suites.writing import Put, put_cases

__all__ = [
    "Overtaken",
    "Put",
    "add_case",
    "add_picked",
    "archive_suite",
    "change_suite",
    "check_seal",
    "create_suite",
    "current_version",
    "diff",
    "edit_case",
    "freeze_version",
    "frozen",
    "history",
    "import_cases",
    "living",
    "put_cases",
    "refuse_undecided",
    "remove_cases",
    "restore_cases",
    "retag",
    "run_import",
    "seal",
    "seal_share",
    "start_import",
    "suite_called",
    "suite_from_items",
    "suite_from_split",
    "unseal",
]
