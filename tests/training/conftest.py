"""What tests of several runs share: a base that is whole, rows to train on, and Emma's browser."""

from pathlib import Path

import pytest
from django.test import Client

from labeling.models import DatasetVersion, Project, User
from tests.training.folders import write_model
from tests.training.runs import judged_version
from training.models import Checkpoint
from training.registry import register_base


@pytest.fixture
def root(project: Project, tmp_path: Path) -> Checkpoint:
    return register_base(name="small", location=str(write_model(tmp_path / "base")))


@pytest.fixture
def version(project: Project) -> DatasetVersion:
    return judged_version(project)


@pytest.fixture
def browser(emma: User) -> Client:
    client = Client()
    client.force_login(emma)
    return client
