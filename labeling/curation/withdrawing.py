"""Taking a person or an item out: later versions leave them out, and what was made of them is stale."""

from collections.abc import Iterable, Sequence

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.errors import Refused
from labeling.models import DatasetEntry, DatasetVersion, Item, Project, User, Withdrawal

LONGEST_REASON = 2000


def withdraw(
    *,
    project: Project,
    by: User | None,
    username: str = "",
    item_id: int | None = None,
    reason: str = "",
) -> Withdrawal:
    """Take one person's judgments, or one item, out of everything that this project freezes from now on.

    Judgments and versions stay as they are: they are facts. Raises Refused where there is no such person or item with
    judgments here, or it was withdrawn before.
    """
    if bool(username) == (item_id is not None):
        raise Refused("Name either a person or an item; one at a time.")
    if len(reason) > LONGEST_REASON:
        raise Refused(f"The reason has {len(reason):,} characters; up to {LONGEST_REASON:,} are allowed.")
    person = item = None
    if username:
        person = User.objects.filter(username=username, judgments__project=project).distinct().first()
        if person is None:
            raise Refused(f"Nobody called {username!r} has judged anything here; look at the list of people.")
    else:
        item = Item.objects.filter(project=project, pk=item_id or 0).first()
        if item is None:
            raise Refused(f"There is no item {item_id} in this project; copy its number from its page.")
    try:
        with transaction.atomic():
            return Withdrawal.objects.create(
                project=project, person=person, item=item, reason=reason.strip(), created_by=by
            )
    except IntegrityError as error:
        raise Refused(f"{person or f'Item {item_id}'} was withdrawn before.") from error


def affected_versions(withdrawal: Withdrawal) -> QuerySet[DatasetVersion]:
    """Every version with a row that rests on what was withdrawn, of whatever project."""
    entries = DatasetEntry.objects.filter(rests_on([withdrawal]))
    return DatasetVersion.objects.filter(pk__in=entries.values("version")).select_related("project")


def stale_versions(versions: Iterable[DatasetVersion]) -> set[int]:
    """The keys of those of these versions that hold something withdrawn."""
    # Those of any project: a version may rest on judgments of several.
    withdrawals = list(Withdrawal.objects.all())
    keys = [version.pk for version in versions]
    entries = DatasetEntry.objects.filter(rests_on(withdrawals), version__in=keys).order_by()
    return set(entries.values_list("version_id", flat=True).distinct())


def is_withdrawn() -> Exists:
    """Of judgments of whatever project: whether their person, or their item, was withdrawn from it."""
    taken_out = Q(item=OuterRef("item")) | Q(person=OuterRef("person"))
    return Exists(Withdrawal.objects.filter(taken_out, project=OuterRef("project")))


def rests_on(withdrawals: Sequence[Withdrawal]) -> Q:
    """Entries whose item, or whose person's judgment of that project, was withdrawn."""
    items = [each.item_id for each in withdrawals if each.item_id is not None]
    people: dict[int, list[int]] = {}
    for each in withdrawals:
        if each.person_id is not None:
            people.setdefault(each.project_id, []).append(each.person_id)
    found = Q(judgment__item__in=items) | Q(item__in=items, judgment__isnull=True)
    for project, gone in people.items():
        found |= Q(judgment__person__in=gone, judgment__project=project)
    return found
