"""An installation of the first version keeps its suites, its evaluations and their numbers."""

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = [("evaluation", "0002_states_of_starting_and_stopping")]


def migrate(target: list[tuple[str, str]]) -> MigrationExecutor:
    MigrationExecutor(connection).migrate(target)
    return MigrationExecutor(connection)


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_suites_runs_and_scores_survive_the_way_to_versions_and_targets() -> None:
    newest = [n for n in MigrationExecutor(connection).loader.graph.leaf_nodes() if n[0] == "evaluation"]
    state = migrate(BEFORE).loader.project_state([*BEFORE, ("training", newest_of("training"))]).apps
    try:
        run = installed(state.get_model)
        migrate(newest)
        check(run)
    finally:
        migrate(newest)


def installed(get: Any) -> int:
    """What an installation of the first version has; the number of its evaluation."""
    project = get("labeling", "Project").objects.create(name="Old", slug="old")
    version = get("labeling", "DatasetVersion").objects.create(
        project=project,
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
        project=project, name="old v1 test", dataset_version=version, split="test"
    )
    cases = [
        get("evaluation", "Case").objects.create(
            suite=suite, index=n, prompt_hash=f"{n}" * 64, prompt=[{"role": "user", "content": f"Q{n}"}],
            chosen="good", rejected="bad",
        )
        for n in range(2)
    ]  # fmt: skip
    run = get("evaluation", "EvalRun").objects.create(
        project=project, suite=suite, name="old run", engine="transformers", status="succeeded",
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


def newest_of(app: str) -> str:
    return next(n[1] for n in MigrationExecutor(connection).loader.graph.leaf_nodes() if n[0] == app)


def check(run_id: int) -> None:
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
