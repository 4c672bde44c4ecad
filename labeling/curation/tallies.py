"""What the votes decide, counted by the database: items whose votes fell alike are counted together, and each such
tally is decided once, by the code that decides at a freeze."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection
from django.db.models import Aggregate, CharField, Exists, F, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat

from labeling.curation.pairing import Decision, decisions
from labeling.curation.recipe import PAIRED, Recipe
from labeling.curation.votes import Vote, counted_judgments, open_slots, refused
from labeling.models import Item, Project, Resolution
from labeling.values import BOTH_BAD, TIE

ROWS = "rows"
NOBODY = Vote(0, "", "", "", "", False, 0, 1, 0, None, "", "", None, "", "")


class Together(Aggregate):
    """The values of a group in one text, in whatever order."""

    function = "GROUP_CONCAT"
    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "STRING_AGG(%(expressions)s, ',' ORDER BY %(expressions)s)"
        sql, params = self.as_sql(compiler, connection, template=template, **extra)
        return sql, (*params, *params)


def count(projects: Sequence[Project], recipe: Recipe) -> Counter[str]:
    """How much each rule on votes drops, and under ROWS how many rows are left before the rules on texts.

    Ratings count as what they are only where their texts are read: as one row or none, they are left to the sample.
    Where the recipe asks for a model of the people, the counts are those of the majority.
    """
    found: Counter[str] = Counter()
    if recipe.kind == "prompts":
        prompts = Item.objects.filter(project__in=projects).order_by().values("prompt_hash").distinct()
        return Counter({ROWS: prompts.count()})
    for item, votes, settled, is_open, items in _tallies(projects, recipe):
        for outcome, times in _outcomes(item, votes, settled, is_open, recipe).items():
            found[outcome] += times * items
    return found


def _tallies(
    projects: Sequence[Project], recipe: Recipe
) -> Iterator[tuple[Vote, list[Vote], str | None, bool, int]]:
    """One entry for all items with equal facts and votes: the facts, the votes, and how many items they are."""
    said = Concat(F("kind"), Value(":"), F("assignment__review"), Value(":"), F("label"))
    settled = Resolution.objects.filter(item=OuterRef("item_id")).order_by("-revision").values("label")[:1]
    per_item = (
        counted_judgments(projects, recipe)
        .order_by()
        .values("item_id", "item__licence", "item__synthetic")
        .annotate(
            settled=Coalesce(Subquery(settled), Value("")),
            open=Cast(Exists(open_slots().filter(item=OuterRef("item_id"))), CharField()),
            said=Together(said),
        )
        .values_list("item__licence", "item__synthetic", "settled", "open", "said")
    )
    sql, values = per_item.query.sql_with_params()
    names = "licence, synthetic, settled, open, said"
    with connection.cursor() as cursor:
        # The names are those above, the inner statement is the ORM's.
        statement = f"WITH tally({names}) AS ({sql}) SELECT {names}, COUNT(*) FROM tally GROUP BY {names}"  # noqa: S608
        cursor.execute(statement, values)
        for licence, synthetic, label, is_open, text, items in cursor.fetchall():
            item = NOBODY._replace(licence=licence, synthetic=bool(synthetic))
            votes = [
                item._replace(kind=kind, review=review, label=answer)
                for kind, review, answer in (each.split(":", 2) for each in sorted(text.split(",")))
            ]
            yield item, votes, label or None, is_open in ("1", "true"), items


def _outcomes(
    item: Vote, votes: list[Vote], settled: str | None, is_open: bool, recipe: Recipe
) -> Counter[str]:
    reason = refused(item, recipe, is_open=is_open)
    if reason is not None:
        return Counter({reason: 1})
    counted = [vote for vote in votes if vote.review in recipe.statuses]
    found = Counter({"state": len(votes) - len(counted)})
    if len(counted) < recipe.min_judgments:
        found["too_few"] = 1
        return found
    decided = list(decisions(counted, recipe, settled))
    found.update(outcome for outcome in decided if isinstance(outcome, str))
    pairs = [outcome for outcome in decided if isinstance(outcome, Decision)]
    found[ROWS] = _rows(counted, pairs, recipe, found)
    return found


def _rows(votes: list[Vote], pairs: list[Decision], recipe: Recipe, found: Counter[str]) -> int:
    """How many rows an item gives before its texts are looked at."""
    edits = sum(vote.kind == "edit" for vote in votes)
    written = edits + sum(vote.kind == "demonstration" for vote in votes)
    better = sum(pair.outcome == "better" for pair in pairs)
    ties = sum(pair.outcome == TIE for pair in pairs)
    bad = sum(pair.outcome == BOTH_BAD for pair in pairs)
    if recipe.kind in PAIRED:
        found[TIE] += 0 if recipe.ties == "both" else ties
        found[BOTH_BAD] += bad
        return edits + better + (2 * ties if recipe.ties == "both" else 0)
    if recipe.kind == "unpaired":
        found[TIE] += 0 if recipe.ties == "unpaired" else ties
        found[BOTH_BAD] += 0 if recipe.both_bad == "unpaired" else bad
        used = (
            better
            + (ties if recipe.ties == "unpaired" else 0)
            + (bad if recipe.both_bad == "unpaired" else 0)
        )
        sides = {side for pair in pairs for side in (pair.chosen, pair.rejected)}
        return written + edits + (min(len(sides), 2 * used))
    if pairs and not better:
        found[TIE if ties else BOTH_BAD] += 1
    return written + bool(better)
