"""What a database needs from time to time."""

from django.db import connection

ROWS_SAMPLED = 1000


def refresh_statistics() -> None:
    """Tell SQLite's planner how many rows there are, from samples: milliseconds, however large the tables. Without it,
    lists of a large project are found by the wrong index. PostgreSQL does this by itself."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit={ROWS_SAMPLED}")
            cursor.execute("ANALYZE")
