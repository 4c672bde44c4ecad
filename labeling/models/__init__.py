from labeling.models.captures import (
    Capture,
    CaptureRule,
    CaptureState,
    CaptureTally,
    CaptureToken,
    Voice,
)
from labeling.models.datasets import (
    DatasetEntry,
    DatasetVersion,
    Freeze,
    ProtectedFingerprint,
    Tokenizer,
    Withdrawal,
)
from labeling.models.items import (
    Assignment,
    Deferral,
    ImportBatch,
    Item,
    Purpose,
    Response,
    ReviewState,
    RowError,
)
from labeling.models.judgments import Draft, Judgment
from labeling.models.people import Invitation, Membership, Role, Seat, User
from labeling.models.projects import Guideline, Project, Rationale, Task
from labeling.models.rag import CategoryChange, Chunk, ErrorCategory, Scope, ShownCandidates, Stage
from labeling.models.reviews import Gold, Resolution, Review
from labeling.models.workers import WorkerPulse

__all__ = [
    "Assignment",
    "Capture",
    "CaptureRule",
    "CaptureState",
    "CaptureTally",
    "CaptureToken",
    "CategoryChange",
    "Chunk",
    "DatasetEntry",
    "DatasetVersion",
    "Deferral",
    "Draft",
    "ErrorCategory",
    "Freeze",
    "Gold",
    "Guideline",
    "ImportBatch",
    "Invitation",
    "Item",
    "Judgment",
    "Membership",
    "Project",
    "ProtectedFingerprint",
    "Purpose",
    "Rationale",
    "Resolution",
    "Response",
    "Review",
    "ReviewState",
    "Role",
    "RowError",
    "Scope",
    "Seat",
    "ShownCandidates",
    "Stage",
    "Task",
    "Tokenizer",
    "User",
    "Voice",
    "Withdrawal",
    "WorkerPulse",
]
