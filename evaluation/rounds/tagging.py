"""What people said is of a category: failures that they read in an analysis, and items that they judged."""

from collections.abc import Collection

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from evaluation.errors.table import table_of
from evaluation.models import Analysis, Case, ErrorRead, Fix
from labeling.curation.votes import current_judgments
from labeling.estimates import Estimate
from labeling.models import ErrorCategory, Item, Project, ProtectedFingerprint
from labeling.rag.taxonomy import current


def keys_of(category: ErrorCategory) -> set[str]:
    """The keys that count for a category: its own, and those that were merged into it. What was said of one that was
    split counts for none of its parts: nobody has said for which."""
    return {key for key, now in current(category.project).items() if now == [category.key]} | {category.key}


def tagged_uids(analysis: Analysis, keys: Collection[str]) -> set[str]:
    """The cases that readers of an analysis gave one of these categories."""
    return {uid for uid, given in _read(analysis) if set(given) & set(keys)}


def read_as_others(fix: Fix) -> set[str]:
    """The cases that readers of the fix's analysis gave none of its category's keys."""
    if fix.analysis is None:
        return set()
    keys = keys_of(fix.category)
    return {uid for uid, given in _read(fix.analysis) if not set(given) & keys}


def _read(analysis: Analysis) -> list[tuple[str, list[str]]]:
    rows = ErrorRead.objects.filter(analysis=analysis, read_at__isnull=False).order_by()
    return list(rows.values_list("case__uid", "categories"))


def ceiling_of(analysis: Analysis, category: ErrorCategory) -> Estimate | None:
    """How much the metric could rise if the category vanished, as the analysis says now."""
    return next((row.ceiling for row in table_of(analysis) if row.key == category.key), None)


def items_said_to_be(
    project: Project, category: ErrorCategory, *, apart_from: Collection[int] = ()
) -> list[int]:
    """The items whose answer somebody found bad and of this category, and whose prompt may be trained on: it is not of
    these cases, nor of any other that is measured on."""
    keys = keys_of(category)
    named = Q()
    for key in keys:
        named |= Q(said__contains=f'"{key}"')
    rows = (
        current_judgments(project).filter(kind="rag", label="bad").annotate(said=Cast("answer", TextField()))
    )
    found = {
        item
        for item, answer in rows.filter(named).values_list("item_id", "answer").iterator(chunk_size=500)
        if keys & {each.get("category") for name in ("spans", "failures") for each in answer.get(name) or ()}
    }
    guarded = Q(prompt_hash__in=Case.objects.filter(pk__in=list(apart_from)).values("prompt_hash"))
    guarded |= Q(prompt_hash__in=ProtectedFingerprint.objects.filter(project=project).values("prompt_hash"))
    items = Item.objects.filter(pk__in=found, project=project).exclude(guarded).order_by("pk")
    return list(items.values_list("pk", flat=True))
