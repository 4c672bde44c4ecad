"""What the votes decide, counted by the database: items whose votes fell alike are counted together, and each such
tally is decided once, by the code that decides at a freeze."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, get_args

from django.db import connection
from django.db.models import (
    Aggregate,
    Case,
    CharField,
    Count,
    F,
    Func,
    Max,
    Q,
    QuerySet,
    Value,
    When,
)

from labeling.compiled import among
from labeling.curation.pairing import Decision, decisions
from labeling.curation.recipe import PAIRED, Recipe, State
from labeling.curation.votes import REVIEW, TAKEN, Vote, Votes, open_parts, refused, withdrawn
from labeling.models import Assignment, Item, Judgment, Project, Purpose, Resolution, ReviewState
from labeling.values import BOTH_BAD, TIE

ROWS, REVIEWED = "rows", "reviewed"
NOTHING = Q()
OWNER = F("project_id") + 0  # an expression, so that SQLite takes the index of votes and not one of projects
SUBMITTED = "submitted"  # stands for every state where the recipe takes all of them
NOBODY = Vote(0, "", "", "", "", False, 0, 1, 0, None, "", "", None, "", "")


class Joined(Func):
    """Texts that are never NULL, one after the other; Django's Concat guards each against being NULL."""

    arg_joiner = " || "
    template = "(%(expressions)s)"
    output_field = CharField()


class Together(Aggregate):
    """The values of a group in one text, in whatever order."""

    function = "GROUP_CONCAT"
    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "STRING_AGG(%(expressions)s, ',' ORDER BY %(expressions)s)"
        sql, params = self.as_sql(compiler, connection, template=template, **extra)
        return sql, (*params, *params)


def count(projects: Sequence[Project], recipe: Recipe, first: int, last: int) -> Counter[str]:
    """How much each rule on votes drops, and under ROWS how many rows are left before the rules on texts. `first` and
    `last` are the keys of the projects' items.

    Ratings and reviews are not read for it: an item of ratings counts as one row, and items with reviews are counted
    under REVIEWED. Where the recipe asks for a model of the people, the counts are those of the majority.
    """
    found: Counter[str] = Counter()
    if recipe.kind == "prompts":
        items = Item.objects.filter(project__in=projects).exclude(pk__in=withdrawn(projects)[1])
        if recipe.licences is not None:
            items = items.filter(licence__in=recipe.licences)
        if recipe.synthetic != "include":
            items = items.filter(synthetic=recipe.synthetic == "only")
        return Counter({ROWS: items.order_by().values("prompt_hash").distinct().count()})
    ends = Q(item__gte=first, item__lte=last)  # the index of votes begins with the item
    odd = _odd_items(projects)
    looked_at = len(odd)
    for tally in _tallies(projects, recipe, odd, ends):
        looked_at += tally.items
        for outcome, times in _outcomes(tally, recipe).items():
            found[outcome] += times * tally.items
    found += _one_by_one(projects, recipe, odd) if odd else Counter()
    return _capped(found, projects, recipe, looked_at)


def _capped(found: Counter[str], projects: Sequence[Project], recipe: Recipe, items: int) -> Counter[str]:
    """What the caps leave, about: as if the answers beyond a cap, and the rows of a prompt, were like all others."""
    if recipe.annotator_cap is not None:
        work = Judgment.objects.filter(
            project__in=projects, purpose=Purpose.WORK, kind__in=TAKEN[recipe.kind]
        ).order_by()
        given = list(work.values("person").annotate(n=Count("pk")).values_list("n", flat=True))
        over = sum(max(0, n - recipe.annotator_cap) for n in given)
        found["annotator_cap"] += over
        found[ROWS] = round(found[ROWS] * (1 - over / max(sum(given), 1)))
    if recipe.prompt_cap is not None and items:
        rows = found[ROWS] / items
        prompts = Item.objects.filter(project__in=projects).order_by().values("prompt_hash")
        sizes = prompts.annotate(n=Count("pk")).values_list("n", flat=True)
        over = round(sum(max(0.0, n * rows - recipe.prompt_cap) for n in sizes.iterator()))
        found["prompt_cap"] += over
        found[ROWS] -= over
    return found


class Tally(NamedTuple):
    """All items with equal facts and votes: the facts, the votes, and how many items they are."""

    item: Vote
    votes: list[Vote]
    is_open: bool
    items: int


