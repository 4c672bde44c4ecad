from labeling.models.datasets import DatasetEntry, DatasetVersion, ProtectedFingerprint
from labeling.models.items import Assignment, ImportBatch, Item, Response, RowError
from labeling.models.judgments import Draft, Judgment
from labeling.models.people import Membership, Project, Role, User
from labeling.models.workers import WorkerPulse

__all__ = [
    "Assignment",
    "DatasetEntry",
    "DatasetVersion",
    "Draft",
    "ImportBatch",
    "Item",
    "Judgment",
    "Membership",
    "Project",
    "ProtectedFingerprint",
    "Response",
    "Role",
    "RowError",
    "User",
    "WorkerPulse",
]
