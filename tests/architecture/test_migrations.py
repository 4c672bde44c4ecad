"""The models and the migrations agree, and each migration says what it does."""

import re

import pytest
from django.core.management import call_command

from tests.architecture.source import files

VAGUE = re.compile(r"^\d{4}_(auto_|alter_|remove_|rename_|[a-z]+$)|_and_more$|_\d{8}_\d{4}$")


@pytest.mark.django_db
def test_the_models_and_the_migrations_agree() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_every_migration_has_a_name_that_says_what_it_does() -> None:
    names = [p.stem for p in files("labeling", "training", "evaluation") if p.parent.name == "migrations"]
    found = [name for name in names if name not in ("__init__", "0001_initial")]
    assert "0001_initial" in names
    assert [name for name in found if VAGUE.search(name)] == []