def _odd_items(projects: Sequence[Project]) -> list[int]:
    """The few items whose votes cannot be read off an index: settled, answered again, sent back, withdrawn."""
    work = Judgment.objects.filter(project__in=projects, purpose=Purpose.WORK).order_by()
    again = work.filter(revision__gt=1)
    returned = Assignment.objects.filter(
        project__in=projects, review=ReviewState.RETURNED, submitted_at__isnull=False
    ).order_by()
    people, items = withdrawn(projects)
    found = [
        Resolution.objects.filter(project__in=projects).order_by().values_list("item_id", flat=True),
        again.values_list("item_id", flat=True),
        returned.values_list("item_id", flat=True),
        work.filter(person__in=people).values_list("item_id", flat=True) if people else (),
        items,
    ]
    return sorted({item for part in found for item in part})


def _tallies(projects: Sequence[Project], recipe: Recipe, odd: list[int], ends: Q) -> Iterator[Tally]:
    """The other items. Where the recipe asks for nothing of the item itself, an index holds all that is read."""
    rows: QuerySet[Judgment] = (
        Judgment.objects.filter(ends, purpose=Purpose.WORK, kind__in=TAKEN.get(recipe.kind, ()))
        .alias(owner=OWNER)
        .filter(owner__in=[project.pk for project in projects])
        .order_by()
    )
    rows = among(rows, "labeling_judgment.item_id", odd, outside=True) if odd else rows
    said = Joined(F("kind"), Value("::"), F("label"))
    if len(recipe.statuses) < len(get_args(State)):
        said = Joined(F("kind"), Value(":"), F("assignment__review"), Value(":"), F("label"))
    facts: dict[str, Any] = {}
    if recipe.licences is not None or recipe.synthetic != "include":
        facts = {"licence": F("item__licence"), "synthetic": F("item__synthetic")}
    waiting = _open_items(projects) if recipe.complete else NOTHING
    if waiting != NOTHING:
        facts["open"] = Max(Case(When(waiting, then=1), default=0))
    per_item = rows.values("item_id").annotate(**facts, said=Together(said))
    yield from _grouped(per_item.values_list(*facts, "said"), [*facts, "said"])


def _open_items(projects: Sequence[Project]) -> Q:
    """Items that somebody may still be given. Parts that hold nothing are left out: asking them of every vote takes
    longer than all else."""
    found = NOTHING
    for part in open_parts(projects):
        if part.exists():
            found |= Q(item_id__in=part.values("item_id"))
    return found


def _grouped(per_item: QuerySet[Any, Any], columns: list[str]) -> Iterator[Tally]:
    sql, values = per_item.query.sql_with_params()
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        # The names are those above, the inner statement is the ORM's.
        statement = f"WITH tally({names}) AS ({sql}) SELECT {names}, COUNT(*) FROM tally GROUP BY {names}"  # noqa: S608
        cursor.execute(statement, values)
        for *facts, text, items in cursor.fetchall():
            known = dict(zip(columns, facts, strict=False))
            item = NOBODY._replace(
                licence=known.get("licence", ""), synthetic=bool(known.get("synthetic", False))
            )
            votes = [
                item._replace(kind=kind, review=review or SUBMITTED, label=answer)
                for kind, review, answer in (each.split(":", 2) for each in sorted(text.split(",")))
            ]
            yield Tally(item, votes, bool(known.get("open", False)), items)


def _one_by_one(projects: Sequence[Project], recipe: Recipe, odd: list[int]) -> Counter[str]:
    """What the odd items give, read as a freeze reads them."""
    votes, found = Votes(projects, recipe, items=odd), Counter[str]()
    for chunk in votes.chunks():
        for judged in (judged for prompt in chunk for judged in prompt):
            if judged.dropped is not None:
                found[judged.dropped] += 1
            else:
                found += _decided(judged.votes, judged.settled, recipe)
    return found + votes.dropped


def _outcomes(tally: Tally, recipe: Recipe) -> Counter[str]:
    reason = refused(tally.item, recipe, is_open=tally.is_open)
    if reason is not None:
        return Counter({reason: 1})
    counted = [vote for vote in tally.votes if vote.review in recipe.statuses]
    left_out = Counter({"state": len(tally.votes) - len(counted)})
    if len(counted) < recipe.min_judgments:
        return left_out + Counter({"too_few": 1})
    return left_out + _decided(counted, None, recipe)


def _decided(votes: list[Vote], settled: str | None, recipe: Recipe) -> Counter[str]:
    if votes[0].kind == REVIEW:
        return Counter({REVIEWED: 1})
    if any(vote.kind == "rating" for vote in votes):
        return Counter({ROWS: 1})
    decided = list(decisions(votes, recipe, settled))
    found = Counter(outcome for outcome in decided if isinstance(outcome, str))
    pairs = [outcome for outcome in decided if isinstance(outcome, Decision)]
    found[ROWS] = _rows(votes, pairs, recipe, found)
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
