from evaluation.models.runs import CaseResult, EvalRun, Score
from evaluation.models.suites import Case, Suite

__all__ = ["Case", "CaseResult", "EvalRun", "Score", "Suite"]
