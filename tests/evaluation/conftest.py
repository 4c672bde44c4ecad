"""What many tests of evaluation begin with."""

import pytest

from evaluation.models import RetrainPolicy, Suite
from labeling.models import Project
from tests.evaluation.planned import Bill, a_suite, counting
from tests.evaluation.policing import a_policy, judged


@pytest.fixture
def bill(monkeypatch: pytest.MonkeyPatch) -> Bill:
    """What engines are asked: those that load weights are replaced by one that counts."""
    return counting(monkeypatch)


@pytest.fixture
def suite(project: Project) -> Suite:
    return a_suite(project)


@pytest.fixture
def policy(project: Project) -> RetrainPolicy:
    """A policy, and six judgments since the version of the run that it follows."""
    made = a_policy(project)
    judged(project)
    return made
