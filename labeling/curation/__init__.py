"""From judgments to frozen datasets: recipes, rows, lint, lineage.

recipe ─ votes ─ pairing ─ rows ─ policies (text, caps, evaluation material) ─ lint ─ freezing ▶ DatasetVersion
"""
