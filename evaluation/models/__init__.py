from evaluation.models.analyses import (
    Analysis,
    CategoryPlan,
    ErrorRead,
    ErrorReadChange,
    Intervention,
    InterventionArm,
)
from evaluation.models.candidates import Generation
from evaluation.models.case_imports import CaseImport
from evaluation.models.conversations import Conversation, Outcome, Reply, Serving, Turn, Voice
from evaluation.models.fixes import Fix, FixCase, FixItem
from evaluation.models.gates import Decision, Gate
from evaluation.models.judges import AgreementCard, Judge, JudgeVersion
from evaluation.models.notices import Channel, Delivery, Notice
from evaluation.models.policies import PolicyRun, PolicyStep, RetrainPolicy
from evaluation.models.rounds import Round
from evaluation.models.runs import CaseResult, CaseScore, EvalRun, Output, Score
from evaluation.models.sharing import ShareLink
from evaluation.models.studies import Study, StudyLook, StudyPair
from evaluation.models.suites import Case, Split, Suite, SuiteVersion
from evaluation.models.targets import Endpoint, RunTarget

__all__ = [
    "AgreementCard",
    "Analysis",
    "Case",
    "CaseImport",
    "CaseResult",
    "CaseScore",
    "CategoryPlan",
    "Channel",
    "Conversation",
    "Decision",
    "Delivery",
    "Endpoint",
    "ErrorRead",
    "ErrorReadChange",
    "EvalRun",
    "Fix",
    "FixCase",
    "FixItem",
    "Gate",
    "Generation",
    "Intervention",
    "InterventionArm",
    "Judge",
    "JudgeVersion",
    "Notice",
    "Outcome",
    "Output",
    "PolicyRun",
    "PolicyStep",
    "Reply",
    "RetrainPolicy",
    "Round",
    "RunTarget",
    "Score",
    "Serving",
    "ShareLink",
    "Split",
    "Study",
    "StudyLook",
    "StudyPair",
    "Suite",
    "SuiteVersion",
    "Turn",
    "Voice",
]
