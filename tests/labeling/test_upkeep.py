"""A large project stays quick: the planner is told how much there is."""

import pytest
from django.db import connection

from labeling.jobs import refresh_statistics
from labeling.models import Project
from tests import world

pytestmark = pytest.mark.data_layer


def rows_known_of() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT stat FROM sqlite_stat1 WHERE tbl = 'labeling_response'")
        (stat,) = cursor.fetchone() or ("",)
    return str(stat).split(" ")[0]


def test_the_planner_knows_of_the_rows_after_an_import_and_each_half_hour(project: Project) -> None:
    world.import_file(project, world.json_lines(*[world.good_row(n) for n in range(30)]))
    if connection.vendor == "sqlite":
        assert rows_known_of() == "60"
    world.fill(project, 5)
    refresh_statistics()  # on PostgreSQL nothing happens
    if connection.vendor == "sqlite":
        assert rows_known_of() == "70"
