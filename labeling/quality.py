"""How far people agree, and how each of them judges, read from the stored judgments."""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Count, Max, Q

from labeling.agreement import PairAgreement, alpha_estimate, pairwise_kappas
from labeling.curation import current_judgments
from labeling.estimates import Estimate, wilson_bounds
from labeling.models import Judgment, Project
from labeling.values import BOTH_BAD, TIE


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of a project: Cohen's kappa of every pair of people, Krippendorff's alpha over all."""

    pairs: list[PairAgreement]
    alpha: Estimate | None
    n_items: int


@dataclass(frozen=True, slots=True)
class PersonLine:
    """How one person judges. `left_share` is the share of decided judgments that went to the response shown first."""

    name: str
    judgments: int
    left_share: Estimate | None
    ties: int


def agreement(project: Project) -> Agreement:
    """Agreement over all current judgments; computed once for each state of the data."""
    newest = Judgment.objects.filter(project=project).aggregate(newest=Max("pk"))["newest"]
    key = f"agreement:{project.pk}:{newest}"
    found: Agreement | None = cache.get(key)
    if found is None:
        found = _compute(project)
        cache.set(key, found, 24 * 3600)
    return found


def _compute(project: Project) -> Agreement:
    labels: dict[Hashable, dict[Hashable, Hashable]] = defaultdict(dict)
    prompts: dict[Hashable, Hashable] = {}
    rows = current_judgments(project).exclude(label="").order_by("person__username", "item_id")
    columns = ("item_id", "item__prompt_hash", "person__username", "label")
    for item, prompt, person, label in rows.values_list(*columns).iterator(chunk_size=2000):
        labels[item][person] = label
        prompts[item] = prompt
    return Agreement(
        pairs=pairwise_kappas(labels, clusters=prompts),
        alpha=alpha_estimate(labels, clusters=prompts),
        n_items=len(labels),
    )


def per_person(project: Project, *, only: int | None = None) -> list[PersonLine]:
    """A line for everyone who judged, or for one person."""
    rows = current_judgments(project)
    if only is not None:
        rows = rows.filter(person_id=only)
    lines = (
        rows.order_by("person__username")
        .values("person__username")
        .annotate(
            total=Count("pk"),
            first=Count("pk", filter=Q(answer__verdict="first")),
            second=Count("pk", filter=Q(answer__verdict="second")),
            ties=Count("pk", filter=Q(label__in=(TIE, BOTH_BAD))),
        )
    )
    return [
        PersonLine(
            name=line["person__username"],
            judgments=line["total"],
            left_share=_share(line["first"], line["first"] + line["second"]),
            ties=line["ties"],
        )
        for line in lines
    ]


def _share(part: int, whole: int) -> Estimate | None:
    if whole < 10:
        return None
    low, high = wilson_bounds(part / whole, whole)
    return Estimate(value=part / whole, low=low, high=high, n=whole)
