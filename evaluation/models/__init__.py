from evaluation.models.candidates import Generation
from evaluation.models.case_imports import CaseImport
from evaluation.models.gates import Decision, Gate
from evaluation.models.judges import AgreementCard, Judge, JudgeVersion
from evaluation.models.runs import CaseResult, CaseScore, EvalRun, Output, Score
from evaluation.models.sharing import ShareLink
from evaluation.models.suites import Case, Split, Suite, SuiteVersion
from evaluation.models.targets import Endpoint, RunTarget

__all__ = [
    "AgreementCard",
    "Case",
    "CaseImport",
    "CaseResult",
    "CaseScore",
    "Decision",
    "Endpoint",
    "EvalRun",
    "Gate",
    "Generation",
    "Judge",
    "JudgeVersion",
    "Output",
    "RunTarget",
    "Score",
    "ShareLink",
    "Split",
    "Suite",
    "SuiteVersion",
]
