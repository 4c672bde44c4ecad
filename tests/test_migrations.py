"""An installation of the first versions is brought to this one with everything that people did and measured.

One walk from an empty database: to the first version of judgments, then of evaluations, then to the newest.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

FIRST_JUDGMENTS = [("labeling", "0002_append_only")]
FIRST_EVALUATIONS = [("evaluation", "0002_states_of_starting_and_stopping")]
Models = Callable[[str, str], Any]


@pytest.fixture
def empty(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """The connection leads to a new database, and back to the tests' own one afterwards."""
    own = connection.settings_dict["NAME"]
    name = str(tmp_path / "empty.sqlite3") if connection.vendor == "sqlite" else f"empty_{uuid.uuid4().hex}"
    _server(f"CREATE DATABASE {name}")
    connection.close()
    connection.settings_dict["NAME"] = name
    yield
    connection.close()
    connection.settings_dict["NAME"] = own
    _server(f"DROP DATABASE {name}")


def _server(statement: str) -> None:
    if connection.vendor == "postgresql":
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute(statement)
        other.close()


def migrated(*targets: tuple[str, str]) -> Models:
    """Walk there; the models as they were then."""
    MigrationExecutor(connection).migrate(list(targets))
    state = MigrationExecutor(connection).loader.project_state(list(targets))
    return state.apps.get_model


@pytest.mark.data_layer
@pytest.mark.heavy  # on SQLite; the run of the data layer on PostgreSQL takes it
def test_judgments_suites_and_scores_survive_the_way_to_the_newest_version(empty: None) -> None:
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    project = judged(migrated(*FIRST_JUDGMENTS))
    run = evaluated(
        migrated(*FIRST_EVALUATIONS, *(leaf for leaf in newest if leaf[0] == "training")), project
    )
    migrated(*newest)
    see_judgments()
    see_evaluations(run)


def judged(get: Models) -> int:
    """What people did in the first version; the number of their project."""
    ben = get("labeling", "User").objects.create(username="ben")
    project = get("labeling", "Project").objects.create(name="Old", slug="old")
    item = get("labeling", "Item").objects.create(
        project=project, content_hash="ab" * 32, prompt_hash="cd" * 32, preview="p", messages=[]
    )
    responses = get("labeling", "Response").objects
    responses.bulk_create(responses.model(item=item, position=n, text="t") for n in range(3))
    slots = get("labeling", "Assignment").objects
    done = slots.create(project=project, item=item, slot=1, person=ben, submitted_at=timezone.now())
    slots.create(project=project, item=item, slot=2)
    get("labeling", "Judgment").objects.create(
        assignment=done, project=project, item=item, person=ben, client_key=uuid.uuid4(),
        label="0", display_order=[1, 0], answer={"verdict": "second"}, active_ms=900,
    )  # fmt: skip
    return int(project.pk)


def see_judgments() -> None:
    from labeling.models import Assignment, Item, Judgment, Seat

    kept = Item.objects.get()
    assert (kept.content_hash, kept.n_responses) == ("ab" * 16, 3)
    slots = Assignment.objects.order_by("slot").values_list("turn", "review")
    assert list(slots) == [(1, "submitted"), (2, "")]
    assert Seat.objects.values_list("judged", "active_ms").get() == (1, 900)
    assert Judgment.objects.get().answer == {"verdict": "second"}


def evaluated(get: Models, project: int) -> int:
    """What was measured in the first version; the number of its evaluation."""
    version = get("labeling", "DatasetVersion").objects.create(
        project_id=project,
        number=1,
        kind="preference",
        recipe={},
        splits={"test": 2},
        dropped={},
        last_judgment_id=0,
    )
    base = get("training", "BaseModel").objects.create(name="tiny", location="hub/tiny")
    checkpoints = [
        get("training", "Checkpoint").objects.create(base=base, name=name, kind=kind, path=name)
        for name, kind in (("tiny", "base"), ("tuned", "adapter"))
    ]
    suite = get("evaluation", "Suite").objects.create(
        project_id=project, name="old v1 test", dataset_version=version, split="test"
    )
    cases = [
        get("evaluation", "Case").objects.create(
            suite=suite, index=n, prompt_hash=f"{n}" * 64, prompt=[{"role": "user", "content": f"Q{n}"}],
            chosen="good", rejected="bad",
        )
        for n in range(2)
    ]  # fmt: skip
    run = get("evaluation", "EvalRun").objects.create(
        project_id=project, suite=suite, name="old run", engine="transformers", status="succeeded",
        plan=[c.pk for c in checkpoints], folder="x", finished_at=timezone.now(),
    )  # fmt: skip
    for checkpoint in checkpoints:
        for case in cases:
            get("evaluation", "CaseResult").objects.create(
                run=run, case=case, checkpoint=checkpoint,
                chosen_logprob=-4.0, chosen_tokens=4, rejected_logprob=-9.0, rejected_tokens=3,
            )  # fmt: skip
    scores = get("evaluation", "Score").objects
    scores.create(run=run, checkpoint=checkpoints[1], metric="accuracy", value=0.5, low=0.4, high=0.6, n=2)
    scores.create(
        run=run, checkpoint=checkpoints[1], versus=checkpoints[0], metric="accuracy_delta",
        value=0.1, low=0.0, high=0.2, n=2, p_value=0.04, fixed=1, broken=0,
    )  # fmt: skip
    return int(run.pk)


def see_evaluations(run_id: int) -> None:
    from evaluation.models import Case, CaseScore, EvalRun, Score

    run = EvalRun.objects.get(pk=run_id)
    assert (run.version.number, run.version.cases, run.split, run.primary) == (1, 2, "dev", "preference")
    assert run.version.frozen_at is not None
    assert [target.name for target in run.targets.all()] == ["tiny", "tuned"]
    cases = list(Case.objects.of(run.version))
    assert [(case.reference, case.rejected, case.preview) for case in cases] == [
        ("good", "bad", "Q0"),
        ("good", "bad", "Q1"),
    ]
    assert len({case.uid for case in cases}) == 2
    marks = CaseScore.objects.filter(metric="preference")
    assert list(marks.values_list("value", "state")) == [(1.0, "scored")] * 4
    loss = CaseScore.objects.filter(metric="perplexity").values_list("value", "size")
    assert set(loss) == {(4.0, 4.0)}
    own, delta = Score.objects.order_by("id")
    assert (own.metric, own.target.name, own.versus) == ("preference", "tuned", None)
    assert (delta.versus.name, delta.value, delta.fixed) == ("tiny", 0.1, 1)  # type: ignore[union-attr]
