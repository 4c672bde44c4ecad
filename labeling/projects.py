"""Projects and their people."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.text import slugify

from labeling.access import visible_projects
from labeling.errors import Refused
from labeling.models import Assignment, Item, Judgment, Membership, Project, Role, User


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A project in a list, with its counts."""

    project: Project
    role_label: str
    items: int
    judgments: int
    left: int


def create_project(*, name: str, owner: User | None, **rules: Any) -> Project:
    """Make a project whose owner is the person who asks; `rules` are further fields of Project. Raises Refused where
    the name gives no address."""
    slug = slugify(name)[:60]
    if not slug:
        raise Refused(f"The name {name!r} has no letters or digits to make an address of; choose another.")
    try:
        with transaction.atomic():
            project = Project(name=name, slug=slug, **rules)
            project.save(force_insert=True)
            if owner is not None:
                Membership.objects.create(user=owner, project=project, role=Role.OWNER)
    except IntegrityError as error:
        raise Refused(f"There is already a project at /p/{slug}/; choose another name.") from error
    return project


def set_role(*, project: Project, username: str, role: str) -> Membership:
    """Give a person a role in a project, or change the one they have. A project keeps at least one owner."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Refused(f"There is no user {username!r}; an administrator makes accounts under /admin/.")
    if role not in Role.values:
        raise Refused(f"The role given is {role!r}; choose one of {', '.join(Role.values)}.")
    with transaction.atomic():
        others = Membership.objects.filter(project=project, role=Role.OWNER).exclude(user=user)
        is_owner = Membership.objects.filter(project=project, role=Role.OWNER, user=user).exists()
        if is_owner and role != Role.OWNER and not others.exists():
            raise Refused(f"{username} is the only owner; give somebody else that role first.")
        membership, _ = Membership.objects.update_or_create(
            user=user, project=project, defaults={"role": role}
        )
    return membership


def project_lines(user: User | AnonymousUser) -> list[ProjectLine]:
    """The projects of a person with counts, in one query however many they are."""

    def count(model: type[Item] | type[Judgment] | type[Assignment], **condition: None) -> Coalesce:
        rows = model._base_manager.filter(project=OuterRef("pk"), **condition).order_by()
        return Coalesce(Subquery(rows.values("project").annotate(n=Count("pk")).values("n")), 0)

    projects = visible_projects(user).annotate(
        items_count=count(Item), judgments_count=count(Judgment), left_count=count(Assignment, person=None)
    )
    roles = {m.project_id: m.get_role_display() for m in Membership.objects.filter(user_id=user.pk or 0)}
    return [
        ProjectLine(
            project=project,
            role_label=roles.get(project.pk, "Administrator"),
            items=project.items_count,
            judgments=project.judgments_count,
            left=project.left_count,
        )
        for project in projects
    ]
