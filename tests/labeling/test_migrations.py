"""An installation of the first version is brought to this one with everything that people did."""

import uuid

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = [("labeling", "0002_append_only")]


def migrate(target: list[tuple[str, str | None]]) -> MigrationExecutor:
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return MigrationExecutor(connection)


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_judgments_slots_and_counts_survive_the_way_to_the_newest_version() -> None:
    newest = MigrationExecutor(
        connection
    ).loader.graph.leaf_nodes()  # of all apps: others go back with this one
    state = migrate(BEFORE).loader.project_state(BEFORE).apps
    try:
        ben = state.get_model("labeling", "User").objects.create(username="ben")
        project = state.get_model("labeling", "Project").objects.create(name="Old", slug="old")
        item = state.get_model("labeling", "Item").objects.create(
            project=project, content_hash="ab" * 32, prompt_hash="cd" * 32, preview="p", messages=[]
        )
        responses = state.get_model("labeling", "Response").objects
        responses.bulk_create(responses.model(item=item, position=n, text="t") for n in range(3))
        slots = state.get_model("labeling", "Assignment").objects
        done = slots.create(project=project, item=item, slot=1, person=ben, submitted_at=timezone.now())
        slots.create(project=project, item=item, slot=2)
        state.get_model("labeling", "Judgment").objects.create(
            assignment=done, project=project, item=item, person=ben, client_key=uuid.uuid4(),
            label="0", display_order=[1, 0], answer={"verdict": "second"}, active_ms=900,
        )  # fmt: skip
        migrate(newest)
        from labeling.models import Assignment, Item, Judgment, Seat

        kept = Item.objects.get()
        assert (kept.content_hash, kept.n_responses) == ("ab" * 16, 3)
        assert list(Assignment.objects.order_by("slot").values_list("turn", "review")) == [
            (1, "submitted"),
            (2, ""),
        ]
        assert Seat.objects.values_list("judged", "active_ms").get() == (1, 900)
        assert Judgment.objects.get().answer == {"verdict": "second"}
    finally:
        migrate(newest)
