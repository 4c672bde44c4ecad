"""What a database needs from time to time, and before much is written."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

ROWS_SAMPLED = 1000


def refresh_statistics() -> None:
    """Tell SQLite's planner how many rows there are, from samples: milliseconds, however large the tables. Without it,
    lists of a large project are found by the wrong index. PostgreSQL does this by itself."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit={ROWS_SAMPLED}")
            cursor.execute("ANALYZE")


def keep_indexes_in_memory(megabytes: int) -> None:
    """For rows whose hashes or keys fall anywhere in their indexes: on SQLite keep all of an index at hand, and write
    its pages back less often. Those of several thousand rows then go to the file together."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA cache_size=-{megabytes}000")
            cursor.execute("PRAGMA wal_autocheckpoint=8000")


@contextmanager
def few_collections() -> Iterator[None]:
    """For work that makes millions of objects and no cycles: what is there already is not searched for garbage again
    and again, and what is new more rarely."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(5_000_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
