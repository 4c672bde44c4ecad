"""What is planned against a kind of error: how much work it is, who does it, and how far it is."""

import math

from django.db.models import QuerySet

from evaluation.models import CategoryPlan
from labeling.errors import Refused
from labeling.models import ErrorCategory, Membership, Project, User

MOST_DAYS, LONGEST_NOTE = 10_000, 2000


def plan_against(
    *,
    category: ErrorCategory,
    person: User | None,
    effort: float | None = None,
    owner: User | None = None,
    status: str = CategoryPlan.Status.OPEN,
    note: str = "",
) -> CategoryPlan:
    """Write down the whole plan against a kind of error; the newest counts. Raises Refused for what cannot be."""
    if effort is not None and not (math.isfinite(effort) and 0 < effort <= MOST_DAYS):
        raise Refused(
            f"The effort is {effort:g} days; give a number above 0 and up to {MOST_DAYS:,}, or none."
        )
    if status not in CategoryPlan.Status.values:
        raise Refused(f"The status is {status!r}; choose one of {', '.join(CategoryPlan.Status.values)}.")
    if owner is not None and not members(category.project).filter(pk=owner.pk).exists():
        raise Refused(f"{owner} is not in this project; choose one of its people.")
    if len(note) > LONGEST_NOTE:
        raise Refused(f"The note has {len(note):,} characters; up to {LONGEST_NOTE:,} are allowed.")
    values = {"effort": effort, "owner": owner, "status": status, "note": note.replace("\0", "").strip()}
    return CategoryPlan.objects.update_or_create(
        category=category, defaults={"project": category.project, "changed_by": person, **values}
    )[0]


def members(project: Project) -> QuerySet[User]:
    """The people of a project, by name."""
    people = Membership.objects.filter(project=project).values("user")
    return User.objects.filter(pk__in=people).order_by("username")
